"""The codec's networks, from image to latents and back; Keras 3, any backend.

Notation: Ballé et al., "Variational image compression with a scale hyperprior", ICLR
2018; Minnen et al., "Joint autoregressive and hierarchical priors", NeurIPS 2018.

    x --analysis--> y --hyper_analysis--> z --round--> z_hat --scales--> table index
    y, z_hat --mean_context--> mean ; r = round(y - mean) ; y_hat = r + mean
    y_hat --synthesis--> x_hat

Tensors are float32 [batch, height, width, channels]. Images x are in [-0.5, 0.5]; y has
one cell per 16 x 16 pixels, z one per 64 x 64. The *gain* of a quality takes y from
image units to quantization steps. Everything starts as a block transform coder (16 x 16
DCT): the convolutions that could spoil it start at zero.

This file knows nothing of files, tables or training data.
"""

import math

import keras
import numpy as np
from keras import layers, ops

from codec.training.dct import CenterTap, first_index, transform_kernels
from codec.training.rate import (
    interval_bits,
    logistic_cdf,
    residual_cdf,
    round_magnitude,
    rounding_of_scale,
    straight_through,
)

STRIDE_PX = 64  # one hyper-latent cell
LATENT_PX = 16  # one latent cell
CHANNELS = 128  # of the features at 1/8
ANALYSIS_BLOCKS = 6  # residual blocks at 1/8
BLOCKS = 3  # likewise of the synthesis
LATENTS = 320
LATENT_WIDTH = 96  # inside the residual blocks on the latents
BLOCK_SCALES = [LATENTS] + BLOCKS * [CHANNELS]  # of the synthesis, in order of use
PREVIEW_FACTOR = 2  # the preview is as many times smaller
PREVIEW_WIDTH = 88
HYPER = 96
CONTEXT = 64  # features of the hyper-latents, and of known latents, for the mean
CONTEXT_STEPS = 4  # and as many groups of channels
POSITIONS = 4  # of a 2 x 2 cell, in raster order
DIAGONAL_RANK = (0, 2, 3, 1)  # of the positions
# Functions of the DCT by latent channel; every group starts with all frequencies.
LATENT_ORDER = np.arange(LATENTS).reshape(-1, CONTEXT_STEPS).T.ravel()

QUALITY_ANCHORS = 8  # qualities with gains of their own; in between, interpolation
LMBDA_MIN, LMBDA_MAX = 0.0006, 0.2  # loss = bits per pixel + lmbda * 255^2 * MSE

# Factors on a layer whose weights are as much larger: Adam moves every weight by about
# its learning rate, so these layers, near their best from the start, learn slower.
SLOW_OUTER = 0.03
SLOW_INNER = 0.1
SLOW_MEAN = 0.5
HYPER_STEP = 4  # likewise larger, so that rounding finds something at the start

SCALE_MIN, SCALE_MAX, SCALE_LEVELS = 0.11, 64.0, 64
INDEX_OFFSET_MAX = 29  # 0.5 * log(LMBDA_MAX / LMBDA_MIN) in levels of the scale
HYPER_LIMIT = 127  # hyper-latents are integers in [-127, 127]
HYPER_INPUT = 1 / 16  # factor on hyper-latents where a network takes them in
ACTIVATION_LIMIT = 255  # activations of the integer network lie in [0, 255]


def lmbda_of_level(level):
    """Weight of the distortion at quality level 0 to 1; log-linear."""
    return LMBDA_MIN * (LMBDA_MAX / LMBDA_MIN) ** level


def index_offset(level):
    """Integer added to every table index: scales grow with the gain, as the level."""
    return ops.floor(level * INDEX_OFFSET_MAX + 0.5)


def anchor_levels():
    return ops.arange(QUALITY_ANCHORS, dtype="float32") / (QUALITY_ANCHORS - 1)


def log_gain_at_start(level):
    """The best uniform step at high rate, with three samples per pixel."""
    step = ops.sqrt(18 / (math.log(2) * lmbda_of_level(level)))  # in gray levels
    return ops.log(255 / step)


def scale_of_index(index):
    """Scale of the residuals, in steps, that a table index stands for; log-linear."""
    return SCALE_MIN * ops.exp(
        index * (math.log(SCALE_MAX / SCALE_MIN) / (SCALE_LEVELS - 1))
    )


