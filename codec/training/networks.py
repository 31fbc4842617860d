"""The codec's networks, from image to latents and back; Keras 3, any backend.

Notation (Ballé et al., "Variational image compression with a scale hyperprior", ICLR 2018;
Minnen et al., "Joint autoregressive and hierarchical priors", NeurIPS 2018):

    x --analysis--> y --hyper_analysis--> z --round--> z_hat --scales--> table index
                    y, z_hat --mean_context--> mean ; r = round(y - mean) ; y_hat = r +
                    mean
                    y_hat --synthesis--> x_hat

Tensors are float32 [batch, height, width, channels]. Images x are in [-0.5, 0.5]; y has
one
cell per 16 x 16 pixels, z one per 64 x 64. The *gain* of a quality takes y from image
units to
quantisation steps. Everything starts as a lapped block transform coder (16 x 16 DCT):
the
convolutions that could spoil it start at zero.

This file knows nothing of files, tables or training data.
"""

import math

import keras
import numpy as np
from keras import layers, ops

STRIDE_PX = 64  # one hyper-latent cell
LATENT_PX = 16  # one latent cell
CHANNELS = 128  # of the features at 1/8
BLOCKS = 3  # residual blocks on either side
LATENTS = 320
HYPER = 96
CONTEXT = (
    64  # width of what the mean sees of the hyper-latents and of the known latents
)
CONTEXT_STEPS = 4

QUALITY_ANCHORS = (
    8  # qualities with gains of their own; between them: interpolation of the logarithm
)
LMBDA_MIN, LMBDA_MAX = 0.0006, 0.2  # loss = bits per pixel + lmbda * 255^2 * MSE

# the layers that make pixels and means learn this much slower: with 1 the training
# diverges
SLOW = 0.1

SCALE_MIN, SCALE_MAX, SCALE_LEVELS = 0.11, 64.0, 64
INDEX_OFFSET_MAX = 29  # 0.5 * log(LMBDA_MAX / LMBDA_MIN) in levels of the scale
HYPER_LIMIT = 127  # hyper-latents are integers in [-127, 127]
ACTIVATION_LIMIT = 255  # activations of the integer network lie in [0, 255]
LEAK = 0.05  # gradient beyond those limits, so that nothing stays stuck there


def lmbda_of_level(level):
    """Weight of the distortion at quality level 0 to 1; log-linear."""
    return LMBDA_MIN * (LMBDA_MAX / LMBDA_MIN) ** level


def index_offset(level):
    """Integer added to every table index: scales grow with the gain, whose logarithm is
    linear in the level.
    """
    return ops.floor(level * INDEX_OFFSET_MAX + 0.5)


def anchor_weights(level):
    """Linear interpolation weights: [batch] in [0, 1] -> [batch, QUALITY_ANCHORS]."""
    position = level[:, None] * (QUALITY_ANCHORS - 1)
    return ops.relu(
        1 - ops.abs(position - ops.arange(QUALITY_ANCHORS, dtype="float32"))
    )


def straight_through(value, target):
    """`target` in the forward pass, the gradient of `value` in the backward pass."""
    return value + ops.stop_gradient(target - value)


def dct_matrix(n):
    """Orthonormal DCT-II, float64 [frequency, position]."""
    k, i = np.arange(n)[:, None], np.arange(n)[None]
    matrix = np.cos(np.pi * (2 * i + 1) * k / (2 * n)) * np.sqrt(2 / n)
    matrix[0] /= np.sqrt(2)
    return matrix


def dct_basis(n, counts):
    """The lowest n x n DCT functions of an orthonormal color transform: [sum(counts),
    n, n, 3].
    """
    color = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], float)
    color /= np.linalg.norm(color, axis=1, keepdims=True)
    d = dct_matrix(n)
    order = sorted(
        ((u, v) for u in range(n) for v in range(n)),
        key=lambda t: t[0] ** 2 + t[1] ** 2,
    )
    return np.array(
        [
            np.einsum("i,j,c->ijc", d[u], d[v], color[c])
            for c, count in enumerate(counts)
            for u, v in order[:count]
        ]
    )


