"""The codec's networks, from image to latents and back; Keras 3, any backend.

Notation: Ballé et al., "Variational image compression with a scale hyperprior", ICLR
2018; Minnen et al., "Joint autoregressive and hierarchical priors", NeurIPS 2018.

    x --analysis--> y --hyper_analysis--> z --round--> z_hat --scales--> table index
    y, z_hat --mean_context--> mean ; r = round(y - mean) ; y_hat = r + mean
    y_hat --synthesis--> x_hat

Tensors are float32 [batch, height, width, channels]. Images x are in [-0.5, 0.5]; y has
one cell per 16 x 16 pixels, z one per 64 x 64. The *gain* of a quality takes y from
image units to quantization steps. Everything starts as a lapped transform coder, see
`codec.training.dct`: the convolutions that could spoil it start at zero. The features
are its coefficients, brought to one variance.

Beyond its borders a picture is mirrored, by half a latent cell: pixels for the
analysis; for the synthesis the latents, those of odd functions with the sign changed.

This file knows nothing of files, tables or training data.
"""

import dataclasses
import itertools
import math
from functools import cache

import keras
import numpy as np
from keras import layers, ops

from codec.training.dct import Kernel, first_index, transform_coder
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
BORDER_PX = 8  # that a picture is extended by on every side
LEAK = 0.1  # slope of the activations below zero, so that no unit dies
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
SLOW_LINEAR = 0.1
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


@cache
def start():
    """The transform coder to start from, its latents in the order of the networks."""
    coder = transform_coder(CHANNELS, LATENTS)
    return dataclasses.replace(
        coder,
        lapped=coder.lapped[LATENT_ORDER],
        parity=coder.parity[:, LATENT_ORDER],
        lapped_spread=coder.lapped_spread[LATENT_ORDER],
    )


def conv(filters, size, padding="same", **options):
    return layers.Conv2D(filters, size, padding=padding, **options)


def linear(filters, size, kernel, **options):
    """A convolution that starts as `kernel` and learns slowly, see SLOW_LINEAR."""
    initializer = Kernel(kernel / SLOW_LINEAR)
    return conv(filters, size, kernel_initializer=initializer, **options)


def activate(x):
    return ops.leaky_relu(x, LEAK)


def mirrored(x, border):
    """x [B, H, W, C] extended by `border` rows and columns on every side."""
    x = ops.concatenate([ops.flip(x[:, :border], 1), x, ops.flip(x[:, -border:], 1)], 1)
    left, right = x[:, :, :border], x[:, :, -border:]
    return ops.concatenate([ops.flip(left, 2), x, ops.flip(right, 2)], 2)


class Sequence(layers.Layer):
    """Base of all transforms: float32 outside, whatever the policy inside.

    Sums along a skip path stay in float32: in bfloat16 they would cost more than a
    quantization step at high quality.
    """

    def __init__(self, **options):
        super().__init__(dtype="float32", **options)


class Residual(Sequence):
    """x + scale * conv1x1(activation(conv3x3(x))), the 1 x 1 starting at zero."""

    def __init__(self, channels, width, name):
        super().__init__(name=name)
        self.wide = conv(width, 3, name="wide")
        self.out = conv(channels, 1, kernel_initializer="zeros", name="out")

    def call(self, x, scale=1.0):
        """(output, activations inside)."""
        wide = activate(self.wide(x))
        return x + ops.cast(self.out(wide), "float32") * scale, wide


def blocks_at_8(count):
    """Residual blocks on the features at 1/8."""
    return [Residual(CHANNELS, CHANNELS, f"block_{i}") for i in range(count)]


class AnalysisTransform(Sequence):
    """Image [B, H, W, 3] -> latents before the gain [B, H/16, W/16, LATENTS]."""

    def __init__(self):
        super().__init__()
        coder = start()
        self.first = linear(CHANNELS, 1, coder.blocks.T, name="first")
        self.blocks = blocks_at_8(ANALYSIS_BLOCKS)
        lapped = coder.lapped.transpose(1, 2, 3, 0)
        self.last = linear(
            LATENTS, 4, lapped, strides=2, padding="valid", name="last"
        )
        self.latent_block = Residual(LATENTS, LATENT_WIDTH, "latent_block")

    def call(self, x, blocks=None):
        """`blocks` may stand in for its own."""
        x = ops.space_to_depth(mirrored(x, BORDER_PX) * SLOW_LINEAR, 8)
        t = ops.cast(self.first(x), "float32")
        for block in blocks or self.blocks:
            t, _ = block(t)
        y = ops.cast(self.last(t * SLOW_LINEAR), "float32")
        return self.latent_block(y)[0]


