"""Visible contrast error after ColorVideoVDP as a loss, on any backend.

Mantiuk et al., "ColorVideoVDP: A visual difference predictor for image, video and
display distortions", SIGGRAPH 2024: the luminance of a picture on the display
`standard_fhd`, in bands of a Laplacian pyramid, weighted by contrast sensitivity and
masked by the contrast that is there anyway. Without color, which the other terms of the
objective have. Filters are products with banded matrices.
"""

from functools import cache

import numpy as np
from keras import ops

from codec.training.colors import linear_light

LUMINANCE = (0.2126, 0.7152, 0.0722)  # BT.709
PEAK, BLACK = 199.8, 0.598  # cd/m^2, and what the screen reflects
# Logarithm of the sensitivity by that of the luminance, a parabola for each band from
# the finest on, at 37.8 pixels per degree: fitted to the table of castleCSF.
SENSITIVITY = (
    (0.3846, 0.9628, -0.1786),
    (1.5177, 0.6862, -0.1311),
    (1.875, 0.5166, -0.1021),
    (1.9633, 0.347, -0.073),
    (1.8202, 0.1647, -0.0285),
)
SENSITIVITY_CORRECTION_DB = -0.27974
BAND_GAIN = (1.0, 2.0, 2.0, 2.0, 2.0)  # of a Laplacian pyramid
MASK_P, MASK_Q = 2.264355, 1.302623
MASK_GAIN, MASK_SPREAD = 2**-0.1895, 10**-0.795497
LARGEST = 10**2.564245  # difference that one place may count
POOLED = 0.577918
FILTER = (0.05, 0.25, 0.4, 0.25, 0.05)
MASK_SIGMA_PX, MASK_REACH_PX = 3.0, 6
TINY = 1e-6  # no infinite slopes at zero
JOD_SCALE, JOD_POWER = 0.0439569, 0.9302  # of the distance, fitted on 30 pictures


def distance(reference, distorted):
    """[B] of images [B, H, W, 3] of sRGB in [0, 1]: 0 for equal ones, and about the
    squared error in gray levels over 1.72. Sides are multiples of 32.
    """
    level = ops.stack([luminance(reference), luminance(distorted)])
    total = 0.0
    for sensitivity, gain in zip(SENSITIVITY, BAND_GAIN, strict=True):
        height, width = level.shape[-2:]
        low = separable(reduce_matrix, level, height, width)
        around = separable(expand_matrix, low, height, width)
        around = ops.maximum(around, 0.01)
        adapted_to, _ = ops.unstack(around, 2)
        contrast = (level - around) / around * gain * sensitive(adapted_to, sensitivity)
        error = ops.square(difference(*ops.unstack(contrast, 2)))
        total = total + ops.square(ops.mean(error, (-2, -1)))
        level = low
    return POOLED * (total + TINY**2) ** 0.25


def jod(reference, distorted):
    """Just-objectionable differences [B], 10 for equal images, about: the measure of
    ColorVideoVDP; see `distance`.
    """
    return 10 - JOD_SCALE * distance(reference, distorted) ** JOD_POWER


def luminance(image):
    """cd/m^2 [B, H, W] that reach the eye."""
    light = ops.unstack(linear_light(image), 3, -1)
    weighted = sum(w * color for w, color in zip(LUMINANCE, light, strict=True))
    return PEAK * weighted + BLACK


def sensitive(light, coefficients):
    """Contrast sensitivity at a luminance."""
    constant, linear, square = coefficients
    level = ops.log10(light)
    exponent = constant + linear * level + square * level**2
    return 10 ** (exponent + SENSITIVITY_CORRECTION_DB / 20)


def difference(p, q):
    """What is seen of the difference of two contrasts [B, H, W], masked by what both
    have around.
    """
    common = ops.minimum(ops.abs(p), ops.abs(q))
    mask = separable(blur_matrix, common, *common.shape[-2:]) * MASK_SPREAD
    seen = (ops.abs(p - q) + TINY) ** MASK_P
    seen = seen / (1 + MASK_GAIN * (mask + TINY) ** MASK_Q)
    return LARGEST * seen / (LARGEST + seen)


def separable(matrix, image, height, width):
    """`matrix(height)` applied to the columns of [..., H, W], `matrix(width)` to its
    rows.
    """
    down, across = (ops.convert_to_tensor(matrix(side)) for side in (height, width))
    return ops.matmul(down, ops.matmul(image, ops.transpose(across)))


@cache
def reduce_matrix(size):
    """float32 [size / 2, size]: filtered, every second kept, mirrored at the ends."""
    matrix = np.zeros((-(-size // 2), size), "float32")
    for row, weights in enumerate(matrix):
        for offset, weight in zip(range(-2, 3), FILTER, strict=True):
            place = 2 * row + offset
            place = -1 - place if place < 0 else place
            place = 2 * size - 1 - place if place >= size else place
            weights[place] += weight
    return matrix


@cache
def expand_matrix(size):
    """float32 [size, size / 2]: filtered between the samples, the ends repeated."""
    half = -(-size // 2)
    matrix = np.zeros((size, half), "float32")
    for row, weights in enumerate(matrix):
        for offset, weight in zip(range(-2, 3), FILTER, strict=True):
            if (row + offset) % 2 == 0:
                weights[np.clip((row + offset) // 2, 0, half - 1)] += 2 * weight
    return matrix


@cache
def blur_matrix(size):
    """float32 [size, size]; rows sum to 1."""
    offset = np.arange(size)[:, None] - np.arange(size)
    weights = np.exp(-(offset**2) / (2 * MASK_SIGMA_PX**2))
    weights *= np.abs(offset) <= MASK_REACH_PX
    return (weights / weights.sum(1, keepdims=True)).astype("float32")
