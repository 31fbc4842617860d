"""What a quality level in [0, 1] means: weight of the distortion, steps, tables."""

import math

from keras import ops

QUALITY_ANCHORS = 8  # qualities with vectors of their own; in between, interpolation
LMBDA_MIN, LMBDA_MAX = 0.0006, 0.2  # loss = bits per pixel + lmbda * 255^2 * MSE
SCALE_MIN, SCALE_MAX, SCALE_LEVELS = 0.11, 64.0, 64
INDEX_OFFSET_MAX = 29  # 0.5 * log(LMBDA_MAX / LMBDA_MIN) in levels of the scale


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
