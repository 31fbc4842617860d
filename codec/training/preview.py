"""The network for small pictures, fitted in closed form: no training."""

import numpy as np
from keras import ops

from codec.file.header import QUALITY_CODE_MAX
from codec.networks.quantization import rounding_by_table
from codec.training.calibration import coder_of, decoder_vectors
from codec.training.dimensions import LATENT_PX, LATENTS, PREVIEW_FACTOR
from codec.training.layers import Network, conv

PREVIEW_WIDTH = 88
RIDGE = 1e-6  # of the mean variance of the features


class Preview(Network):
    """Latents after the inverse gain [B, h, w, LATENTS] -> image [B, 8 h, 8 w, 3].

    Linear; a light stand-in for a SynthesisTransform followed by a reduction of its
    output, with the same beyond the borders.
    """

    def __init__(self, synthesis):
        super().__init__()
        side = LATENT_PX // PREVIEW_FACTOR
        self.extended = synthesis.extended
        self.first = conv(PREVIEW_WIDTH, 3, padding="valid", use_bias=False)
        self.last = conv(3 * side**2, 1)

    def call(self, y_hat):
        side = LATENT_PX // PREVIEW_FACTOR
        t = self.first(self.extended(y_hat))
        return ops.depth_to_space(self.last(t), side)


def fit_preview(codec, images, tables, skip_below):
    """A `Preview` that comes nearest to the decoded pictures of uint8 `images`, in the
    least squares, each at a random quality.

    Reduced-rank regression (Izenman, "Reduced-rank regression for the multivariate
    linear model", 1975): ordinary least squares, projected on the main directions of
    what it predicts.
    """
    random = np.random.default_rng(0)
    rounding = rounding_by_table(tables, skip_below)
    squares = products = 0.0
    code_image = coder_of(codec)
    for image in images:
        code = int(random.integers(0, QUALITY_CODE_MAX + 1))
        latents, decoded = decode(codec, code_image, image, code, rounding)
        features, blocks = neighborhoods(latents), blocks_of(decoded)
        squares = squares + features.T @ features
        products = products + features.T @ blocks
    count = squares[-1, -1]  # the last feature is 1
    mean, mean_block = squares[-1, :-1] / count, products[-1] / count
    covariance = squares[:-1, :-1] - count * np.outer(mean, mean)
    correlation = products[:-1] - count * np.outer(mean, mean_block)
    ridge = RIDGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    weights = np.linalg.solve(covariance + ridge, correlation)
    predicted = weights.T @ covariance @ weights
    directions = np.linalg.eigh(predicted)[1][:, : -PREVIEW_WIDTH - 1 : -1]
    kernel = weights @ directions
    preview = Preview(codec.synthesis)
    preview(np.zeros((1, 1, 1, LATENTS), "float32"))
    preview.first.kernel.assign(kernel.reshape(preview.first.kernel.shape))
    preview.last.kernel.assign(directions.T[None, None])
    preview.last.bias.assign(mean_block - mean @ kernel @ directions.T)
    return preview


def decode(codec, code_image, image, code, rounding):
    """(latents in image units with a ring around them [h + 2, w + 2, LATENTS], decoded
    image [H, W, 3]) of an image.
    """
    inverse_gain, block_scales = decoder_vectors(codec, code)
    *_, y_hat = code_image(image, code, rounding)
    latents = ops.convert_to_tensor(y_hat) * inverse_gain
    decoded = codec.synthesis(latents, block_scales)
    extended = ops.convert_to_numpy(codec.synthesis.extended(latents))[0]
    return extended, ops.convert_to_numpy(decoded)[0]


def neighborhoods(latents):
    """[h + 2, w + 2, C] -> float64 [h w, 9 C + 1]: the 3 x 3 latents around each that
    is not at the edge, and 1.
    """
    height, width = (side - 2 for side in latents.shape[:2])
    latents = latents.astype(float)
    parts = [latents[i : i + height, j : j + width] for i in range(3) for j in range(3)]
    parts.append(np.ones((height, width, 1)))
    return np.concatenate(parts, axis=-1).reshape(height * width, -1)


def blocks_of(image):
    """[H, W, 3] -> [h w, pixels of the small picture to a latent, by row, column,
    color], means of `PREVIEW_FACTOR` squared pixels.
    """
    factor, side = PREVIEW_FACTOR, LATENT_PX // PREVIEW_FACTOR
    height, width = (size // LATENT_PX for size in image.shape[:2])
    small = image.reshape(height, side, factor, width, side, factor, 3).mean((2, 5))
    return small.transpose(0, 2, 1, 3, 4).reshape(height * width, -1)