def synthesis_kernels():
    """(up, last) of the synthesis at the start: 2 x 2 latents -> the 2 x 2 blocks of
    8 x 8 pixels between their centers; 2 x 2 of those -> the 8 x 8 pixels likewise.
    """
    coder = start()
    back = coder.lapped * coder.lapped_spread[:, None, None, None] ** 2
    back = back / coder.block_spread**2
    up = np.empty((2, 2, LATENTS, 2, 2, CHANNELS))
    pixels = (coder.blocks * coder.block_spread[:, None] ** 2).reshape(-1, 8, 8, 3)
    last = np.zeros((2, 2, CHANNELS, 8, 8, 3))
    for i, j in itertools.product(range(2), range(2)):
        # The latent above reaches into the lower half of its window, and so on.
        rows, columns = slice(2 - 2 * i, 4 - 2 * i), slice(2 - 2 * j, 4 - 2 * j)
        up[i, j] = back[:, rows, columns]
        rows, columns = slice(4 * i, 4 * i + 4), slice(4 * j, 4 * j + 4)
        part = pixels[:, 4 - 4 * i : 8 - 4 * i, 4 - 4 * j : 8 - 4 * j]
        last[i, j, :, rows, columns] = part
    shape = 2, 2, LATENTS, 4 * CHANNELS
    return up.reshape(shape), last.reshape(2, 2, CHANNELS, 192)


class SynthesisTransform(Sequence):
    """Latents after the inverse gain [B, h, w, LATENTS] -> image [B, 16 h, 16 w, 3].

    `scales` [B, 1, 1, sum(BLOCK_SCALES)] weigh the blocks according to quality.
    """

    def __init__(self):
        super().__init__()
        up, last = synthesis_kernels()
        self.latent_block = Residual(LATENTS, LATENT_WIDTH, "latent_block")
        self.up = linear(4 * CHANNELS, 2, up, padding="valid", name="up")
        self.blocks = blocks_at_8(BLOCKS)
        self.last = linear(192, 2, last, padding="valid", name="last")
        vertical, horizontal = start().parity
        self.mirror_down = self.sign("mirror_down", vertical)
        self.mirror_across = self.sign("mirror_across", horizontal)

    def sign(self, name, parity):
        """Factors on latents that are mirrored at a border."""
        return self.add_weight(shape=(LATENTS,), initializer=Kernel(parity), name=name)

    def extended(self, y_hat):
        """With a ring of mirrored latents."""
        down, across = self.mirror_down, self.mirror_across
        t = ops.concatenate([y_hat[:, :1] * down, y_hat, y_hat[:, -1:] * down], 1)
        return ops.concatenate([t[:, :, :1] * across, t, t[:, :, -1:] * across], 2)

    def call(self, y_hat, scales, blocks=None):
        """`blocks` may stand in for its own."""
        latent_scale, *block_scales = split_scales(scales)
        t, _ = self.latent_block(self.extended(y_hat), latent_scale)
        t = ops.cast(self.up(t * SLOW_LINEAR), "float32")
        t = ops.depth_to_space(t, 2)
        for block, scale in zip(blocks or self.blocks, block_scales, strict=True):
            t, _ = block(t, scale)
        x_hat = ops.cast(self.last(t * SLOW_LINEAR), "float32")
        # Cells of 8 x 8 pixels that lie half beyond the border.
        return ops.depth_to_space(x_hat, 8)[:, 4:-4, 4:-4]


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


class HyperAnalysisTransform(Sequence):
    """Latents y [B, h, w, LATENTS], in steps -> z, not rounded [B, h/4, w/4, HYPER]."""

    def __init__(self):
        super().__init__()
        self.first = conv(HYPER, 3, strides=2, name="first")
        self.last = conv(HYPER, 3, strides=2, name="last")

    def call(self, y):
        t = activate(self.first(ops.sign(y) * ops.log1p(ops.abs(y))))
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

    def __init__(
        self, filters, size, *, input_bits, output_bits, limit, name, bias=0.0
    ):
        """Integer inputs (outputs) count in 2^-input_bits (2^-output_bits)."""
        super().__init__(name=name)
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
            IntegerConv(4 * HYPER, 3, input_bits=4, name="layer_0", **inner),
            IntegerConv(4 * HYPER, 3, input_bits=5, name="layer_1", **inner),
            IntegerConv(LATENTS, 1, input_bits=5, name="layer_2", **outer, bias=bias),
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
        self.up = [conv(4 * HYPER, 3, name=f"up_{i}") for i in range(2)]
        self.hyper = conv(CONTEXT, 1, name="hyper")
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
            conv(96, 3, name=f"mix_of_{n}") for n in steps[1:]
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
            t = ops.depth_to_space(activate(layer(t)), 2)
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
                mixed = activate(self.mix[step - 1](ops.concatenate(context, axis=-1)))
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

        def table(name, row):
            first = Kernel(np.tile(row, (QUALITY_ANCHORS, 1)))
            shape = (QUALITY_ANCHORS, len(row))
            return self.add_weight(shape=shape, initializer=first, name=name)

        spread = np.log(start().lapped_spread)  # of orthonormal latents
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