def anchor_weights(level):
    """Linear interpolation weights: [batch] in [0, 1] -> [batch, QUALITY_ANCHORS]."""
    position = level[:, None] * (QUALITY_ANCHORS - 1)
    return ops.relu(
        1 - ops.abs(position - ops.arange(QUALITY_ANCHORS, dtype="float32"))
    )


def start_kernels():
    """As `transform_kernels`, with the channels in the order of the latents."""
    k8, k16 = transform_kernels(CHANNELS, LATENTS)
    return k8, k16[LATENT_ORDER]


def conv(filters, size, **options):
    return layers.Conv2D(filters, size, padding="same", **options)


class Sequence(layers.Layer):
    """Base of all transforms: float32 outside, whatever the policy inside.

    Sums along a skip path stay in float32: in bfloat16 they would cost more than a
    quantization step at high quality.
    """

    def __init__(self):
        super().__init__(dtype="float32")


class Residual(Sequence):
    """x + scale * conv1x1(relu(conv3x3(x))), the 1 x 1 starting at zero."""

    def __init__(self, channels, width):
        super().__init__()
        self.wide = conv(width, 3, activation="relu")
        self.out = conv(channels, 1, kernel_initializer="zeros")

    def call(self, x, scale=1.0):
        """(output, activations inside)."""
        wide = self.wide(x)
        return x + ops.cast(self.out(wide), "float32") * scale, wide

    def error_gradient(self, gradient, scale, wide):
        """Gradient with respect to x, given that of the output and what is inside."""
        inner = adjoint(self.out, gradient * scale) * ops.cast(wide > 0, "float32")
        return gradient + adjoint(self.wide, inner)


class AnalysisTransform(Sequence):
    """Image [B, H, W, 3] -> latents before the gain [B, H/16, W/16, LATENTS]."""

    def __init__(self):
        super().__init__()
        k8, k16 = start_kernels()
        self.first = conv(CHANNELS, 3, kernel_initializer=CenterTap(k8 / SLOW_OUTER))
        self.blocks = [Residual(CHANNELS, CHANNELS) for _ in range(ANALYSIS_BLOCKS)]
        self.last = conv(
            LATENTS, 1, kernel_initializer=CenterTap(k16 / SLOW_INNER), dtype="float32"
        )
        self.latent_block = Residual(LATENTS, LATENT_WIDTH)

    def call(self, x, blocks=None):
        """`blocks` may stand in for its own."""
        t = ops.cast(self.first(ops.space_to_depth(x * SLOW_OUTER, 8)), "float32")
        for block in blocks or self.blocks:
            t, _ = block(t)
        return self.latent_block(self.last(ops.space_to_depth(t, 2)) * SLOW_INNER)[0]


class SynthesisTransform(Sequence):
    """Latents after the inverse gain [B, h, w, LATENTS] -> image [B, 16 h, 16 w, 3].

    `scales` [B, 1, 1, sum(BLOCK_SCALES)] weigh the blocks according to quality.
    """

    def __init__(self):
        super().__init__()
        k8, k16 = start_kernels()
        self.latent_block = Residual(LATENTS, LATENT_WIDTH)
        self.first = conv(
            4 * CHANNELS,
            1,
            kernel_initializer=CenterTap(k16.T / SLOW_INNER),
            dtype="float32",
        )
        self.blocks = [Residual(CHANNELS, CHANNELS) for _ in range(BLOCKS)]
        self.last = conv(192, 3, kernel_initializer=CenterTap(k8.T / SLOW_OUTER))

    def call(self, y_hat, scales, blocks=None):
        """`blocks` may stand in for its own."""
        return self.with_activations(y_hat, scales, blocks)[0]

    def with_activations(self, y_hat, scales, blocks=None):
        """(image, activations inside each block)."""
        latent_scale, *block_scales = split_scales(scales)
        t, activation = self.latent_block(y_hat, latent_scale)
        activations = [activation]
        t = ops.depth_to_space(self.first(t * SLOW_INNER), 2)
        for block, scale in zip(blocks or self.blocks, block_scales, strict=True):
            t, activation = block(t, scale)
            activations.append(activation)
        return self.image(t), activations

    def image(self, t):
        """The image from the features at 1/8."""
        return ops.depth_to_space(ops.cast(self.last(t), "float32"), 8) * SLOW_OUTER

    def error_gradient(self, y_hat, scales, x):
        """(sum of (x_hat - x)^2, its gradient with respect to `y_hat`), x_hat clipped.

        The adjoint of `call`, written out in layers that LiteRT has, for any height and
        width; there is no rule for the clipping, errors pass it.
        """
        x_hat, activations = self.with_activations(y_hat, scales)
        error = ops.clip(x_hat, -0.5, 0.5) - x
        g = adjoint(self.last, ops.space_to_depth(2 * SLOW_OUTER * error, 8))
        (latent, *inside) = zip(split_scales(scales), activations, strict=True)
        for block, (scale, wide) in reversed(
            list(zip(self.blocks, inside, strict=True))
        ):
            g = block.error_gradient(g, scale, wide)
        g = adjoint(self.first, ops.space_to_depth(g, 2)) * SLOW_INNER
        return ops.sum(ops.square(error)), self.latent_block.error_gradient(g, *latent)