def transform_kernels():
    """Initial kernels: [CHANNELS, 192] for 8 x 8 blocks, [LATENTS, 4 * CHANNELS] for 2
    x 2 of those.

    The second is the 16 x 16 DCT expressed in the 8 x 8 one, so the two together start
    as
    a 16 x 16 DCT with the highest frequencies left out.
    """
    chroma8 = (CHANNELS - 64) // 2
    basis8 = dct_basis(8, (64, chroma8, chroma8)).reshape(CHANNELS, 192)
    chroma16 = round(LATENTS * 0.18)
    basis16 = dct_basis(16, (LATENTS - 2 * chroma16, chroma16, chroma16))
    quarters = [
        basis16[:, i : i + 8, j : j + 8].reshape(LATENTS, 192) @ basis8.T
        for i in (0, 8)
        for j in (0, 8)
    ]
    return basis8, np.stack(quarters, axis=1).reshape(LATENTS, 4 * CHANNELS)


class CenterTap(keras.initializers.Initializer):
    """A convolution that starts as the matrix [outputs, inputs] applied at the center
    alone.
    """

    def __init__(self, matrix):
        self.matrix = np.asarray(matrix, "float32")

    def __call__(self, shape, dtype=None):
        kernel = np.zeros(shape, "float32")
        kernel[shape[0] // 2, shape[1] // 2] = self.matrix.T
        return ops.convert_to_tensor(kernel, dtype=dtype)


def conv(filters, size, **options):
    return layers.Conv2D(filters, size, padding="same", **options)


class Sequence(layers.Layer):
    """Base of all transforms: float32 outside, whatever the policy inside.

    Sums along a skip path stay in float32: in bfloat16 they would cost more than a
    quantisation step at high quality.
    """

    def __init__(self, **options):
        super().__init__(dtype="float32", **options)


class Residual(Sequence):
    """x + scale * conv1x1(relu(conv3x3(x))), the 1 x 1 starting at zero."""

    def __init__(self, channels):
        super().__init__()
        self.wide = conv(channels, 3, activation="relu")
        self.out = conv(channels, 1, kernel_initializer="zeros")

    def call(self, x, scale=1.0):
        return x + ops.cast(self.out(self.wide(x)), "float32") * (scale * SLOW)


class AnalysisTransform(Sequence):
    """Image [B, H, W, 3] -> latents before the gain [B, H/16, W/16, LATENTS]."""

    def __init__(self):
        super().__init__()
        k8, k16 = transform_kernels()
        self.first = conv(CHANNELS, 3, kernel_initializer=CenterTap(k8 / SLOW))
        self.blocks = [Residual(CHANNELS) for _ in range(BLOCKS)]
        self.last = conv(
            LATENTS, 1, kernel_initializer=CenterTap(k16 / SLOW), dtype="float32"
        )

    def call(self, x):
        t = ops.cast(self.first(ops.space_to_depth(x * SLOW, 8)), "float32")
        for block in self.blocks:
            t = block(t)
        return self.last(ops.space_to_depth(t, 2)) * SLOW


class SynthesisTransform(Sequence):
    """Latents after the inverse gain -> image; `scales` [B, 1, 1, BLOCKS * CHANNELS]
    depend on quality.
    """

    def __init__(self):
        super().__init__()
        k8, k16 = transform_kernels()
        self.first = conv(
            4 * CHANNELS, 1, kernel_initializer=CenterTap(k16.T / SLOW), dtype="float32"
        )
        self.blocks = [Residual(CHANNELS) for _ in range(BLOCKS)]
        self.last = conv(192, 3, kernel_initializer=CenterTap(k8.T / SLOW))

    def call(self, y_hat, scales):
        t = ops.depth_to_space(self.first(y_hat * SLOW), 2)
        for i, block in enumerate(self.blocks):
            t = block(t, scales[..., i * CHANNELS : (i + 1) * CHANNELS])
        return ops.depth_to_space(ops.cast(self.last(t), "float32"), 8) * SLOW


class HyperAnalysisTransform(Sequence):
    """Latents y [B, h, w, LATENTS], in steps -> hyper-latents before rounding [B, h/4,
    w/4, HYPER].
    """

    def __init__(self):
        super().__init__()
        self.first = conv(HYPER, 3, strides=2, activation="relu")
        self.last = conv(HYPER, 3, strides=2)

    def call(self, y):
        t = self.first(ops.sign(y) * ops.log1p(ops.abs(y)))
        z = ops.cast(self.last(t), "float32") * 4
        return ops.clip(z, -HYPER_LIMIT, HYPER_LIMIT)


class IntegerConv(Sequence):
    """Convolution with integer weights and integer activations, exact in float32.

    Trained weights are real; the forward pass sees `round(kernel * 2^fraction_bits)`,
    an integer
    bias, and the output `clip(floor(accumulator * 2^-shift + 0.5), 0, limit)`.
    Gradients pass straight
    through the rounding. See "Integer scale network" in codec/FORMAT.md.
    """

    fraction_bits = 8

    def __init__(self, filters, size, *, input_bits, output_bits, limit, bias=0.0):
        """An input (output) integer counts in 2^-input_bits (2^-output_bits) of the
        trained, real network.
        """
        super().__init__()
        self.filters, self.size, self.limit, self.first_bias = (
            filters,
            size,
            limit,
            bias,
        )
        self.output_bits, self.shift = (
            output_bits,
            self.fraction_bits + input_bits - output_bits,
        )

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
        """Kernel and bias as integer-valued float32; the bias counts in accumulator
        units.
        """
        kernel, bias = (
            self.kernel * 2.0**self.fraction_bits,
            self.bias * 2.0 ** (self.output_bits + self.shift),
        )
        return straight_through(kernel, ops.round(kernel)), straight_through(
            bias, ops.round(bias)
        )

    def call(self, x, offset=0.0):
        kernel, bias = self.integer_weights()
        accumulator = ops.conv(x, kernel, padding="same") + bias
        scaled = accumulator * 2.0**-self.shift + offset
        leaky = ops.clip(scaled, 0, self.limit) + LEAK * scaled
        return straight_through(leaky, ops.clip(ops.floor(scaled + 0.5), 0, self.limit))


def first_index():
    """Table index to start from at level 0, falling with frequency; negative means
    surely zero. float64 [LATENTS].
    """
    chroma = round(LATENTS * 0.18)
    return np.concatenate(
        [
            top - 7.8 * np.log(1.0 + np.arange(n))
            for top, n in ((32, LATENTS - 2 * chroma), (16, chroma), (16, chroma))
        ]
    )


class ScaleNetwork(Sequence):
    """Integer hyper-latents [B, h/4, w/4, HYPER] and integer offset [B, 1, 1, 1] ->
    table index [B, h, w, LATENTS].
    """

    def __init__(self):
        super().__init__()
        self.convs = [
            IntegerConv(
                4 * HYPER, 3, input_bits=4, output_bits=5, limit=ACTIVATION_LIMIT
            ),
            IntegerConv(
                4 * HYPER, 3, input_bits=5, output_bits=5, limit=ACTIVATION_LIMIT
            ),
            IntegerConv(
                LATENTS,
                1,
                input_bits=5,
                output_bits=3,
                limit=SCALE_LEVELS - 1,
                bias=first_index() / 8,
            ),
        ]

    def call(self, z_hat, offset):
        t = ops.depth_to_space(self.convs[0](z_hat), 2)
        t = ops.depth_to_space(self.convs[1](t), 2)
        return self.convs[2](t, offset)


def context_masks():
    """Which of the 2 x 2 positions and channels each step codes: float32
    [CONTEXT_STEPS, 4 * LATENTS].

    Channel group c mod 4 visits the positions of a 2 x 2 cell along the diagonal first,
    every group
    starting elsewhere, so that each step codes a quarter of the channels at each
    position.
    """
    rank = np.array([0, 2, 3, 1])  # of the positions (0, 0), (0, 1), (1, 0), (1, 1)
    group = np.arange(LATENTS) % CONTEXT_STEPS
    step_of = (group[None] + rank[:, None]) % CONTEXT_STEPS
    return np.stack(
        [(step_of == step).reshape(-1) for step in range(CONTEXT_STEPS)]
    ).astype("float32")


class MeanContext(Sequence):
    """The mean of each latent, from the hyper-latents and the latents of earlier steps.

    Four steps over 2 x 2 positions and channel groups (after Li et al., "Neural video
    compression with
    diverse contexts", CVPR 2023). Prediction happens in image units, where it hardly depends on quality.
    """

    def __init__(self):
        super().__init__()
        self.up = [conv(4 * HYPER, 3, activation="relu") for _ in range(2)]
        self.base = conv(LATENTS, 1, kernel_initializer="zeros", dtype="float32")
        self.hyper = conv(CONTEXT, 1)
        self.known = [conv(CONTEXT, 1) for _ in range(1, CONTEXT_STEPS)]
        self.mix = [conv(96, 3, activation="relu") for _ in range(1, CONTEXT_STEPS)]
        self.correct = [
            conv(LATENTS, 1, kernel_initializer="zeros", dtype="float32")
            for _ in range(1, CONTEXT_STEPS)
        ]

    def call(self, value, z_hat, gain, inverse_gain, rounding=0.5, subtract=1.0):
        """(difference, residual, y_hat), all [B, h, w, LATENTS].

        Encoding: `value` is y, `subtract` 1, difference = y - mean, the residual is the
        rounded difference.
        Decoding: `value` is the residual, `subtract` 0, so that both directions share
        every line.
        `rounding` is the fraction from which magnitudes are rounded up, counted from
        the next integer;
        strongly negative where nothing is to be coded.
        """
        t = z_hat / 16
        for layer in self.up:
            t = ops.depth_to_space(layer(t), 2)
        base, hyper = self.base(t) * SLOW, self.hyper(t)
        value = ops.space_to_depth(value, 2)
        if not isinstance(rounding, float):
            rounding = ops.space_to_depth(rounding, 2)
        difference = residual = y_hat = ops.zeros_like(value)
        mean = base
        for step, step_mask in enumerate(context_masks()):
            if step:
                known = self.known[step - 1](
                    ops.depth_to_space(y_hat, 2) * inverse_gain
                )
                mixed = self.mix[step - 1](ops.concatenate([hyper, known], axis=-1))
                mean = base + self.correct[step - 1](mixed) * SLOW
            step_mean = ops.space_to_depth(mean * gain, 2) * step_mask
            step_difference = value * step_mask - subtract * step_mean
            step_residual = round_magnitude(step_difference, rounding)
            difference, residual = (
                difference + step_difference,
                residual + step_residual,
            )
            y_hat = y_hat + step_residual + step_mean
        return tuple(
            ops.depth_to_space(part, 2) for part in (difference, residual, y_hat)
        )


def round_magnitude(value, rounding):
    """sign(value) * max(0, floor(|value| + rounding)), with a straight-through
    gradient.
    """
    return straight_through(
        value, ops.sign(value) * ops.relu(ops.floor(ops.abs(value) + rounding))
    )


def interval_bits(value, cdf):
    """-log2 of the mass of [value - 0.5, value + 0.5] under a symmetric cdf."""
    distance = ops.abs(value)
    return -ops.log(
        ops.maximum(cdf(0.5 - distance) - cdf(-0.5 - distance), 1e-12)
    ) / math.log(2)


def residual_cdf(value, scale):
    """A Gaussian with 5 % of a logistic: its heavier tail is nearer the truth and keeps
    a gradient far out.
    """
    gaussian = 0.5 * ops.erfc(-value / scale * math.sqrt(0.5))
    return 0.95 * gaussian + 0.05 * ops.sigmoid(value / scale)


class Codec(keras.Model):
    """All networks and the per-quality vectors; `call` estimates rate and distortion.

    Workflow of `call`, on images [B, H, W, 3] in [-0.5, 0.5] and quality levels [B] in
    [0, 1]: uniform
    noise stands for rounding where the rate is estimated, rounding with straight-
    through gradients
    feeds the synthesis (Minnen & Singh, "Channel-wise autoregressive entropy models", ICIP 2020).
    """

    def __init__(self):
        super().__init__(dtype="float32")
        self.analysis, self.synthesis = AnalysisTransform(), SynthesisTransform()
        self.hyper_analysis, self.scales, self.mean_context = (
            HyperAnalysisTransform(),
            ScaleNetwork(),
            MeanContext(),
        )

        def table(name, width):
            return self.add_weight(
                shape=(QUALITY_ANCHORS, width), initializer="zeros", name=name
            )

        self.log_gain, self.log_inverse_gain = (
            table("log_gain", LATENTS),
            table("log_inverse_gain", LATENTS),
        )
        self.block_scale = table("block_scale", BLOCKS * CHANNELS)
        self.hyper_mean, self.hyper_width = (
            table("hyper_mean", HYPER),
            table("hyper_width", HYPER),
        )
        self.noise = keras.random.SeedGenerator(1)

    def quality_vectors(self, level):
        """(gain, inverse_gain, block_scales) of levels [B]: each [B, 1, 1, channels]."""
        weights = anchor_weights(level)
        # The best uniform step at high rate, three samples per pixel; latents are in
        # 1/255 of a gray level.
        start = (
            math.log(255)
            - 0.5 * ops.log(18 / (math.log(2) * lmbda_of_level(level)))[:, None]
        )
        gain = ops.exp(start + ops.matmul(weights, self.log_gain))
        inverse_gain = ops.exp(-start + ops.matmul(weights, self.log_inverse_gain))
        scales = 1 + ops.matmul(weights, self.block_scale)
        return tuple(vector[:, None, None] for vector in (gain, inverse_gain, scales))

    def hyper_bits(self, z, level):
        weights = anchor_weights(level)
        mean = (ops.matmul(weights, self.hyper_mean) * 4)[:, None, None]
        width = (ops.softplus(ops.matmul(weights, self.hyper_width) * 4 + 2.0) + 0.05)[
            :, None, None
        ]
        return interval_bits(z - mean, lambda v: ops.sigmoid(v / width))

    def call(self, x, level, training=False):
        """Bits per image [B] (latents and hyper-latents) and reconstruction x_hat."""

        def noisy(value):
            if training:
                return value + keras.random.uniform(
                    ops.shape(value), -0.5, 0.5, seed=self.noise
                )
            return ops.round(value)

        gain, inverse_gain, block_scales = self.quality_vectors(level)
        y = self.analysis(x) * gain
        z = self.hyper_analysis(y)
        z_hat = straight_through(z, ops.round(z))
        index = self.scales(z_hat, index_offset(level)[:, None, None, None])
        difference, _, y_hat = self.mean_context(y, z_hat, gain, inverse_gain)
        scale = SCALE_MIN * ops.exp(
            index * (math.log(SCALE_MAX / SCALE_MIN) / (SCALE_LEVELS - 1))
        )
        bits = interval_bits(noisy(difference), lambda v: residual_cdf(v, scale))
        x_hat = self.synthesis(y_hat * inverse_gain, block_scales)
        hyper_bits = self.hyper_bits(noisy(z), level)
        return {
            "latent_bits": ops.sum(bits, (1, 2, 3)),
            "hyper_bits": ops.sum(hyper_bits, (1, 2, 3)),
            "x_hat": x_hat,
        }
