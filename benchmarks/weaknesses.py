"""The subcommand `weaknesses`: pictures that a codec for photographs is bad at."""

import io
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from benchmarks.bd_rate import bd_rate
from benchmarks.codecs import ANCHOR, CODECS
from benchmarks.comparison import points
from benchmarks.environment import describe_codecs, write_versions
from benchmarks.measurement import Measurement, image_paths, load_rgb, measure_images
from benchmarks.options import folder_argument, output_option
from benchmarks.results import average, read_rows, write_rows

NAMES = ("aecodec-psnr", ANCHOR, "webp", "avif")
SIZE = 512, 384
TINY_PX = 32
HIGH_DB = 36.0


@dataclass(frozen=True)
class Weakness:
    """BD-rate of PSNR against JPEG in percent over `low` to `high` dB; NaN if the two
    have no quality in common.
    """

    kind: str
    codec: str
    percent: float
    low: float
    high: float


def text() -> Image.Image:
    """Black letters of 8 to 20 pixels on white."""
    image = Image.new("RGB", SIZE, "white")
    draw, y = ImageDraw.Draw(image), 4
    for size in range(8, 21):
        line = f"{size}: The quick brown fox jumps over 0123456789 lazy dogs. " * 3
        draw.text((4, y), line, "black", ImageFont.load_default(size))
        y += size + 12
    return image


def chart() -> Image.Image:
    """Thin colored lines, axes and labels."""
    figure = Figure(figsize=(SIZE[0] / 100, SIZE[1] / 100), dpi=100)
    axes = figure.subplots()
    x = np.linspace(0, 10, 200)
    for number in range(5):
        axes.plot(x, np.sin(x + number) * number, label=f"curve {number}")
    axes.legend()
    axes.grid()
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return Image.open(file).convert("RGB")


def dithered() -> Image.Image:
    """A gradient in black and white dots, as old printers made it."""
    return Image.linear_gradient("L").resize(SIZE).convert("1").convert("RGB")


def noise() -> Image.Image:
    samples = np.random.default_rng(0).normal(128, 30, (SIZE[1], SIZE[0], 3))
    return Image.fromarray(samples.clip(0, 255).astype(np.uint8))


KINDS = {
    "text on white": text,
    "charts": chart,
    "dithered black and white": dithered,
    "noise": noise,
}


def tiny(paths: Sequence[Path]) -> list[Image.Image]:
    """Photographs scaled down to icons."""
    return [load_rgb(path).resize((TINY_PX, TINY_PX)) for path in paths]


def compared(
    kind: str, rows: Sequence[Measurement], low: float = -np.inf
) -> list[Weakness]:
    """BD-rates of the mean curves from `low` dB on."""
    averages = average(rows)
    curves = {
        name: points((row for row in averages if row.codec == name), "psnr")
        for name in NAMES
    }
    found = []
    for name in NAMES:
        if name == ANCHOR:
            continue
        try:
            result = bd_rate(*curves[ANCHOR], *curves[name], (low, np.inf))
            numbers = result.percent, result.low, result.high
        except ValueError:  # no quality in common
            numbers = np.nan, np.nan, np.nan
        found.append(Weakness(kind, name, *numbers))
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
    if missing := set(NAMES) - {row.codec for row in photographs}:
        raise click.UsageError(
            f"{output} has no results called kodak of {', '.join(sorted(missing))}"
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
    formats = dict.fromkeys(("percent", "low", "high"), ".2f")
    write_rows(output / "weaknesses.csv", Weakness, found, formats)
    facts = {"images": len(paths), "codecs": describe_codecs(codecs)}
    write_versions(output / "weaknesses_versions.json", facts)
