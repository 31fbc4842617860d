"""SSIMULACRA 2 as a loss: differentiable, on any backend.

Constants are those of the measure, `codec/picture/ssimulacra2.py`. Blurs are products
with banded matrices, each row summing to 1: on CPUs many times faster than convolutions
of one channel.
"""

from functools import cache

import numpy as np
from keras import ops

from codec.picture.ssimulacra2 import (
    ABSORBANCE,
    BIAS,
    BLUR_REACH_PX,
    BLUR_SIGMA_PX,
    C2,
    POLYNOMIAL,
    SCALES,
    SCORE_POWER,
    SUM_SCALE,
    WEIGHTS,
)
from codec.training.colors import linear_light

DARKEST = 0.5 * BIAS  # no infinite slope of the cube root
SMALLEST = 1e-16  # likewise of the fourth root


def distance(reference, distorted):
    """[B] of images [B, H, W, 3] of sRGB in [0, 1]: 0 for equal ones, and about the
    squared error in gray levels over 2.1. Sides are multiples of 32.
    """
    total = 0.0
    images = [
        ops.transpose(linear_light(image), (0, 3, 1, 2))
        for image in (reference, distorted)
    ]
    for scale in range(SCALES):
        if scale:
            images = [halve(image) for image in images]
        found = differences(*(opponent_colors(image) for image in images))
        weights = ops.convert_to_tensor(WEIGHTS[:, scale], "float32")
        total = total + ops.sum(found * weights, (1, 2))
    total = SUM_SCALE * total
    first, second, third = POLYNOMIAL
    return total * (first + total * (second + total * third))


def score(reference, distorted):
    """The score [B], 100 for equal images; see `distance`."""
    found = ops.maximum(distance(reference, distorted), 1e-6)
    return 100 - 10 * found**SCORE_POWER


def opponent_colors(image):
    """X, Y and B [B, 3, H, W], made positive, of linear RGB [B, 3, H, W]."""
    colors = ops.unstack(image, 3, 1)
    rows = [
        sum(float(weight) * color for weight, color in zip(row, colors, strict=True))
        for row in ABSORBANCE
    ]
    long, middle, short = (
        ops.maximum(row + BIAS, DARKEST) ** (1 / 3) - BIAS ** (1 / 3) for row in rows
    )
    x, y = 0.5 * (long - middle), 0.5 * (long + middle)
    return ops.stack([14 * x + 0.42, y + 0.01, short - y + 0.55], 1)


def differences(p, q):
    """[B, 3, 6] of opponent colors [B, 3, H, W]: means and fourth norms of lost
    structure, of what rings, and of what is blurred.
    """
    mean_p, mean_q, squares_p, squares_q, product = ops.unstack(
        blur(ops.stack([p, q, p * p, q * q, p * q])), 5
    )
    variance_p, variance_q = squares_p - mean_p**2, squares_q - mean_q**2
    similarity = (2 * (product - mean_p * mean_q) + C2) / (variance_p + variance_q + C2)
    structure = ops.maximum(1 - (1 - (mean_p - mean_q) ** 2) * similarity, 0)
    edge = (1 + ops.abs(q - mean_q)) / (1 + ops.abs(p - mean_p)) - 1
    maps = ops.stack([structure, ops.maximum(edge, 0), ops.maximum(-edge, 0)], 2)
    means = ops.mean(maps, (3, 4))
    fourth = ops.maximum(ops.mean(ops.square(ops.square(maps)), (3, 4)), SMALLEST)
    return ops.concatenate([means, ops.sqrt(ops.sqrt(fourth))], 2)


def blur(image):
    """Gaussian-weighted means around each pixel of [..., H, W]."""
    rows, columns = (ops.convert_to_tensor(blur_matrix(n)) for n in image.shape[-2:])
    return ops.matmul(rows, ops.matmul(image, ops.transpose(columns)))


@cache
def blur_matrix(size):
    """float32 [size, size]; rows sum to 1."""
    offset = np.arange(size)[:, None] - np.arange(size)
    weights = np.exp(-(offset**2) / (2 * BLUR_SIGMA_PX**2))
    weights *= np.abs(offset) <= BLUR_REACH_PX
    return (weights / weights.sum(1, keepdims=True)).astype("float32")


def halve(image):
    """Averages of 2 x 2 pixels of [B, C, H, W], H and W even."""
    height, width = image.shape[-2:]
    squares = (-1, image.shape[1], height // 2, 2, width // 2, 2)
    return ops.mean(ops.reshape(image, squares), (3, 5))
