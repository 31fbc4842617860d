"""Averages of measurements, and the CSV files."""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import fmean
from types import MappingProxyType
from typing import Any, TypeVar, get_type_hints

import click

from benchmarks.measurement import Distortion, Measurement
from benchmarks.metrics import METRICS

AVERAGED = ("bpp", *METRICS)
FORMATS = {"quality": "g", "bpp": ".6f"}
FORMATS |= {name: f".{metric.decimals + 2}f" for name, metric in METRICS.items()}

T = TypeVar("T")


@dataclass(frozen=True)
class Point:
    """A codec at a quality, and its bits per pixel."""

    codec: str
    quality: float
    bpp: float


@dataclass(frozen=True)
class Average(Distortion, Point):
    """Means over the images of one codec at one quality; units as in `Measurement`.

    `psnr` is the mean of the images' PSNR, not the PSNR of their mean error.
    """


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
        means = {name: fmean(getattr(row, name) for row in rows) for name in AVERAGED}
        averages.append(Average(codec, quality, **means))
    return averages


def write_rows(
    path: Path,
    kind: type,
    rows: Iterable[Any],
    formats: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """A CSV file of dataclasses of a `kind`, the fields as columns; `formats` of
    floats, else 4 digits. The file appears whole or stays as it was.
    """
    names, text = list(get_type_hints(kind)), io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)

    def text_of(name: str, value: object) -> object:
        known = formats.get(name, ".4g")
        return format(value, known) if isinstance(value, float) else value

    for row in rows:
        writer.writerow(text_of(name, getattr(row, name)) for name in names)
    replace_text(path, text.getvalue())


def read_rows(path: Path, kind: type[T]) -> list[T]:
    """The rows that `write_rows` wrote; none if there is no file. UsageError if it has
    other columns.
    """
    if not path.exists():
        return []
    types = get_type_hints(kind)
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != list(types):
            raise click.UsageError(
                f"{path} has other columns than are measured now; remove it"
            )
        return [kind(**{k: types[k](v) for k, v in row.items()}) for row in reader]


def replace_text(path: Path, text: str) -> None:
    """Write a file of results, and its folder; it appears whole or stays as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.write_text(text, encoding="utf-8", newline="\n")
    new.replace(path)
