"""Averages of measurements, and the CSV files."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any, TypeVar, get_type_hints

from benchmarks.measurement import Measurement

DIGITS = {"bpp": 6, "psnr": 4, "psnr_ycbcr": 4, "ms_ssim": 6, "ssimulacra2": 3}

T = TypeVar("T", Measurement, "Average")


@dataclass(frozen=True)
class Average:
    """Means over the images of one codec at one quality; units as in `Measurement`.

    `psnr` is the mean of the images' PSNR, not the PSNR of their mean error.
    """

    codec: str
    quality: float
    bpp: float
    psnr: float
    psnr_ycbcr: float
    ms_ssim: float
    ssimulacra2: float


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
        writer = csv.DictWriter(file, names_of(type(rows[0])), lineterminator="\n")
        writer.writeheader()
        writer.writerows(as_text(asdict(row)) for row in rows)


def read_csv(path: Path, kind: type[T]) -> list[T]:
    """The rows that `write_csv` wrote; none if there is no file of such rows."""
    if not path.exists():
        return []
    types = get_type_hints(kind)
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != names_of(kind):
            return []
        return [kind(**{k: types[k](v) for k, v in row.items()}) for row in reader]


def names_of(kind: type) -> list[str]:
    return [field.name for field in fields(kind)]


def as_text(row: dict[str, Any]) -> dict[str, Any]:
    """Floats with the digits that mean something."""
    texts = {name: f"{row[name]:.{DIGITS[name]}f}" for name in DIGITS if name in row}
    return row | texts | {"quality": f"{row['quality']:g}"}
