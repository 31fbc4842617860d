"""The subcommand `weaknesses`: pictures that a codec for photographs is bad at."""

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks.bd_rate import bd_rate
from benchmarks.codecs import ANCHOR, CODECS
from benchmarks.comparison import points
from benchmarks.drawings import DRAWN, noise
from benchmarks.environment import describe_codecs, described_codecs, write_versions
from benchmarks.measurement import Measurement, image_paths, load_rgb, measure_images
from benchmarks.options import folder_argument, output_option
from benchmarks.results import average, read_rows, write_rows

NAMES = ("aecodec-psnr", ANCHOR, "webp", "avif")
TINY_PX = 32
HIGH_DB = 36.0


@dataclass(frozen=True)
class Weakness:
    """BD-rate of PSNR against JPEG in percent over `low` to `high` dB; NaN if the two
    have no quality in common. `exact_percent` are the bytes of the smallest exact
    files against JPEG's largest; NaN if none are exact.
    """

    kind: str
    codec: str
    percent: float
    low: float
    high: float
    exact_percent: float


KINDS = DRAWN | {"noise": noise}


def tiny(paths: Sequence[Path]) -> list[Image.Image]:
    """Photographs scaled down to icons."""
    return [load_rgb(path).resize((TINY_PX, TINY_PX)) for path in paths]


def compared(
    kind: str, rows: Sequence[Measurement], low: float = -np.inf
) -> list[Weakness]:
    """BD-rates of the mean curves from `low` dB on."""
    averages = average(rows)
    of = {name: [row for row in averages if row.codec == name] for name in NAMES}
    curves = {
        name: points((row for row in of[name] if math.isfinite(row.psnr)), "psnr")
        for name in NAMES
    }
    largest = max(row.bpp for row in of[ANCHOR])
    found = []
    for name in NAMES:
        if name == ANCHOR:
            continue
        try:
            result = bd_rate(*curves[ANCHOR], *curves[name], (low, np.inf))
            numbers = result.percent, result.low, result.high
        except ValueError:  # no quality in common
            numbers = np.nan, np.nan, np.nan
        exact = [row.bpp for row in of[name] if math.isinf(row.psnr)]
        smallest = min(exact, default=math.nan)
        found.append(Weakness(kind, name, *numbers, 100 * (smallest / largest - 1)))
    return found


@click.command()
@folder_argument
@output_option
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True)
def weaknesses(folder: Path, output: Path, jobs: int) -> None:
    """Measure what aecodec is bad at: made pictures, icons of the photographs in
    FOLDER, and the high qualities among the results called kodak.
    """
    paths = image_paths(folder)
    codecs = [CODECS[name] for name in NAMES]
    photographs = read_rows(output / "kodak.csv", Measurement)
    known = described_codecs(output / "kodak_versions.json")
    there = {name: facts["version"] for name, facts in known.items()}
    if missing := [c.name for c in codecs if there.get(c.name) != c.version]:
        raise click.UsageError(
            f"{output} has no results called kodak of {', '.join(missing)}, "
            "as they are here"
        )
    made = {kind: [make()] for kind, make in KINDS.items()}
    made[f"photographs of {TINY_PX} x {TINY_PX} pixels"] = tiny(paths)
    found: list[Weakness] = []
    with tempfile.TemporaryDirectory() as temporary:
        for kind, images in tqdm(made.items(), unit="kind"):
            files = [
                Path(temporary) / f"{kind} {number}.png"
                for number in range(len(images))
            ]
            for image, file in zip(images, files, strict=True):
                image.save(file)
            tasks = [(file, entry) for file in files for entry in codecs]
            rows = [row for part in measure_images(tasks, jobs) for row in part]
            found += compared(kind, rows)
    found += compared(f"photographs over {HIGH_DB:g} dB", photographs, HIGH_DB)
    formats = dict.fromkeys(("percent", "low", "high", "exact_percent"), ".2f")
    write_rows(output / "weaknesses.csv", Weakness, found, formats)
    facts = {"images": len(paths), "codecs": describe_codecs(codecs)}
    write_versions(output / "weaknesses_versions.json", facts)
