"""Averages of measurements, and the CSV files."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.measurement import Measurement
from benchmarks.metrics import decibels

DIGITS = {"bpp": 6, "psnr": 4, "ms_ssim": 6, "encode_s": 4, "decode_s": 4}


@dataclass(frozen=True)
class Average:
    """Means over the images of one codec at one quality; units as in `Measurement`.

    `psnr` is the mean of the images' PSNR, not the PSNR of their mean error.
    """

    codec: str
    quality: float
    bpp: float
    psnr: float
    ms_ssim: float
    encode_s: float
    decode_s: float

    @property
    def ms_ssim_db(self) -> float:
        """The mean MS-SSIM in dB."""
        return decibels(self.ms_ssim)


def average(measurements: Iterable[Measurement]) -> list[Average]:
    """Means over the images, sorted by codec and quality.

    An image without an MS-SSIM leaves the mean without one (NaN), so that all means are
    over the same images.
    """

    def key(row: Measurement) -> tuple[str, float]:
        return row.codec, row.quality

    averages = []
    for (codec, quality), group in groupby(sorted(measurements, key=key), key):
        rows = list(group)
        means = {name: fmean(getattr(row, name) for row in rows) for name in DIGITS}
        averages.append(Average(codec, quality, **means))
    return averages


def write_csv(path: Path, rows: Sequence[Measurement] | Sequence[Average]) -> None:
    """One line for each row, the fields as columns; `rows` must not be empty."""
    with path.open("w", newline="", encoding="utf-8") as file:
        names = [field.name for field in fields(rows[0])]
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(as_text(asdict(row)) for row in rows)


def as_text(row: dict[str, Any]) -> dict[str, Any]:
    """Floats with the digits that mean something."""
    texts = {name: f"{row[name]:.{DIGITS[name]}f}" for name in DIGITS}
    return row | texts | {"quality": f"{row['quality']:g}"}
