"""Analysis and synthesis that start as a block transform coder, a 16 x 16 DCT.

The architecture of the models that are shipped.
"""

import numpy as np
from keras import ops

from codec.training.dimensions import (
    BLOCKS,
    CHANNELS,
    LATENT_WIDTH,
    LATENTS,
)
from codec.training.layers import (
    Network,
    Residual,
    adjoint,
    conv,
    of_blocks,
    plain,
    split_scales,
)
from codec.training.mean_context import LATENT_ORDER
from codec.training.transform_coder import Kernel, block_coder

ANALYSIS_BLOCKS = 6  # residual blocks at 1/8
# Factors on a layer whose weights are as much larger: Adam moves every weight by about
# its learning rate, so these layers, near their best from the start, learn slower.
SLOW_OUTER = 0.03
SLOW_INNER = 0.1


def start_kernels():
    """As `block_coder`, with the channels in the order of the latents."""
    k8, k16 = block_coder(CHANNELS, LATENTS)
    return k8, k16[LATENT_ORDER]


def center(size, matrix):
    """A kernel [size, size, inputs, outputs] that is a matrix [outputs, inputs] at its
    center alone.
    """
    kernel = np.zeros((size, size, *matrix.T.shape))
    kernel[size // 2, size // 2] = matrix.T
    return Kernel(kernel)


def residual(channels, width, **options):
    return Residual(channels, width, 0.0, **options)


class AnalysisTransform(Network):
    """Image [B, H, W, 3] -> latents before the gain [B, H/16, W/16, LATENTS]."""

    def __init__(self, **options):
        super().__init__(**options)
        k8, k16 = start_kernels()
        self.first = conv(CHANNELS, 3, kernel_initializer=center(3, k8 / SLOW_OUTER))
        self.blocks = [residual(CHANNELS, CHANNELS) for _ in range(ANALYSIS_BLOCKS)]
        self.last = conv(
            LATENTS, 1, kernel_initializer=center(1, k16 / SLOW_INNER), dtype="float32"
        )
        self.latent_block = residual(LATENTS, LATENT_WIDTH)

    def call(self, x, blocks=None):
        """`blocks` may stand in for its own."""
        t = ops.cast(self.first(ops.space_to_depth(x * SLOW_OUTER, 8)), "float32")
        for block in blocks or self.blocks:
            t, _ = block(t)
        return self.latent_block(self.last(ops.space_to_depth(t, 2)) * SLOW_INNER)[0]

    def stored(self):
        """Convolutions in order of use: (layer, constant before it, constant after it)
        that its graph has in the weights.
        """
        last = self.last, 1.0, SLOW_INNER
        blocks = of_blocks(*self.blocks), of_blocks(self.latent_block)
        return [*plain(self.first), *blocks[0], last, *blocks[1]]


class SynthesisTransform(Network):
    """Latents after the inverse gain [B, h, w, LATENTS] -> image [B, 16 h, 16 w, 3].

    `scales` [B, 1, 1, sum(BLOCK_SCALES)] weigh the blocks according to quality.
    """

    border = 0  # cells beyond the picture, of latents and features, on every side

    def __init__(self, **options):
        super().__init__(**options)
        k8, k16 = start_kernels()
        self.latent_block = residual(LATENTS, LATENT_WIDTH)
        self.first = conv(
            4 * CHANNELS,
            1,
            kernel_initializer=center(1, k16.T / SLOW_INNER),
            dtype="float32",
        )
        self.blocks = [residual(CHANNELS, CHANNELS) for _ in range(BLOCKS)]
        self.last = conv(192, 3, kernel_initializer=center(3, k8.T / SLOW_OUTER))

    def extended(self, y_hat):
        """As it is: beyond it are zeros."""
        return y_hat

    def call(self, y_hat, scales, blocks=None):
        """`blocks` may stand in for its own."""
        return self.with_activations(y_hat, scales, blocks)[0]

    def with_activations(self, y_hat, scales, blocks=None):
        """(image, activations inside each block)."""
        t, activations = self.features(y_hat, scales, blocks)
        return self.image(t), activations

    def features(self, y_hat, scales, blocks=None):
        """(features at 1/8, activations inside each block)."""
        latent_scale, *block_scales = split_scales(scales)
        t, activation = self.latent_block(y_hat, latent_scale)
        activations = [activation]
        t = ops.depth_to_space(self.first(t * SLOW_INNER), 2)
        for block, scale in zip(blocks or self.blocks, block_scales, strict=True):
            t, activation = block(t, scale)
            activations.append(activation)
        return t, activations

    def stored(self):
        """As `AnalysisTransform.stored`."""
        blocks = of_blocks(self.latent_block), of_blocks(*self.blocks)
        first = self.first, SLOW_INNER, 1.0
        return [*blocks[0], first, *blocks[1], *plain(self.last)]

    def stored_factors(self):
        """Variables that its graph multiplies by, in order of use."""
        return []

    def feature_weights(self):
        """Those that `features` takes."""
        layers = self.latent_block, self.first, *self.blocks
        return [variable for layer in layers for variable in layer.variables]

    def image(self, t):
        """The image from the features."""
        return ops.depth_to_space(ops.cast(self.last(t), "float32"), 8) * SLOW_OUTER

    def pullback(self, gradient, scales, activations):
        """Gradient with respect to the latents, given that of the image [B, H, W, 3]
        and what was inside: the adjoint of `call`, in layers that LiteRT has, for any
        height and width.
        """
        (latent, *inside) = zip(split_scales(scales), activations, strict=True)
        g = adjoint(self.last, ops.space_to_depth(SLOW_OUTER * gradient, 8))
        for block, (scale, wide) in reversed(
            list(zip(self.blocks, inside, strict=True))
        ):
            g = block.pullback(g, scale, wide)
        g = adjoint(self.first, ops.space_to_depth(g, 2)) * SLOW_INNER
        return self.latent_block.pullback(g, *latent)
