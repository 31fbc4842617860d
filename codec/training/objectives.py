"""What a model is trained for, by tune: the rate, and a distortion of pictures.

Another objective is a function and a line in `DISTORTIONS`.
"""

from keras import ops

from codec.training import masked_contrast, ssimulacra2
from codec.training.colors import chroma
from codec.training.quality import lmbda_of_level

# Of what is seen: squared gray levels that a unit of the measure counts as, about, and
# its share. No measure alone: trained for one, pictures please only that one, see
# RUNS.md.
SSIMULACRA2_SCALE, SSIMULACRA2_SHARE = 2.1, 0.48
CONTRAST_SCALE, CONTRAST_SHARE = 1.72, 0.41
CHROMA_SCALE, CHROMA_SHARE = 4.0, 0.045  # or colors bleed, and small ones pale
ERROR_SHARE = 0.065


def squared_error(x, x_hat):
    """Mean squared error [B] in gray levels of images [B, H, W, C], range 1."""
    return ops.mean(ops.square(x_hat - x), (1, 2, 3)) * 255.0**2


def seen(x, x_hat):
    """Distortion [B] as people see it, as large as the squared error where pictures are
    good, of images [B, H, W, 3] in [-0.5, 0.5].
    """
    pair = x + 0.5, x_hat + 0.5
    return (
        SSIMULACRA2_SHARE * SSIMULACRA2_SCALE * ssimulacra2.distance(*pair)
        + CONTRAST_SHARE * CONTRAST_SCALE * masked_contrast.distance(*pair)
        + CHROMA_SHARE * CHROMA_SCALE * squared_error(*map(chroma, pair))
        + ERROR_SHARE * squared_error(x, x_hat)
    )


DISTORTIONS = {"psnr": squared_error, "visual": seen}


def rate_distortion(tune, x, level, latent_bits, hyper_bits, x_hat):
    """(loss, mean bpp, mean squared error in gray levels) of a batch.

    The loss is the mean of (R + lmbda * D) * sqrt(0.01 / lmbda): all rates count alike.
    """
    bpp = (latent_bits + hyper_bits) / (x.shape[1] * x.shape[2])
    lmbda = lmbda_of_level(level)
    distortion = DISTORTIONS[tune](x, x_hat)
    loss = ops.mean((bpp + lmbda * distortion) * ops.sqrt(0.01 / lmbda))
    return loss, ops.mean(bpp), ops.mean(squared_error(x, x_hat))
