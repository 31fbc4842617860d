"""Hyper-analysis, and the integer network from hyper-latents to table indices."""

import keras
from keras import ops

from codec.training.dimensions import HYPER, LATENTS
from codec.training.layers import Network, activate, conv
from codec.training.mean_context import LATENT_ORDER
from codec.training.quality import SCALE_LEVELS
from codec.training.rate import straight_through
from codec.training.transform_coder import first_index

HYPER_STEP = 4  # factor on what is rounded, so that it finds something at the start
HYPER_LIMIT = 127  # hyper-latents are integers in [-127, 127]
ACTIVATION_LIMIT = 255  # activations of the integer network lie in [0, 255]


class HyperAnalysisTransform(Network):
    """Latents y [B, h, w, LATENTS], in steps -> z, not rounded [B, h/4, w/4, HYPER]."""

    def __init__(self, leak, **options):
        super().__init__(**options)
        self.leak = leak
        self.first = conv(HYPER, 3, strides=2, name="first")
        self.last = conv(HYPER, 3, strides=2, name="last")

    def call(self, y):
        t = self.first(ops.sign(y) * ops.log1p(ops.abs(y)))
        t = activate(t, self.leak)
        z = ops.cast(self.last(t), "float32") * HYPER_STEP
        return ops.clip(z, -HYPER_LIMIT, HYPER_LIMIT)


class IntegerConv(Network):
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


class ScaleNetwork(Network):
    """Integer z_hat [B, h/4, w/4, HYPER] -> table index [B, h, w, LATENTS].

    `offset` [B, 1, 1, 1] is `index_offset` of the quality level.
    """

    def __init__(self, **options):
        super().__init__(**options)
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
