"""How the encoder rounds residuals. The decoder does not know."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codec.entropy.tables import PRECISION_BITS, Tables

# Bits that one squared quantization step of error is worth: the slope of the rate of a
# uniform quantizer at high rate, which the gains are trained for.
STEP_WEIGHT = 6 / math.log(2)
# Share of the rate that counts, as in training. BD-rate against 0 (rounding to the
# nearest), of model 4 on eight of the validation crops: -0.56 % at 0.3, -0.59 % at 0.5,
# -0.39 % at 0.7.
RATE_SHARE = 0.5
NOT_CODED = -(2.0**20)  # so low that every magnitude becomes 0


def rounding_for(bits: Any, rate_share: float = RATE_SHARE) -> Any:
    """What is added to a magnitude before floor, where a 1 costs so many `bits` more
    than a 0: a number, array or tensor, not yet clipped to [0, 1/2].

    Below 1/2 a residual has to be worth its bits (rate-distortion optimized
    quantization). A magnitude d becomes 1 and not 0 if bits < w (d^2 - (1 - d)^2), w
    being `STEP_WEIGHT`.
    """
    return 0.5 - rate_share * bits / (2 * STEP_WEIGHT)


def rounding_by_table(
    tables: Tables, skip_below: int, rate_share: float = RATE_SHARE
) -> NDArray[np.float32]:
    """What is added to magnitudes before floor, by table index: float32 [256].

    A magnitude d becomes floor(d + rounding), at least 0. With a `rate_share` of 0 it
    is rounded to the nearest. Residuals of tables under `skip_below` are not coded.
    """
    rounding = np.full(256, NOT_CODED, np.float32)
    coded = np.arange(skip_below, len(tables.length))
    zero = -tables.minimum[coded]
    one = np.minimum(zero + 1, tables.length[coded] - 1)  # the escape, if there is no 1
    bits = PRECISION_BITS - np.log2(tables.frequency[coded, [zero, one]])
    rounding[coded] = np.clip(rounding_for(bits[1] - bits[0], rate_share), 0, 0.5)
    return rounding
