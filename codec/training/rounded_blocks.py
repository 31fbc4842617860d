"""The residual branches as in the int8 graphs, for training: rounded to 8 bits, with
straight-through gradients (after Jacob et al., "Quantization and Training of Neural
Networks for Efficient Integer-Arithmetic-Only Inference", CVPR 2018, section 3).

As in `codec.training.int8`, but ranges are the largest magnitudes of the batch, and
kernels are rounded to the nearest.
"""

from keras import ops

from codec.training.layers import activate
from codec.training.rate import straight_through
from codec.training.weight_rounding import LEVELS, SMALLEST, TINIEST


def rounded(x, largest):
    """x to 8 bits, of the range [-largest, largest]."""
    step = largest / LEVELS
    return straight_through(x, ops.round(x / step) * step)


def range_of(x):
    """The largest magnitude by channel [1, 1, 1, C] of x [B, H, W, C]."""
    largest = ops.max(ops.abs(ops.stop_gradient(x)), (0, 1, 2), keepdims=True)
    return ops.maximum(largest, SMALLEST)


def convolved(x, ranges, layer):
    """As the convolution `layer`, of x in 8 bits by channel and with its kernel in 8
    bits by output; `ranges` are those of x.
    """
    by_input = ops.reshape(ranges, (-1, 1))
    kernel = layer.kernel * by_input
    limit = ops.max(ops.abs(ops.stop_gradient(kernel)), (0, 1, 2), keepdims=True)
    kernel = rounded(kernel, ops.maximum(limit, TINIEST)) / by_input
    x, kernel = (ops.cast(v, layer.compute_dtype) for v in (rounded(x, ranges), kernel))
    return ops.cast(ops.conv(x, kernel, padding=layer.padding), "float32") + layer.bias


class Rounded:
    """A residual block in 8 bits."""

    def __init__(self, block):
        self.block = block

    def __call__(self, x, scale=1.0):
        """(output, nothing), as a residual block."""
        before = convolved(x, range_of(x), self.block.wide)
        wide = activate(rounded(before, range_of(before)), self.block.leak)
        added = convolved(wide, range_of(wide), self.block.out)
        return x + rounded(added, range_of(added)) * scale, None


def rounded_blocks(codec):
    """(blocks of the analysis, of the synthesis), to stand in for theirs."""
    return tuple(
        [Rounded(block) for block in network.blocks]
        for network in (codec.analysis, codec.synthesis)
    )
