"""Bjontegaard delta rate: how many fewer bits a codec takes for the same quality."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator


@dataclass(frozen=True)
class BdRate:
    """A comparison of two rate-quality curves.

    `percent` is the mean difference in rate, negative where the codec needs less than
    the anchor; `low` to `high` the range of quality that it is taken over.
    """

    percent: float
    low: float
    high: float


def bd_rate(
    anchor_rate: Sequence[float],
    anchor_quality: Sequence[float],
    rate: Sequence[float],
    quality: Sequence[float],
    between: tuple[float, float] = (-math.inf, math.inf),
) -> BdRate:
    """Rate of a codec against the anchor's, over the qualities that both curves reach
    and that lie in `between`.

    Rates are in any one unit above zero (bits per pixel), qualities in dB, larger is
    better; the points may come in any order. Log rate as a function of quality is
    interpolated by PCHIP, and the result is
    100 (exp(mean of log rate - log anchor rate) - 1). After Bjontegaard, VCEG-M33
    (2001), with the interpolation that JCT-VC took on later. Raises ValueError for
    curves without two increasing points or without a common range.
    """
    if any(map(math.isnan, between)):
        raise ValueError("there is no range of quality to compare in")
    anchor_curve = increasing_curve(anchor_rate, anchor_quality)
    curve = increasing_curve(rate, quality)
    low = float(max(anchor_curve[1][0], curve[1][0], between[0]))
    high = float(min(anchor_curve[1][-1], curve[1][-1], between[1]))
    if not low < high:
        raise ValueError("the curves have no range of quality in common")
    difference = mean_log_rate(curve, low, high) - mean_log_rate(
        anchor_curve, low, high
    )
    percent = 100 * float(np.expm1(difference))
    return BdRate(percent, low, high)


def increasing_curve(
    rate: Sequence[float], quality: Sequence[float]
) -> NDArray[np.float64]:
    """float64 [2, N] of rates and qualities that both increase.

    A point is left out when another has at least its quality for no more rate: nobody
    would choose it, and the interpolation needs qualities that increase.
    """
    points = np.array([rate, quality], np.float64)
    if not np.isfinite(points).all() or (points[0] <= 0).any():
        raise ValueError("rates and qualities must be finite, rates above zero")
    points = points[:, np.lexsort((-points[1], points[0]))]
    best_before = np.maximum.accumulate(np.append(-np.inf, points[1]))[:-1]
    kept = points[1] > best_before
    if kept.sum() < 2:
        raise ValueError("a curve needs two points of increasing rate and quality")
    return points[:, kept]


def mean_log_rate(curve: NDArray[np.float64], low: float, high: float) -> float:
    """Mean over qualities `low` to `high` of log rate along a curve [2, N]."""
    log_rate = PchipInterpolator(curve[1], np.log(curve[0]))
    return float(log_rate.integrate(low, high)) / (high - low)
