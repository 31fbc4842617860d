"""The subcommand `previews`: small decodes against the whole picture made smaller."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean, median

import click
import numpy as np
from PIL import Image

import codec
from benchmarks.environment import write_versions
from benchmarks.measurement import image_paths, load_rgb
from benchmarks.metrics import psnr
from benchmarks.options import folder_argument, output_option
from benchmarks.results import write_rows
from benchmarks.scaling import mosaic, timed
from codec.bundle import MODEL_OF_TUNE

FACTORS = (1, 2, 4, 8)
QUALITIES = (20, 60, 90)
MEGAPIXELS = 24
ROUNDS = 3


@dataclass(frozen=True)
class Preview:
    """PSNR in dB, means over the images, of a decode `factor` times smaller, to the
    decoded and to the original picture after `Image.reduce`; `reduced_psnr` is that of
    the decoded one to the original, both reduced. Seconds are medians, for a picture
    of `MEGAPIXELS`, memory to memory.
    """

    tune: str
    quality: float
    factor: int
    decoded_psnr: float
    original_psnr: float
    reduced_psnr: float
    seconds: float


def fidelity(
    path: Path, tune: str, quality: float, factor: int
) -> tuple[float, float, float]:
    """The three PSNRs of `Preview` for one image."""
    image = load_rgb(path)
    data = codec.encode(image, tune=tune, quality=quality)
    small = np.asarray(codec.decode(data, scale=1 / factor))
    decoded, original = (
        np.asarray(picture.reduce(factor)) for picture in (codec.decode(data), image)
    )
    return psnr(decoded, small), psnr(original, small), psnr(original, decoded)


def rows_of(paths: Sequence[Path]) -> Iterator[Preview]:
    large = Image.fromarray(mosaic(paths, MEGAPIXELS))
    for tune, quality in itertools.product(MODEL_OF_TUNE, QUALITIES):
        data = codec.encode(large, tune=tune, quality=quality)
        for factor in FACTORS:
            found = [fidelity(path, tune, quality, factor) for path in paths]
            decode = partial(codec.decode, data, scale=1 / factor)
            seconds = median(timed(decode)[0] for _ in range(ROUNDS))
            decoded, original, reduced = (
                fmean(part) for part in zip(*found, strict=True)
            )
            yield Preview(tune, quality, factor, decoded, original, reduced, seconds)


@click.command()
@folder_argument
@output_option
def previews(folder: Path, output: Path) -> None:
    """Measure what pictures that are decoded smaller cost, and how good they are."""
    rows = []
    for row in rows_of(image_paths(folder)):
        rows.append(row)
        click.echo(row)
    write_rows(output / "previews.csv", Preview, rows)
    write_versions(output / "previews_versions.json", {"megapixels": MEGAPIXELS})