class Preview(Sequence):
    """Latents after the inverse gain [B, h, w, LATENTS] -> image [B, 8 h, 8 w, 3].

    Linear; a light stand-in for the synthesis followed by a reduction of its output.
    """

    def __init__(self):
        super().__init__()
        side = LATENT_PX // PREVIEW_FACTOR
        self.first = conv(PREVIEW_WIDTH, 3, use_bias=False)
        self.last = conv(3 * side**2, 1)

    def call(self, y_hat):
        side = LATENT_PX // PREVIEW_FACTOR
        return ops.depth_to_space(self.last(self.first(y_hat)), side)


def split_scales(scales):
    return ops.split(scales, np.cumsum(BLOCK_SCALES)[:-1].tolist(), axis=-1)


def adjoint(layer, gradient):
    """Gradient with respect to the input of a convolution of odd size and stride 1."""
    kernel = ops.transpose(ops.flip(layer.kernel, (0, 1)), (0, 1, 3, 2))
    return ops.conv(gradient, kernel, padding="same")


class HyperAnalysisTransform(Sequence):
    """Latents y [B, h, w, LATENTS], in steps -> z, not rounded [B, h/4, w/4, HYPER]."""

    def __init__(self):
        super().__init__()
        self.first = conv(HYPER, 3, strides=2, activation="relu")
        self.last = conv(HYPER, 3, strides=2)

    def call(self, y):
        t = self.first(ops.sign(y) * ops.log1p(ops.abs(y)))
        z = ops.cast(self.last(t), "float32") * HYPER_STEP
        return ops.clip(z, -HYPER_LIMIT, HYPER_LIMIT)


class IntegerConv(Sequence):
    """Convolution with integer weights and integer activations, exact in float32.

    Trained weights are real; the forward pass sees `round(kernel * 2^fraction_bits)`,
    an integer bias, and puts out `clip(floor(accumulator * 2^-shift + 0.5), 0, limit)`.
    Gradients pass straight through the rounding. See "Integer scale network" in
    codec/FORMAT.md.
    """

    fraction_bits = 8
    use_bias = True

    def __init__(self, filters, size, *, input_bits, output_bits, limit, bias=0.0):
        """Integer inputs (outputs) count in 2^-input_bits (2^-output_bits)."""
        super().__init__()
        self.filters, self.size, self.limit = filters, size, limit
        self.input_bits, self.output_bits = input_bits, output_bits
        self.first_bias = bias
        self.shift = self.fraction_bits + input_bits - output_bits

    def build(self, shape):
        kernel_shape = (self.size, self.size, shape[-1], self.filters)
        self.kernel = self.add_weight(
            shape=kernel_shape, initializer="glorot_uniform", name="kernel"
        )
        start = keras.initializers.Constant(self.first_bias)
        self.bias = self.add_weight(
            shape=(self.filters,), initializer=start, name="bias"
        )

    def integer_weights(self):
        """Integer-valued float32 (kernel, bias), the bias in accumulator units.

        Both are integers that float16, in which graphs are stored, holds exactly.
        """
        kernel = self.kernel * 2.0**self.fraction_bits
        bias = self.bias * 2.0 ** (self.output_bits + self.shift)

        def integer(weights):
            half = ops.cast(ops.round(weights), "float16")
            return straight_through(weights, ops.cast(half, "float32"))

        return integer(kernel), integer(bias)

    def call(self, x, offset=0.0):
        kernel, bias = self.integer_weights()
        accumulator = ops.conv(x, kernel, padding="same") + bias
        scaled = accumulator * 2.0**-self.shift + offset
        rounded = straight_through(scaled, ops.floor(scaled + 0.5))
        return ops.clip(rounded, 0, self.limit)


