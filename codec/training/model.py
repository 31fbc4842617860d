"""The codec's networks together, from image to latents and back; Keras 3, any backend.

Notation: Ballé et al., "Variational image compression with a scale hyperprior", ICLR
2018; Minnen et al., "Joint autoregressive and hierarchical priors", NeurIPS 2018.

    x --analysis--> y --hyper_analysis--> z --round--> z_hat --scales--> table index
    y, z_hat --mean_context--> mean ; r = round(y - mean) ; y_hat = r + mean
    y_hat --synthesis--> x_hat

Tensors are float32 [batch, height, width, channels]. Images x are in [-0.5, 0.5]; y has
one cell per 16 x 16 pixels, z one per 64 x 64. The *gain* of a quality takes y to
quantization steps. Everything starts as a transform coder: the convolutions that could
spoil it start at zero.

This module knows nothing of files, tables or training data.
"""

import keras
import numpy as np
from keras import ops

from codec.training.architectures import ARCHITECTURES, DEFAULT
from codec.training.dimensions import BLOCK_SCALES, HYPER, STRIDE_PX
from codec.training.entropy_networks import HyperAnalysisTransform, ScaleNetwork
from codec.training.mean_context import MeanContext
from codec.training.quality import (
    QUALITY_ANCHORS,
    anchor_weights,
    index_offset,
    log_gain_at_start,
    scale_of_index,
)
from codec.training.rate import (
    interval_bits,
    logistic_cdf,
    residual_cdf,
    rounding_of_scale,
    straight_through,
)
from codec.training.rounded_blocks import rounded_blocks
from codec.training.transform_coder import Kernel


class Codec(keras.Model):
    """All networks and the per-quality vectors; `call` estimates rate and distortion.

    Workflow of `call`, on images [B, H, W, 3] in [-0.5, 0.5] and quality levels [B] in
    [0, 1]: in training, uniform noise stands for rounding where the rate is estimated,
    rounding with straight-through gradients feeds the synthesis (Minnen & Singh,
    "Channel-wise autoregressive entropy models", ICIP 2020), with the dead zone of the
    encoder's default.
    """

    def __init__(self, architecture=DEFAULT):
        super().__init__(dtype="float32", name="codec")
        if architecture not in ARCHITECTURES:
            raise SystemExit(f"architectures are {', '.join(ARCHITECTURES)}")
        parts = ARCHITECTURES[architecture]
        self.architecture = architecture
        self.analysis = parts.analysis(name="analysis")
        self.synthesis = parts.synthesis(name="synthesis")
        self.hyper_analysis = HyperAnalysisTransform(parts.leak, name="hyper_analysis")
        self.scales = ScaleNetwork(name="scales")
        self.mean_context = MeanContext(parts.leak, name="mean_context")

        def table(name, row):
            first = Kernel(np.tile(row, (QUALITY_ANCHORS, 1)))
            shape = (QUALITY_ANCHORS, len(row))
            return self.add_weight(shape=shape, initializer=first, name=name)

        spread = np.log(parts.latent_spread())
        self.log_gain = table("log_gain", spread)
        self.log_inverse_gain = table("log_inverse_gain", -spread)
        self.block_scale = table("block_scale", np.zeros(sum(BLOCK_SCALES)))
        self.hyper_mean = table("hyper_mean", np.zeros(HYPER))
        self.hyper_width = table("hyper_width", np.zeros(HYPER))

    def quality_vectors(self, level):
        """(gain, inverse_gain, block_scales) of levels [B], as [B, 1, 1, channels]."""
        weights = anchor_weights(level)
        first = log_gain_at_start(level)[:, None]
        gain = ops.exp(first + ops.matmul(weights, self.log_gain))
        inverse_gain = ops.exp(-first + ops.matmul(weights, self.log_inverse_gain))
        scales = 1 + ops.matmul(weights, self.block_scale)
        return tuple(vector[:, None, None] for vector in (gain, inverse_gain, scales))

    def set_hyper_model(self, mean, width):
        """Logistic means and widths, in integers of z: [QUALITY_ANCHORS, HYPER]."""
        self.hyper_mean.assign(mean / 4)
        spread = np.maximum(width - 0.05, 0.01)
        self.hyper_width.assign((np.log(np.expm1(spread)) - 2) / 4)

    def hyper_bits(self, z, level):
        weights = anchor_weights(level)
        mean = ops.matmul(weights, self.hyper_mean) * 4
        width = ops.softplus(ops.matmul(weights, self.hyper_width) * 4 + 2.0) + 0.05
        mean, width = mean[:, None, None], width[:, None, None]
        return interval_bits(z - mean, lambda v: logistic_cdf(v, width))

    def call(self, x, level, noise=None, int8=False):
        """Bits per image [B] (latents and hyper-latents) and reconstruction x_hat.

        With `noise` in [-0.5, 0.5), shaped as y and as z, the rate is estimated with it
        in place of rounding. With `int8`, residual branches are rounded as they are
        where the bundle computes in int8.
        """
        latent_noise, hyper_noise = noise or (None, None)
        analysis_blocks, synthesis_blocks = (
            rounded_blocks(self) if int8 else (None, None)
        )

        gain, inverse_gain, block_scales = self.quality_vectors(level)
        y = self.analysis(x, blocks=analysis_blocks) * gain
        z = self.hyper_analysis(y)
        z_hat = straight_through(z, ops.round(z))
        index = self.scales(z_hat, index_offset(level)[:, None, None, None])
        scale = scale_of_index(index)
        difference, residual, y_hat = self.mean_context(
            y, z_hat, gain, inverse_gain, rounding_of_scale(scale)
        )
        bits = interval_bits(
            residual if latent_noise is None else difference + latent_noise,
            lambda v: residual_cdf(v, scale),
        )
        x_hat = self.synthesis(
            y_hat * inverse_gain, block_scales, blocks=synthesis_blocks
        )
        hyper_bits = self.hyper_bits(
            z_hat if hyper_noise is None else z + hyper_noise, level
        )
        return {
            "latent_bits": ops.sum(bits, (1, 2, 3)),
            "hyper_bits": ops.sum(hyper_bits, (1, 2, 3)),
            "x_hat": x_hat,
        }


def build_codec(architecture=DEFAULT):
    """A `Codec` with its weights at the start."""
    codec = Codec(architecture)
    side = 2 * STRIDE_PX
    codec(np.zeros((1, side, side, 3), "float32"), np.zeros(1, "float32"))
    return codec
