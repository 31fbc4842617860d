"""The residual branches of the analysis and the synthesis in int8, for speed.

Skip paths, first and last layers stay float. Every tensor has one scale, fixed at
export, so that windows hardly change the result. Channels are brought to one range
first, by factors that go into the weights and into the multiplications beside a branch
(after Nagel et al., "Data-free quantization through weight equalization and bias
correction", ICCV 2019, but with ranges from photographs).
"""

import itertools
import math

import numpy as np
import tensorflow as tf
from ai_edge_quantizer.algorithm_manager import AlgorithmName
from ai_edge_quantizer.qtyping import TFLOperationName
from ai_edge_quantizer.quantizer import Quantizer
from keras import ops

from codec.file.header import QUALITY_CODE_MAX
from codec.networks.quantization import rounding_by_table
from codec.training.calibration import coder_of, decoder_vectors
from codec.training.layers import activate
from codec.training.weight_rounding import (
    LEVELS,
    SMALLEST,
    SecondMoments,
    rounded_kernel,
)

SCOPE = "int8"  # of the names of what is quantized
ADJOINT = "adjoint"  # likewise of what has its weights alone in int8, for size
SAMPLES = 1000  # places of each picture
# That are tried, of the largest magnitude.
RANGES = np.geomspace(1, 0.1, 12, dtype=np.float32)


class Watched:
    """A residual block that notes what it sees by channel: of its input, of what comes
    before the activations inside, of these, and of what it adds the largest magnitudes
    and values in SAMPLES places of each picture; and there the second moments of what
    its convolutions see.
    """

    def __init__(self, block):
        self.block, self.largest = block, 4 * [SMALLEST]
        self.values = [], [], [], []
        self.moments = [
            SecondMoments(math.prod(layer.kernel.shape[:3]))
            for layer in (block.wide, block.out)
        ]
        self.random = np.random.default_rng(0)

    def __call__(self, x, scale=1.0):
        before = self.block.wide(x)
        wide = activate(before, self.block.leak)
        seen = x, before, wide, self.block.out(wide)
        ones = [1, 1, 1, 1]
        near = tf.image.extract_patches(x, [1, 3, 3, 1], ones, ones, "SAME")
        rows = [by_place(tensor) for tensor in seen]
        self.largest = [
            np.maximum(so_far, np.abs(values).max(0))
            for so_far, values in zip(self.largest, rows, strict=True)
        ]
        places = self.random.integers(0, len(rows[0]), SAMPLES)
        for found, values in zip(self.values, rows, strict=True):
            found.append(values[places])
        for moments, values in zip(
            self.moments, (by_place(near), rows[2]), strict=True
        ):
            moments.add(values[places])
        return self.block(x, scale=scale)

    def ranges(self):
        """By channel of the four tensors."""
        return [
            best_range(np.concatenate(values), largest)
            for values, largest in zip(self.values, self.largest, strict=True)
        ]


def by_place(tensor):
    """As an array [places, channels]."""
    return ops.convert_to_numpy(ops.reshape(tensor, (-1, tensor.shape[-1])))


def best_range(values, largest):
    """The range [C], at most the `largest` magnitude, by which 8 bits change values
    [n, C] least in the square.
    """

    def error(share):
        step = share * largest / LEVELS
        rounded = np.clip(np.rint(values / step), -LEVELS, LEVELS) * step
        return np.square(rounded - values).mean(0)

    best = RANGES[np.argmin([error(share) for share in RANGES], 0)]
    return np.maximum(largest * best, SMALLEST)


