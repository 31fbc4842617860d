"""The codecs that are compared: one entry of `CODECS` each."""

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from PIL import Image

import codec

with contextlib.suppress(ImportError):
    import pillow_jxl  # noqa: F401, adds the format to Pillow


@dataclass(frozen=True)
class ImageCodec:
    """A codec and the qualities that it is measured at.

    `encode` takes an RGB image and a quality to the bytes of a file, `decode` the bytes
    to an image; both must be picklable, so that worker processes can have them.
    `qualities` are the codec's own numbers, larger is better. `pillow_format` names the
    Pillow format that must be there; empty when the codec does not need any.
    """

    name: str
    description: str
    qualities: tuple[float, ...]
    encode: Callable[[Image.Image, float], bytes]
    decode: Callable[[bytes], Image.Image]
    pillow_format: str = ""

    @property
    def available(self) -> bool:
        """Whether it can run here."""
        Image.init()
        return not self.pillow_format or self.pillow_format in Image.SAVE


def encode_aecodec(image: Image.Image, quality: float, **options: Any) -> bytes:
    return codec.encode(image, quality=quality, **options)


def aecodec(name: str, description: str, **options: Any) -> ImageCodec:
    """The shipped model; `options` go to `codec.encode`."""
    encode = partial(encode_aecodec, **options)
    qualities = (1, *range(10, 101, 10))
    return ImageCodec(name, description, qualities, encode, codec.decode)


def encode_pillow(
    image: Image.Image, quality: float, *, file_format: str, **options: Any
) -> bytes:
    """The image as Pillow writes it in `file_format` at a whole-numbered quality."""
    file = io.BytesIO()
    image.save(file, file_format, quality=int(quality), **options)
    return file.getvalue()


def decode_pillow(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB")


def pillow_codec(
    name: str,
    description: str,
    qualities: tuple[float, ...],
    file_format: str,
    **options: Any,
) -> ImageCodec:
    """A codec that Pillow reads and writes; `options` go to `Image.save`."""
    encode = partial(encode_pillow, file_format=file_format, **options)
    return ImageCodec(name, description, qualities, encode, decode_pillow, file_format)


STEPS_OF_5, STEPS_OF_10 = tuple(range(5, 100, 5)), tuple(range(5, 100, 10))

ANCHOR = "jpeg"
CODECS = {
    entry.name: entry
    for entry in (
        aecodec("aecodec", "aecodec, shipped model"),
        *(
            aecodec(f"aecodec-e{effort}", f"aecodec, effort {effort}", effort=effort)
            for effort in (1, 7, 8, 9)
        ),
        pillow_codec(
            ANCHOR,
            "JPEG: Pillow, 4:2:0, optimize, progressive",
            STEPS_OF_5,
            "JPEG",
            subsampling="4:2:0",
            optimize=True,
            progressive=True,
        ),
        pillow_codec(
            "webp", "WebP: Pillow, lossy, method 6", STEPS_OF_5, "WEBP", method=6
        ),
        pillow_codec(
            "avif",
            "AVIF: Pillow, 4:4:4, speed 4",
            STEPS_OF_10,
            "AVIF",
            subsampling="4:4:4",
            speed=4,
        ),
        pillow_codec(
            "avif-psnr",
            "AVIF: Pillow, 4:4:4, speed 4, tune=psnr",
            STEPS_OF_10,
            "AVIF",
            subsampling="4:4:4",
            speed=4,
            advanced={"tune": "psnr"},
        ),
        pillow_codec(
            "jxl", "JPEG XL: pillow-jxl-plugin, effort 7", STEPS_OF_5, "JXL", effort=7
        ),
    )
}
