"""Coding images and measuring size and distortion."""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from benchmarks.codecs import ImageCodec
from benchmarks.metrics import METRICS

SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}


@dataclass(frozen=True, order=True)
class Distortion:
    """Every metric of `benchmarks.metrics.METRICS`; NaN where it was not measured."""

    psnr: float
    psnr_ycbcr: float
    ms_ssim: float
    ssimulacra2: float
    cvvdp: float = math.nan
    butteraugli: float = math.nan


@dataclass(frozen=True, order=True)
class File:
    """One image in one codec at one quality; sorts by these three.

    `width` and `height` in pixels; `bytes` the whole file; `bpp` bits per pixel.
    """

    image: str
    codec: str
    quality: float
    width: int
    height: int
    bytes: int
    bpp: float


@dataclass(frozen=True, order=True)
class Measurement(Distortion, File):
    """A file and its distortion; the fields of the file come first."""


def image_paths(folder: Path) -> list[Path]:
    """The image files right in `folder`, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def load_rgb(path: Path) -> Image.Image:
    """The picture as people see it, mode RGB, without the metadata of its file.

    Some of Pillow's writers copy a color profile, EXIF data or a comment into the file,
    which would count as bytes of the codec.
    """
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    return Image.fromarray(np.asarray(upright))


def coded(
    image: Image.Image, name: str, codec: ImageCodec, quality: float
) -> tuple[File, NDArray[np.uint8]]:
    """The file of an RGB image, and what it decodes to, uint8 [H, W, 3].

    Raises ValueError if the decoded image has another size.
    """
    data = codec.encode(image, quality)
    decoded = codec.decode(data)
    if decoded.size != image.size:
        raise ValueError(
            f"{name}: {codec.name} at quality {quality:g} decodes to {decoded.size}, "
            f"the image is {image.size}"
        )
    file = File(
        image=name,
        codec=codec.name,
        quality=quality,
        width=image.width,
        height=image.height,
        bytes=len(data),
        bpp=8 * len(data) / (image.width * image.height),
    )
    return file, np.asarray(decoded.convert("RGB"))


def measure(
    image: Image.Image, name: str, codec: ImageCodec, quality: float
) -> Measurement:
    """Code the image, decode the file and compare the two; errors as `coded`."""
    file, decoded = coded(image, name, codec, quality)
    values = {
        name: metric.measure(np.asarray(image), decoded)
        for name, metric in METRICS.items()
        if metric.version is not None
    }
    return Measurement(**{**vars(file), **values})


def measure_image(path: Path, codec: ImageCodec) -> list[Measurement]:
    """A codec at each of its qualities on one image."""
    image = load_rgb(path)
    return [measure(image, path.name, codec, quality) for quality in codec.qualities]


def measure_images(
    tasks: Sequence[tuple[Path, ImageCodec]], jobs: int
) -> Iterator[list[Measurement]]:
    """The measurements of every task, in no fixed order, with `jobs` processes."""
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        futures = [pool.submit(measure_image, *task) for task in tasks]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
