"""Coding images and measuring size, distortion and time."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from benchmarks.codecs import ImageCodec
from benchmarks.metrics import ms_ssim, psnr

SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}
WARM_UP_QUALITY = 50


@dataclass(frozen=True, order=True)
class Measurement:
    """One image in one codec at one quality; sorts by these three.

    `width` and `height` in pixels; `bytes` the whole file; `bpp` bits per pixel; `psnr`
    in dB and `ms_ssim` (up to 1) as in `benchmarks.metrics`; times in seconds of wall
    clock, image in memory to file in memory and back.
    """

    image: str
    codec: str
    quality: float
    width: int
    height: int
    bytes: int
    bpp: float
    psnr: float
    ms_ssim: float
    encode_s: float
    decode_s: float


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


def measure(
    image: Image.Image, name: str, codec: ImageCodec, quality: float
) -> Measurement:
    """Code the image, decode the file and compare the two.

    Raises ValueError if the decoded image has another size.
    """
    start = time.perf_counter()
    data = codec.encode(image, quality)
    encoded = time.perf_counter()
    decoded = codec.decode(data)
    end = time.perf_counter()
    if decoded.size != image.size:
        raise ValueError(
            f"{name}: {codec.name} at quality {quality:g} decodes to {decoded.size}, "
            f"the image is {image.size}"
        )
    reference, other = np.asarray(image), np.asarray(decoded.convert("RGB"))
    return Measurement(
        image=name,
        codec=codec.name,
        quality=quality,
        width=image.width,
        height=image.height,
        bytes=len(data),
        bpp=8 * len(data) / (image.width * image.height),
        psnr=psnr(reference, other),
        ms_ssim=ms_ssim(reference, other),
        encode_s=encoded - start,
        decode_s=end - encoded,
    )


def warm_up(codecs: Sequence[ImageCodec], path: Path) -> None:
    """Code an image once in each codec, so that libraries and models are loaded."""
    image = load_rgb(path)
    for codec in codecs:
        codec.decode(codec.encode(image, WARM_UP_QUALITY))


def measure_image(path: Path, codecs: Sequence[ImageCodec]) -> list[Measurement]:
    """Every codec at each of its qualities on one image."""
    image = load_rgb(path)
    return [
        measure(image, path.name, codec, quality)
        for codec in codecs
        for quality in codec.qualities
    ]


def measure_images(
    paths: Sequence[Path], codecs: Sequence[ImageCodec], jobs: int
) -> Iterator[tuple[Path, list[Measurement]]]:
    """(path, its measurements) as the images get done, after a warm-up.

    With `jobs` above 1 they share the machine between processes, in no fixed order, and
    the times say little.
    """
    if jobs == 1:
        warm_up(codecs, paths[0])
        for path in paths:
            yield path, measure_image(path, codecs)
        return
    with ProcessPoolExecutor(
        jobs, get_context("spawn"), initializer=warm_up, initargs=(codecs, paths[0])
    ) as pool:
        futures = {pool.submit(measure_image, path, codecs): path for path in paths}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
