"""BD-rates of all codecs of a run against the anchor."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

import numpy as np
from numpy.typing import NDArray

from benchmarks.bd_rate import bd_rate, increasing_curve
from benchmarks.codecs import ANCHOR
from benchmarks.measurement import File, Measurement
from benchmarks.metrics import METRICS
from benchmarks.results import Average, Point

Row = File | Point
Range = tuple[float, float]


@dataclass(frozen=True)
class Comparison:
    """BD-rates in percent of a codec against the anchor, NaN where there is none.

    `percent` is that of the mean curves over all the quality from `low` to `high` that
    both reach; `common_percent` over the range that all codecs of the run reach; the
    others are taken image by image, of those that have one. The mean is that of the
    ratios of rates, along a logarithm: where a codec's number means a quality and not a
    step, mean curves mix easy with hard pictures, and only it compares like with like.
    """

    codec: str
    metric: str
    percent: float
    low: float
    high: float
    common_percent: float
    common_low: float
    common_high: float
    image_mean: float
    image_median: float
    image_least: float
    image_most: float


def points(rows: Iterable[Row], metric: str) -> tuple[list[float], list[float]]:
    """(rates, qualities)."""
    even = METRICS[metric].even
    pairs = [(row.bpp, even(getattr(row, metric))) for row in rows]
    return [rate for rate, _ in pairs], [quality for _, quality in pairs]


def measured(rows: Sequence[Row]) -> list[str]:
    """The metrics that any of the rows has."""
    return [
        metric
        for metric in METRICS
        if not all(math.isnan(getattr(row, metric)) for row in rows)
    ]


def compare(
    averages: Sequence[Average], measurements: Sequence[Measurement]
) -> list[Comparison]:
    """Every codec but the anchor in every metric that was measured; nothing without the
    anchor.
    """
    codecs = list(dict.fromkeys(row.codec for row in averages))
    if ANCHOR not in codecs:
        return []
    return [
        comparison(averages, measurements, codecs, codec, metric)
        for metric in measured(averages)
        for codec in codecs
        if codec != ANCHOR
    ]


def comparison(
    averages: Sequence[Average],
    measurements: Sequence[Measurement],
    codecs: Sequence[str],
    codec: str,
    metric: str,
) -> Comparison:
    def curve(rows: Iterable[Row], name: str) -> tuple[list[float], list[float]]:
        return points((row for row in rows if row.codec == name), metric)

    def percent_of(rows: Sequence[Row], between: Range) -> tuple[float, float, float]:
        try:
            found = bd_rate(*curve(rows, ANCHOR), *curve(rows, codec), between)
        except ValueError:
            return math.nan, math.nan, math.nan
        return found.percent, found.low, found.high

    everything = -math.inf, math.inf
    images = [
        percent_of([row for row in measurements if row.image == image], everything)[0]
        for image in sorted({row.image for row in measurements})
    ]
    images = [percent for percent in images if not math.isnan(percent)] or [math.nan]
    shared = common_range([curve(averages, name) for name in codecs])
    return Comparison(
        codec,
        metric,
        *percent_of(averages, everything),
        *percent_of(averages, shared),
        mean_percent(images),
        median(images),
        min(images),
        max(images),
    )


def mean_percent(percents: Iterable[float]) -> float:
    """Of differences in rate, by the geometric mean of the ratios."""
    return 100 * math.expm1(fmean(math.log1p(value / 100) for value in percents))


def common_range(
    curves: Iterable[tuple[Sequence[float], Sequence[float]]],
) -> Range:
    """The quality that all curves reach."""
    reached: list[NDArray[np.float64]] = []
    for curve in curves:
        try:
            reached.append(increasing_curve(*curve)[1])
        except ValueError:
            return math.nan, math.nan
    return float(max(q[0] for q in reached)), float(min(q[-1] for q in reached))
