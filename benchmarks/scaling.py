"""The subcommand `scaling`: time and memory against the size of the picture."""

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

import codec
from benchmarks.environment import write_versions
from benchmarks.measurement import image_paths, load_rgb
from benchmarks.options import folder_argument, megapixels_option, output_option
from benchmarks.results import write_rows

T = TypeVar("T")
MEGAPIXELS = (1, 4, 16, 64, 100, 16384 * 8192 / 1e6)
REGION_PX = 512
MIB = 2**20


@dataclass(frozen=True)
class Scaling:
    """Seconds of wall clock, memory to memory, in a fresh process that has loaded
    nothing yet; `region_s` of a square of `REGION_PX` in the middle. Peaks are of the
    whole process in MiB, `pixels_mib` what the picture alone takes.
    """

    megapixels: float
    bytes: int
    encode_s: float
    decode_s: float
    region_s: float
    pixels_mib: float
    encode_peak_mib: float
    decode_peak_mib: float


def mosaic(paths: Sequence[Path], megapixels: float) -> NDArray[np.uint8]:
    """A picture of 2 : 1, uint8 [H, W, 3], filled with the images row by row."""
    width = round((megapixels * 1e6 * 2) ** 0.5)
    out = np.empty((round(megapixels * 1e6 / width), width, 3), np.uint8)
    number = top = 0
    while top < len(out):
        left, height = 0, len(out)
        while left < width:
            image = np.asarray(load_rgb(paths[number % len(paths)]))
            place = out[top : top + len(image), left : left + image.shape[1]]
            place[...] = image[: place.shape[0], : place.shape[1]]
            left, height = left + image.shape[1], min(height, len(image))
            number += 1
        top += height
    return out


def peak_mib() -> float:
    """Largest resident memory of this process so far; not on Windows."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / MIB if sys.platform == "darwin" else peak * 1024 / MIB


def timed(call: Callable[[], T]) -> tuple[float, T]:
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def encode_alone(
    paths: Sequence[Path], megapixels: float
) -> tuple[float, float, bytes]:
    """(seconds, peak, file)."""
    image = mosaic(paths, megapixels)
    seconds, data = timed(partial(codec.encode, image))
    return seconds, peak_mib(), data


def decode_alone(data: bytes, region: Any = None) -> tuple[float, float]:
    """(seconds, peak)."""
    seconds, _ = timed(partial(codec.decode, data, region=region))
    return seconds, peak_mib()


def measure(paths: Sequence[Path], megapixels: float) -> Scaling:
    def alone(function: Callable[..., T], *arguments: Any) -> T:
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            return pool.submit(function, *arguments).result()

    encode_s, encode_peak, data = alone(encode_alone, paths, megapixels)
    decode_s, decode_peak = alone(decode_alone, data)
    info = codec.read_info(data)
    middle = (info.width - REGION_PX) // 2, (info.height - REGION_PX) // 2
    region_s, _ = alone(decode_alone, data, (*middle, REGION_PX, REGION_PX))
    return Scaling(
        megapixels=megapixels,
        bytes=len(data),
        encode_s=encode_s,
        decode_s=decode_s,
        region_s=region_s,
        pixels_mib=3 * info.width * info.height / MIB,
        encode_peak_mib=encode_peak,
        decode_peak_mib=decode_peak,
    )


def plot(path: Path, rows: Sequence[Scaling]) -> None:
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    time_axes, memory_axes = figure.subplots(1, 2)
    sizes = [row.megapixels for row in rows]
    for axes, names, label in (
        (time_axes, ("encode_s", "decode_s"), "seconds"),
        (memory_axes, ("encode_peak_mib", "decode_peak_mib", "pixels_mib"), "MiB"),
    ):
        for name, mark in zip(names, "os^", strict=False):
            axes.plot(
                sizes, [getattr(row, name) for row in rows], mark + "-", label=name
            )
        axes.set(xlabel="megapixels", ylabel=label)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=110)


@click.command()
@folder_argument
@output_option
@megapixels_option(MEGAPIXELS, 0.6)
def scaling(folder: Path, output: Path, sizes: Sequence[float]) -> None:
    """Measure time and memory on pictures put together from those in FOLDER."""
    paths = image_paths(folder)
    rows = []
    for megapixels in sorted(sizes):
        rows.append(measure(paths, megapixels))
        click.echo(rows[-1])
    formats = {"megapixels": ".6g"}
    write_rows(output / "scaling.csv", Scaling, rows, formats)
    write_versions(output / "scaling_versions.json", {"images": len(paths)})
    plot(output / "scaling.png", rows)