class ScaleNetwork(Sequence):
    """Integer z_hat [B, h/4, w/4, HYPER] -> table index [B, h, w, LATENTS].

    `offset` [B, 1, 1, 1] is `index_offset` of the quality level.
    """

    def __init__(self):
        super().__init__()
        inner = {"output_bits": 5, "limit": ACTIVATION_LIMIT}
        outer = {"output_bits": 3, "limit": SCALE_LEVELS - 1}
        bias = first_index(LATENTS)[LATENT_ORDER] / 2.0 ** outer["output_bits"]
        self.convs = [
            IntegerConv(4 * HYPER, 3, input_bits=4, **inner),
            IntegerConv(4 * HYPER, 3, input_bits=5, **inner),
            IntegerConv(LATENTS, 1, input_bits=5, **outer, bias=bias),
        ]

    def call(self, z_hat, offset):
        t = ops.depth_to_space(self.convs[0](z_hat), 2)
        t = ops.depth_to_space(self.convs[1](t), 2)
        return self.convs[2](t, offset)


def grouped(filters, **options):
    """A 1 x 1 convolution with weights of its own at every position of a 2 x 2 cell,
    whose channels lie one position after the other.
    """
    return conv(filters, 1, groups=POSITIONS, **options)


def step_of(group, position):
    """The step that codes a group of channels at a position.

    The first ones of a group lie on a diagonal; every group starts elsewhere, so that
    each step codes a quarter of the channels at each position.
    """
    return (group + DIAGONAL_RANK[position]) % CONTEXT_STEPS


def group_of(step, position):
    """The group of channels that a step codes at a position."""
    return (step - DIAGONAL_RANK[position]) % CONTEXT_STEPS


def split_steps(x):
    """[B, H, W, LATENTS] -> per step what it codes, [B, H/2, W/2, LATENTS]."""
    parts = ops.split(ops.space_to_depth(x, 2), POSITIONS * CONTEXT_STEPS, axis=-1)
    return [
        ops.concatenate(
            [parts[p * CONTEXT_STEPS + group_of(step, p)] for p in range(POSITIONS)], -1
        )
        for step in range(CONTEXT_STEPS)
    ]


def split_vector(vector):
    """[B, 1, 1, LATENTS], the same at every position, as `split_steps`."""
    groups = ops.split(vector, CONTEXT_STEPS, axis=-1)
    return [
        ops.concatenate([groups[group_of(step, p)] for p in range(POSITIONS)], -1)
        for step in range(CONTEXT_STEPS)
    ]


def join_steps(steps):
    """The inverse of `split_steps`."""
    parts = [ops.split(step, POSITIONS, axis=-1) for step in steps]
    joined = [
        parts[step_of(group, p)][p]
        for p in range(POSITIONS)
        for group in range(CONTEXT_STEPS)
    ]
    return ops.depth_to_space(ops.concatenate(joined, -1), 2)


