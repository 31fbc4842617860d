"""Layers that the networks are made of; Keras 3, any backend."""

import numpy as np
from keras import layers, ops

from codec.training.dimensions import BLOCK_SCALES


def conv(filters, size, padding="same", **options):
    return layers.Conv2D(filters, size, padding=padding, **options)


def activate(x, leak):
    """A ReLU; with a `leak`, its slope below zero, no unit dies."""
    return ops.leaky_relu(x, leak) if leak else ops.relu(x)


class Network(layers.Layer):
    """Base of all transforms: float32 outside, whatever the policy inside.

    Sums along a skip path stay in float32: in bfloat16 they would cost more than a
    quantization step at high quality.
    """

    def __init__(self, **options):
        super().__init__(dtype="float32", **options)


class Residual(Network):
    """x + scale * conv1x1(activation(conv3x3(x))), the 1 x 1 starting at zero."""

    def __init__(self, channels, width, leak, **options):
        super().__init__(**options)
        self.leak = leak
        self.wide = conv(width, 3, name="wide")
        self.out = conv(channels, 1, kernel_initializer="zeros", name="out")

    def call(self, x, scale=1.0):
        """(output, activations inside)."""
        wide = activate(self.wide(x), self.leak)
        return x + ops.cast(self.out(wide), "float32") * scale, wide

    def pullback(self, gradient, scale, wide):
        """Gradient with respect to x, given that of the output and what is inside."""
        slope = ops.where(wide > 0, 1.0, self.leak)
        inner = adjoint(self.out, gradient * scale) * ops.cast(slope, "float32")
        return gradient + adjoint(self.wide, inner)


def adjoint(layer, gradient):
    """Gradient with respect to the input of a convolution of stride 1: padded to the
    same size if the convolution is, else larger.
    """
    height, width = layer.kernel.shape[:2]
    if layer.padding == "valid":
        margins = (height - 1, height - 1), (width - 1, width - 1)
        gradient = ops.pad(gradient, ((0, 0), *margins, (0, 0)))
    kernel = ops.transpose(ops.flip(layer.kernel, (0, 1)), (0, 1, 3, 2))
    return ops.conv(gradient, kernel, padding=layer.padding)


def plain(*layers):
    """Places of convolutions in a graph, as `stored` gives them, with no constants."""
    return [(layer, 1.0, 1.0) for layer in layers]


def of_blocks(*blocks):
    """Places of the convolutions of residual blocks, see `plain`."""
    return plain(*(layer for block in blocks for layer in (block.wide, block.out)))


def split_scales(scales):
    return ops.split(scales, np.cumsum(BLOCK_SCALES)[:-1].tolist(), axis=-1)
