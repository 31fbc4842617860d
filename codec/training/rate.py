"""Rounding with gradients, and the probability models that stand for the tables."""

import math

from keras import ops

from codec.networks.quantization import rounding_for


def straight_through(value, target):
    """`target` in the forward pass, the gradient of `value` in the backward pass."""
    return value + ops.stop_gradient(target - value)


def round_magnitude(value, rounding):
    """sign(value) * max(0, floor(|value| + rounding)), gradients straight through."""
    magnitude = ops.relu(ops.floor(ops.abs(value) + rounding))
    return straight_through(value, ops.sign(value) * magnitude)


def interval_bits(value, cdf):
    """-log2 of the mass of [value - 0.5, value + 0.5] under a symmetric cdf."""
    distance = ops.abs(value)
    mass = cdf(0.5 - distance) - cdf(-0.5 - distance)
    return -ops.log(ops.maximum(mass, 1e-12)) / math.log(2)


def residual_cdf(value, scale):
    """A Gaussian with 5 % of a logistic of the same scale.

    The heavier tail is nearer the truth, and keeps a gradient far out.
    """
    gaussian = 0.5 * ops.erfc(-value / scale * math.sqrt(0.5))
    return 0.95 * gaussian + 0.05 * ops.sigmoid(value / scale)


def rounding_of_scale(scale):
    """The encoder's rounding of a residual of this scale, see `round_magnitude`."""

    def cdf(value):
        return residual_cdf(value, scale)

    bits = interval_bits(1.0, cdf) - interval_bits(0.0, cdf)
    return ops.clip(rounding_for(bits), 0, 0.5)


def logistic_cdf(value, scale):
    return ops.sigmoid(value / scale)
