"""The subcommand `previews`: small decodes against the whole picture made smaller."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

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
from codec.networks.shipped import TUNES

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


def fidelities(path: Path, tune: str, quality: float) -> list[list[float]]:
    """The three PSNRs of `Preview` for one image, by factor."""
    image = load_rgb(path)
    data = codec.encode(image, tune=tune, quality=quality, content="photo")
    decoded = codec.decode(data)

    def at(factor: int) -> list[float]:
        small = np.asarray(codec.decode(data, scale=1 / factor))
        whole, original = (np.asarray(p.reduce(factor)) for p in (decoded, image))
        return [
            psnr(*p) for p in ((whole, small), (original, small), (original, whole))
        ]

    return [at(factor) for factor in FACTORS]


def rows_of(paths: Sequence[Path]) -> Iterator[Preview]:
    large = Image.fromarray(mosaic(paths, MEGAPIXELS))
    for tune, quality in itertools.product(TUNES, QUALITIES):
        data = codec.encode(large, tune=tune, quality=quality, content="photo")
        means = np.mean([fidelities(path, tune, quality) for path in paths], axis=0)
        for factor, mean in zip(FACTORS, means.tolist(), strict=True):
            decode = partial(codec.decode, data, scale=1 / factor)
            seconds = median(timed(decode)[0] for _ in range(ROUNDS))
            whole, original, reduced = mean
            yield Preview(tune, quality, factor, whole, original, reduced, seconds)


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
