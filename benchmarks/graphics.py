"""The subcommand `graphics`: screens, charts, text and pixel art, lossy and exact."""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks.bd_rate import bd_rate
from benchmarks.codecs import CODECS, ImageCodec
from benchmarks.comparison import points
from benchmarks.drawings import DRAWN, page
from benchmarks.environment import describe_codecs, write_versions
from benchmarks.measurement import File, coded, image_paths, load_rgb
from benchmarks.metrics import METRICS, psnr
from benchmarks.options import folder_argument, output_option
from benchmarks.plot import plot_panels
from benchmarks.results import FORMATS, write_rows

OURS, OURS_LOSSLESS = "aecodec", "aecodec-lossless"
LOSSY = ("avif-fast", "webp", "jpeg", "jxl")
LOSSLESS = ("png", "webp-lossless", "jxl-lossless")
QUALITIES = (20, 40, 60, 80, 95)  # of the lossy ones
SCORE = "ssimulacra2"
SCORE_EXACT = 100.0


@dataclass(frozen=True, order=True)
class Drawing(File):
    """One picture in one codec at one quality; `exact` is the share of its pixels that
    come back as they were.
    """

    psnr: float
    ssimulacra2: float
    exact: float


@dataclass(frozen=True)
class Advantage:
    """Bytes of `ours` against another codec's on one picture, in percent, negative
    where ours are fewer; NaN where there is nothing to compare.

    The BD-rate over scores of SSIMULACRA 2 from `low` to `high` of files that are not
    exact; with both 100, the smallest exact file against the other's smallest.
    """

    image: str
    ours: str
    codec: str
    percent: float
    low: float
    high: float


def measure(image: Image.Image, name: str, entry: ImageCodec, q: float) -> Drawing:
    file, decoded = coded(image, name, entry, q)
    reference = np.asarray(image)
    exact = float((reference == decoded).all(-1).mean())
    score = SCORE_EXACT
    if exact < 1:  # a second per megapixel
        score = METRICS[SCORE].measure(reference, decoded)
    return Drawing(
        **vars(file), psnr=psnr(reference, decoded), ssimulacra2=score, exact=exact
    )


def advantages(rows: Sequence[Drawing]) -> list[Advantage]:
    """Ours against all codecs that were measured on these pictures."""
    found = []
    names = {row.codec for row in rows}
    for image in dict.fromkeys(row.image for row in rows):
        of = {n: [r for r in rows if (r.image, r.codec) == (image, n)] for n in names}
        for codec in (name for name in LOSSY if name in names):
            found.append(in_score(image, codec, of[OURS], of[codec]))
        for ours in (OURS, OURS_LOSSLESS):
            for codec in (name for name in LOSSLESS if name in names):
                size, other = smallest_exact(of[ours]), smallest_exact(of[codec])
                percent = 100 * (size / other - 1)
                scores = SCORE_EXACT, SCORE_EXACT
                found.append(Advantage(image, ours, codec, percent, *scores))
    return found


def in_score(
    image: str, codec: str, ours: Iterable[Drawing], other: Iterable[Drawing]
) -> Advantage:
    curves = [points((r for r in rows if r.exact < 1), SCORE) for rows in (other, ours)]
    try:
        rate = bd_rate(*curves[0], *curves[1])
    except ValueError:  # exact, or no score in common
        return Advantage(image, OURS, codec, math.nan, math.nan, math.nan)
    return Advantage(image, OURS, codec, rate.percent, rate.low, rate.high)


def smallest_exact(rows: Iterable[Drawing]) -> float:
    """Bytes; NaN if no file is exact."""
    return min((row.bytes for row in rows if row.exact == 1), default=math.nan)


@click.command()
@folder_argument
@output_option
@click.option(
    "--photograph",
    "photographs",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="Photograph to put into a page of text; repeatable.",
)
def graphics(folder: Path, output: Path, photographs: Sequence[Path]) -> None:
    """Measure the pictures in FOLDER, such as screenshots and charts, and some that are
    drawn here, at a few qualities and without loss.
    """
    images = {path.name: load_rgb(path) for path in image_paths(folder)}
    images |= {kind: draw() for kind, draw in DRAWN.items()}
    for path in photographs:
        images[f"page with {path.name}"] = page(load_rgb(path))
    lossy = [
        dataclasses.replace(CODECS[name], qualities=QUALITIES)
        for name in (OURS, *LOSSY)
    ]
    lossless = [CODECS[name] for name in (OURS_LOSSLESS, *LOSSLESS)]
    codecs = [entry for entry in (*lossy, *lossless) if entry.available]
    rows = [
        measure(image, name, entry, quality)
        for name, image in tqdm(images.items(), unit="picture")
        for entry in codecs
        for quality in entry.qualities
    ]
    found = advantages(rows)
    write_rows(output / "graphics.csv", Drawing, rows, FORMATS | {"exact": ".6f"})
    formats = dict.fromkeys(("percent", "low", "high"), ".2f")
    write_rows(output / "graphics_summary.csv", Advantage, found, formats)
    facts = {"images": len(images), "codecs": describe_codecs(codecs)}
    write_versions(output / "graphics_versions.json", facts)
    plot_panels(
        output / "graphics.png",
        [(name, [r for r in rows if r.image == name], SCORE) for name in images],
        {entry.name: entry.description for entry in codecs},
        "SSIMULACRA 2 of drawn pictures; exact files have 100",
    )
