"""Sizes that the networks of all architectures share."""

STRIDE_PX = 64  # one hyper-latent cell
LATENT_PX = 16  # one latent cell
CHANNELS = 128  # of the features at 1/8
BLOCKS = 3  # residual blocks at 1/8 of the synthesis
LATENTS = 320
LATENT_WIDTH = 96  # inside the residual blocks on the latents
BLOCK_SCALES = [LATENTS] + BLOCKS * [CHANNELS]  # of the synthesis, in order of use
HYPER = 96
CONTEXT_STEPS = 4  # of the means, and as many groups of latent channels
PREVIEW_FACTOR = 2  # the preview is as many times smaller
