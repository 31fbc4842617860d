"""The subcommand `heads`: what each head makes, against what one would do without."""

import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from tqdm import tqdm

import codec
from benchmarks.environment import write_versions
from benchmarks.measurement import image_paths, load_rgb
from benchmarks.metrics import ms_ssim, psnr
from benchmarks.options import folder_argument, output_option
from benchmarks.results import write_rows

Pixels = NDArray[np.uint8]
QUALITIES = (40, 80)
SIGMAS = (15, 25, 50)
JPEG_QUALITIES = (10, 20, 30, 40)
BLUR_PX = 1.0
OURS, PLAIN = "aecodec", "decoded"


@dataclass(frozen=True)
class Use:
    """Means over the images: a `method` applied to the file of a harmed picture, at a
    quality, against the unharmed one. PSNR in dB, for colors that of the chroma;
    colorfulness after Hasler and Süsstrunk, "Measuring colorfulness in natural images"
    (2003).
    """

    use: str
    harm: str
    quality: float
    method: str
    rate_bpp: float
    psnr: float
    ms_ssim: float
    colorfulness: float


Method = Callable[[bytes], Pixels]


def noisy(image: Image.Image, sigma: float) -> Image.Image:
    random = np.random.default_rng(0)
    pixels = np.asarray(image) + random.normal(0, sigma, (*image.size[::-1], 3))
    return Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))


def through_jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def decoded(data: bytes) -> Pixels:
    return np.asarray(codec.decode(data).convert("RGB"))


def by_head(head: str) -> Method:
    return lambda data: np.asarray(codec.decode(data, head=head).convert("RGB"))


def non_local_means(sigma: float) -> Method:
    """Of OpenCV; told the noise. Of strengths, this is the best on other images."""
    import cv2

    def run(data: bytes) -> Pixels:
        strength = 0.4 * sigma
        found = cv2.fastNlMeansDenoisingColored(
            decoded(data), None, strength, strength, 7, 21
        )
        return np.asarray(found, np.uint8)

    return run


def wavelets(sigma: float) -> Method:
    """Of scikit-image (BayesShrink); likewise."""
    from skimage.restoration import denoise_wavelet

    def run(data: bytes) -> Pixels:
        found = denoise_wavelet(
            decoded(data) / 255.0,
            sigma=0.75 * sigma / 255,
            channel_axis=-1,
            convert2ycbcr=True,
            rescale_sigma=True,
        )
        return (255 * found).round().clip(0, 255).astype(np.uint8)

    return run


def resized(resample: Image.Resampling) -> Method:
    def run(data: bytes) -> Pixels:
        image = codec.decode(data)
        size = 2 * image.width, 2 * image.height
        return np.asarray(image.resize(size, resample))

    return run


def chroma(pixels: Pixels) -> Pixels:
    """Cb and Cr, [H, W, 2]."""
    return np.asarray(Image.fromarray(pixels).convert("YCbCr"))[..., 1:]


def colorfulness(pixels: Pixels) -> float:
    red, green, blue = pixels.astype(float).transpose(2, 0, 1)
    planes = red - green, (red + green) / 2 - blue
    spread = math.hypot(*(np.std(plane) for plane in planes))
    return spread + 0.3 * math.hypot(*(np.mean(plane) for plane in planes))


def uses() -> Iterator[tuple[str, str, Callable[[Image.Image], Image.Image], Any]]:
    """(use, harm, what harms a picture, methods by name)."""
    for sigma in SIGMAS:
        methods = {
            PLAIN: decoded,
            "non-local means": non_local_means(sigma),
            "wavelets": wavelets(sigma),
            OURS: by_head("denoise"),
        }
        harm = f"noise, sigma {sigma}"
        yield "denoise", harm, partial(noisy, sigma=sigma), methods
    methods = {PLAIN: decoded, OURS: by_head("restore")}
    for quality in JPEG_QUALITIES:
        harm = f"JPEG, quality {quality}"
        yield "restore", harm, partial(through_jpeg, quality=quality), methods
    blur = ImageFilter.GaussianBlur(BLUR_PX)
    harm = f"blur, sigma {BLUR_PX:g}"
    yield "restore", harm, lambda image: image.filter(blur), methods
    methods = {
        "bicubic": resized(Image.Resampling.BICUBIC),
        "Lanczos": resized(Image.Resampling.LANCZOS),
        OURS: by_head("upscale"),
    }

    def half(image: Image.Image) -> Image.Image:
        size = image.width // 2, image.height // 2
        return image.resize(size, Image.Resampling.BICUBIC)

    yield "upscale", "half as large", half, methods
    methods = {PLAIN: decoded, OURS: by_head("colorize")}
    yield "colorize", "without color", lambda image: image.convert("L"), methods


def rows_of(paths: Sequence[Path]) -> Iterator[Use]:
    images = [even(load_rgb(path)) for path in paths]
    for use, harm, harmed, methods in uses():
        for quality in QUALITIES:
            files = [
                codec.encode(
                    harmed(image), tune="psnr", quality=quality, content="photo"
                )
                for image in images
            ]
            rate = float(np.mean([codec.read_info(f).rate_bpp for f in files]))
            for name, method in methods.items():
                found = [
                    compared(use, np.asarray(image), method(data))
                    for image, data in zip(images, files, strict=True)
                ]
                means = np.mean(found, axis=0).tolist()
                yield Use(use, harm, quality, name, rate, *means)
    original = float(np.mean([colorfulness(np.asarray(image)) for image in images]))
    yield Use("colorize", "", 0, "original", 0, math.inf, 1, original)


def even(image: Image.Image) -> Image.Image:
    """The image without its last column and row where there is an odd number."""
    return image.crop((0, 0, image.width // 2 * 2, image.height // 2 * 2))


def compared(use: str, original: Pixels, made: Pixels) -> tuple[float, float, float]:
    """(PSNR, MS-SSIM, colorfulness)."""
    pair = (original, made) if use != "colorize" else (chroma(original), chroma(made))
    return psnr(*pair), ms_ssim(original, made), colorfulness(made)


@click.command()
@folder_argument
@output_option
def heads(folder: Path, output: Path) -> None:
    """Harm the images in FOLDER, encode them, and decode them by the heads."""
    rows = []
    for row in tqdm(rows_of(image_paths(folder))):
        rows.append(row)
        tqdm.write(", ".join(map(str, astuple(row))))
    digits = {"rate_bpp": ".3f", "psnr": ".2f", "ms_ssim": ".4f", "colorfulness": ".1f"}
    write_rows(output / "heads.csv", Use, rows, digits)
    write_versions(output / "heads_versions.json", {})