class Equalized:
    """A watched block, the same but for rounding, with channels of the range 1 in what
    is quantized. Activations have ranges of their own: of channels that are mostly
    negative the leak would leave them a tenth of the levels.
    """

    def __init__(self, watched, number):
        self.scope = f"{SCOPE}_{number}"
        wide, out = watched.block.wide, watched.block.out
        self.leak = watched.block.leak
        self.input_range, before, active, self.out_range = watched.ranges()
        self.activation = before / active
        self.ranges = {  # by the name of the tensor
            f"{self.scope}/input": (-1.0, 1.0),
            f"{self.scope}/before": (-1.0, 1.0),
            f"{self.scope}/wide": (-1.0, 1.0),
            f"{self.scope}/out": (-1.0, 1.0),
        }
        self.kernels, self.biases = [], []
        for layer, moments, inputs, outputs in (
            (wide, watched.moments[0], self.input_range, before),
            (out, watched.moments[1], active, self.out_range),
        ):
            kernel, bias = map(ops.convert_to_numpy, (layer.kernel, layer.bias))
            kernel = kernel * inputs[:, None] / outputs
            factors = np.tile(1 / inputs, math.prod(kernel.shape[:2]))
            seen = moments.of_scaled(factors)
            kernel, bias = rounded_kernel(kernel, bias / outputs, seen)
            self.kernels.append(kernel.astype(np.float32))
            self.biases.append(bias.astype(np.float32))

    def __call__(self, x, scale=1.0):
        """(output, nothing), as a residual block."""
        (wide_kernel, out_kernel), (wide_bias, out_bias) = self.kernels, self.biases
        with tf.name_scope(self.scope):
            t = tf.multiply(x, 1 / self.input_range, name="input")
            t = tf.nn.conv2d(t, wide_kernel, 1, "SAME")
            t = tf.nn.bias_add(t, wide_bias, name="before")
            t = tf.nn.leaky_relu(t, self.leak)
            t = tf.multiply(t, self.activation, name="wide")
            t = tf.nn.conv2d(t, out_kernel, 1, "SAME")
            t = tf.nn.bias_add(t, out_bias)
            # The limits keep the converter from putting the factors behind them into
            # the weights, where they would undo those before.
            t = tf.maximum(tf.minimum(t, 1.0), -1.0, name="out")
        return x + t * (scale * self.out_range), None


def equalized_blocks(codec, images, tables, skip_below):
    """(blocks of the analysis, of the synthesis) with the ranges seen in uint8 `images`
    [H, W, 3], each at a random quality.
    """
    random = np.random.default_rng(0)
    rounding = rounding_by_table(tables, skip_below)
    analysis, synthesis = (
        [Watched(block) for block in network.blocks]
        for network in (codec.analysis, codec.synthesis)
    )
    code_image = coder_of(codec)
    for image in images:
        code = int(random.integers(0, QUALITY_CODE_MAX + 1))
        codec.analysis(image[None].astype("float32") / 255 - 0.5, blocks=analysis)
        inverse_gain, block_scales = decoder_vectors(codec, code)
        *_, y_hat = code_image(image, code, rounding)
        codec.synthesis(y_hat * inverse_gain, block_scales, blocks=synthesis)
    return tuple(
        [Equalized(block, i) for i, block in enumerate(blocks)]
        for blocks in (analysis, synthesis)
    )


def quantize_branches(model, blocks, signature, inputs):
    """A float32 LiteRT model with the convolutions of the `Equalized` blocks in int8
    and the other weights as float16, those under `ADJOINT` in int8, too; `inputs` are
    any that the signature takes.
    """
    conv = TFLOperationName.CONV_2D
    quantizer = Quantizer(model)
    quantizer.add_weight_only_config(
        ".*", conv, num_bits=16, algorithm_key=AlgorithmName.FLOAT_CASTING
    )
    quantizer.add_weight_only_config(ADJOINT, conv, num_bits=8)
    quantizer.add_static_config(SCOPE, conv, activation_num_bits=8, weight_num_bits=8)
    found = quantizer.calibrate({signature: [inputs]})
    for name, (low, high) in itertools.chain(*(b.ranges.items() for b in blocks)):
        (limits,) = (found[tensor] for tensor in found if is_named(tensor, name))
        limits["min"] = np.full_like(limits["min"], low)
        limits["max"] = np.full_like(limits["max"], high)
    return quantizer.quantize(found).quantized_model


def is_named(tensor, name):
    """Whether a tensor, named after all operations in it, has `name` among them."""
    return any(f"/{part}".endswith(f"/{name}") for part in tensor.split(";"))
