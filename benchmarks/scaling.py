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
# Width and height; and a 24 MP photograph, for its thumbnail.
SHAPES = ((6000, 4000), (8192, 8192), (131072, 512), (512, 131072))
THUMBNAIL = 1 / 8
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


@dataclass(frozen=True)
class Shape:
    """As `Scaling`, of a picture of other sides, and of its thumbnail, `THUMBNAIL` as
    large.
    """

    width: int
    height: int
    encode_s: float
    decode_s: float
    thumbnail_s: float
    pixels_mib: float
    encode_peak_mib: float
    decode_peak_mib: float
    thumbnail_peak_mib: float


def mosaic(paths: Sequence[Path], megapixels: float) -> NDArray[np.uint8]:
    """A picture of 2 : 1, as `filled`."""
    width = round((megapixels * 1e6 * 2) ** 0.5)
    return filled(paths, width, round(megapixels * 1e6 / width))


def filled(paths: Sequence[Path], width: int, height: int) -> NDArray[np.uint8]:
    """A picture, uint8 [H, W, 3], filled with the images row by row."""
    out = np.empty((height, width, 3), np.uint8)
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


def peak_mib(process: str = "self") -> float:
    """Largest resident memory of a process so far. Where there is no /proc, of this one
    and at least what the process that started it had, as `getrusage` tells.
    """
    status = Path(f"/proc/{process}/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / MIB if sys.platform == "darwin" else peak / 1024


def timed(call: Callable[[], T]) -> tuple[float, T]:
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def encode_alone(
    make: Callable[..., NDArray[np.uint8]], *arguments: Any
) -> tuple[float, float, bytes]:
    """(seconds, peak, file)."""
    image = make(*arguments)
    seconds, data = timed(partial(codec.encode, image))
    return seconds, peak_mib(), data


def decode_alone(data: bytes, options: dict[str, Any]) -> tuple[float, float]:
    """(seconds, peak)."""
    seconds, _ = timed(partial(codec.decode, data, **options))
    return seconds, peak_mib()


def alone(function: Callable[..., T], *arguments: Any) -> T:
    """The result of a call in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def measure(paths: Sequence[Path], megapixels: float) -> Scaling:
    encode_s, encode_peak, data = alone(encode_alone, mosaic, paths, megapixels)
    decode_s, decode_peak = alone(decode_alone, data, {})
    info = codec.read_info(data)
    middle = (info.width - REGION_PX) // 2, (info.height - REGION_PX) // 2
    region = *middle, REGION_PX, REGION_PX
    region_s, _ = alone(decode_alone, data, {"region": region})
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


def measure_shape(paths: Sequence[Path], width: int, height: int) -> Shape:
    encode_s, encode_peak, data = alone(encode_alone, filled, paths, width, height)
    decode_s, decode_peak = alone(decode_alone, data, {})
    thumbnail_s, thumbnail_peak = alone(decode_alone, data, {"scale": THUMBNAIL})
    return Shape(
        width=width,
        height=height,
        encode_s=encode_s,
        decode_s=decode_s,
        thumbnail_s=thumbnail_s,
        pixels_mib=3 * width * height / MIB,
        encode_peak_mib=encode_peak,
        decode_peak_mib=decode_peak,
        thumbnail_peak_mib=thumbnail_peak,
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
    shapes = []
    for shape in SHAPES:
        shapes.append(measure_shape(paths, *shape))
        click.echo(shapes[-1])
    formats = {"megapixels": ".6g"}
    write_rows(output / "scaling.csv", Scaling, rows, formats)
    write_rows(output / "scaling_shapes.csv", Shape, shapes)
    write_versions(output / "scaling_versions.json", {"images": len(paths)})
    plot(output / "scaling.png", rows)