class MeanContext(Sequence):
    """The mean of each latent, from the hyper-latents and the latents of earlier steps.

    Four steps over 2 x 2 positions and channel groups (after Li et al., "Neural video
    compression with diverse contexts", CVPR 2023). Prediction happens in image units,
    where it hardly depends on quality.
    """

    def __init__(self):
        super().__init__()
        zero = {"kernel_initializer": "zeros", "dtype": "float32"}
        steps = range(CONTEXT_STEPS)
        self.up = [conv(4 * HYPER, 3, activation="relu") for _ in range(2)]
        self.hyper = conv(CONTEXT, 1)
        # Named, since a graph may hold them in any order.
        self.base = [grouped(LATENTS, name=f"base_of_{n}", **zero) for n in steps]
        # Of every earlier step for every later one, in order of use.
        self.known = [
            grouped(
                POSITIONS * CONTEXT,
                name=f"known_to_{n}_of_{earlier}",
                use_bias=earlier == 0,  # they are summed
            )
            for n in steps
            for earlier in range(n)
        ]
        self.mix = [
            conv(96, 3, activation="relu", name=f"mix_of_{n}") for n in steps[1:]
        ]
        self.correct = [
            grouped(LATENTS, name=f"correct_of_{n}", **zero) for n in steps[1:]
        ]

    def call(self, value, z_hat, gain, inverse_gain, rounding=None):
        """(difference, residual, y_hat), all [B, h, w, LATENTS].

        Encoding, with a `rounding` [B, h, w, LATENTS]: `value` is y, the difference is
        y - mean, and the residual is that rounded, its magnitude up if the fraction is
        at least 1 - `rounding`; where it is very negative, nothing is coded. Decoding,
        without: `value` is the residual, and the difference, too.
        """
        t = z_hat * HYPER_INPUT
        for layer in self.up:
            t = ops.depth_to_space(layer(t), 2)
        hyper, cells = self.hyper(t), ops.space_to_depth(t, 2)
        values, gains, inverse_gains = (
            split_steps(value),
            split_vector(gain),
            split_vector(inverse_gain),
        )
        roundings = None if rounding is None else split_steps(rounding)
        differences, residuals, decoded, known = [], [], [], iter(self.known)
        for step in range(CONTEXT_STEPS):
            mean = self.base[step](cells)
            if step:
                features = sum(
                    next(known)(y * scale)
                    for y, scale in zip(decoded, inverse_gains, strict=False)
                )
                context = [hyper, ops.depth_to_space(features, 2)]
                mixed = self.mix[step - 1](ops.concatenate(context, axis=-1))
                mean = mean + self.correct[step - 1](ops.space_to_depth(mixed, 2))
            mean = mean * SLOW_MEAN * gains[step]
            difference = residual = values[step]
            if roundings:
                difference = difference - mean
                residual = round_magnitude(difference, roundings[step])
            differences.append(difference)
            residuals.append(residual)
            decoded.append(residual + mean)
        return tuple(map(join_steps, (differences, residuals, decoded)))


class Codec(keras.Model):
    """All networks and the per-quality vectors; `call` estimates rate and distortion.

    Workflow of `call`, on images [B, H, W, 3] in [-0.5, 0.5] and quality levels [B] in
    [0, 1]: in training, uniform noise stands for rounding where the rate is estimated,
    rounding with straight-through gradients feeds the synthesis (Minnen & Singh,
    "Channel-wise autoregressive entropy models", ICIP 2020), with the dead zone of the
    encoder's default.
    """

    def __init__(self):
        super().__init__(dtype="float32")
        self.analysis, self.synthesis = AnalysisTransform(), SynthesisTransform()
        self.hyper_analysis, self.scales = HyperAnalysisTransform(), ScaleNetwork()
        self.mean_context = MeanContext()

        def table(name, width):
            shape = (QUALITY_ANCHORS, width)
            return self.add_weight(shape=shape, initializer="zeros", name=name)

        self.log_gain = table("log_gain", LATENTS)
        self.log_inverse_gain = table("log_inverse_gain", LATENTS)
        self.block_scale = table("block_scale", sum(BLOCK_SCALES))
        self.hyper_mean = table("hyper_mean", HYPER)
        self.hyper_width = table("hyper_width", HYPER)

    def quality_vectors(self, level):
        """(gain, inverse_gain, block_scales) of levels [B], as [B, 1, 1, channels]."""
        weights = anchor_weights(level)
        start = log_gain_at_start(level)[:, None]
        gain = ops.exp(start + ops.matmul(weights, self.log_gain))
        inverse_gain = ops.exp(-start + ops.matmul(weights, self.log_inverse_gain))
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

    def call(self, x, level, noise=None):
        """Bits per image [B] (latents and hyper-latents) and reconstruction x_hat.

        With `noise` in [-0.5, 0.5), shaped as y and as z, the rate is estimated with it
        in place of rounding.
        """
        latent_noise, hyper_noise = noise or (None, None)

        gain, inverse_gain, block_scales = self.quality_vectors(level)
        y = self.analysis(x) * gain
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
        x_hat = self.synthesis(y_hat * inverse_gain, block_scales)
        hyper_bits = self.hyper_bits(
            z_hat if hyper_noise is None else z + hyper_noise, level
        )
        return {
            "latent_bits": ops.sum(bits, (1, 2, 3)),
            "hyper_bits": ops.sum(hyper_bits, (1, 2, 3)),
            "x_hat": x_hat,
        }
