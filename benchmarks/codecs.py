"""The codecs that are compared: one entry of `CODECS` each."""

import contextlib
import dataclasses
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import PIL
from PIL import Image, features

import codec
from codec.file.header import DIGEST_BYTES
from codec.networks.bundle import EXACT
from codec.networks.shipped import TUNE_DEFAULT, TUNES, load_bundle, model_name
from codec.options import AUTO

with contextlib.suppress(ImportError):
    import pillow_jxl  # noqa: F401, adds the format to Pillow


# Pillow's names of a feature and of the library behind it, by format.
LIBRARIES = {
    "JPEG": ("libjpeg_turbo", "libjpeg-turbo"),
    "PNG": ("zlib", "zlib"),
    "WEBP": ("webp", "libwebp"),
    "AVIF": ("avif", "libavif"),
    "JPEG2000": ("jpg_2000", "OpenJPEG"),
}


@dataclass(frozen=True)
class ImageCodec:
    """A codec and the qualities that it is measured at.

    `encode` takes an RGB image and a quality to the bytes of a file, `decode` the bytes
    to an image; both must be picklable, so that worker processes can have them.
    `qualities` are the codec's own numbers, larger is better. `pillow_format` names the
    Pillow format that must be there; empty when the codec does not need any. `version`
    is that of what encodes: with another one, measurements are no longer the same.
    """

    name: str
    description: str
    qualities: tuple[float, ...]
    encode: Callable[[Image.Image, float], bytes]
    decode: Callable[[bytes], Image.Image]
    version: str
    pillow_format: str = ""

    @property
    def available(self) -> bool:
        """Whether it can run here."""
        Image.init()
        return not self.pillow_format or self.pillow_format in Image.SAVE


def encode_aecodec(image: Image.Image, quality: float, **options: Any) -> bytes:
    return codec.encode(image, quality=quality, **options)


def aecodec(
    name: str, description: str, precision: str = AUTO, **options: Any
) -> ImageCodec:
    """The shipped model of a tune, decoded with `precision`; `options` go to
    `codec.encode`.
    """
    decode = partial(codec.decode, precision=precision)
    encode = partial(encode_aecodec, **options)
    qualities = (1, *range(10, 101, 10))
    model_id = TUNES[options.get("tune", TUNE_DEFAULT)].model_id
    digest = load_bundle(model_id).digest[:DIGEST_BYTES].hex()
    version = f"{codec.__version__}, {model_name(model_id)} ({digest})"
    return ImageCodec(name, description, qualities, encode, decode, version)


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
    return ImageCodec(
        name,
        description,
        qualities,
        encode,
        decode_pillow,
        library_version(file_format),
        file_format,
    )


def library_version(file_format: str) -> str:
    """What writes a format: Pillow, and the library behind it."""
    if file_format == "JXL":
        with contextlib.suppress(PackageNotFoundError):
            return f"pillow-jxl-plugin {version('pillow-jxl-plugin')}"
    feature, library = LIBRARIES.get(file_format, ("", ""))
    known = feature in features.get_supported()  # features.check warns of others
    details = f", {library} {features.version(feature)}" if known else ""
    return f"Pillow {PIL.__version__}{details}"


def encode_jpeg2000(image: Image.Image, quality: float) -> bytes:
    """The 9/7 wavelet with the color transform; `quality` is a PSNR in dB."""
    file = io.BytesIO()
    image.save(
        file,
        "JPEG2000",
        quality_mode="dB",
        quality_layers=[quality],
        irreversible=True,
        mct=1,
    )
    return file.getvalue()


def encode_aecodec_lossless(image: Image.Image, quality: float) -> bytes:
    """As `codec.encode` makes it; there is but one quality."""
    return codec.encode(image, lossless=True)


STEPS_OF_5, STEPS_OF_10 = tuple(range(5, 100, 5)), tuple(range(5, 100, 10))
FEW = (5, 20, 40, 60, 80, 95)
LOSSLESS = (100,)

ANCHOR = "jpeg"
CODECS = {
    entry.name: entry
    for entry in (
        aecodec("aecodec", "aecodec, shipped model"),
        aecodec("aecodec-psnr", "aecodec, tune psnr", tune="psnr"),
        aecodec("aecodec-exact", "aecodec, decoded exactly", EXACT),
        *(
            aecodec(
                f"aecodec-e{effort}",
                f"aecodec, tune psnr, effort {effort}",
                tune="psnr",
                effort=effort,
            )
            for effort in (1, 7, 8, 9)
        ),
        *(
            aecodec(
                f"aecodec-visual-e{effort}", f"aecodec, effort {effort}", effort=effort
            )
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
            "jpeg-444",
            "JPEG: Pillow, 4:4:4, optimize, progressive",
            FEW,
            "JPEG",
            subsampling="4:4:4",
            optimize=True,
            progressive=True,
        ),
        pillow_codec(
            "webp", "WebP: Pillow, lossy, method 6", STEPS_OF_10, "WEBP", method=6
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
            "avif-ssimulacra2",
            "AVIF: Pillow, 4:4:4, speed 4, tune=ssimulacra2",
            STEPS_OF_10,
            "AVIF",
            subsampling="4:4:4",
            speed=4,
            advanced={"tune": "ssimulacra2"},
        ),
        pillow_codec(
            "avif-fast",
            "AVIF: Pillow, 4:4:4, speed 6",
            FEW,
            "AVIF",
            subsampling="4:4:4",
            speed=6,
        ),
        pillow_codec(
            "avif-420",
            "AVIF: Pillow, 4:2:0, speed 4",
            FEW,
            "AVIF",
            subsampling="4:2:0",
            speed=4,
        ),
        ImageCodec(
            "jpeg2000",
            "JPEG 2000: Pillow, 9/7 wavelet and color transform, by PSNR",
            tuple(range(24, 45, 3)),
            encode_jpeg2000,
            decode_pillow,
            library_version("JPEG2000"),
            "JPEG2000",
        ),
        pillow_codec(
            "jxl", "JPEG XL: pillow-jxl-plugin, effort 7", STEPS_OF_10, "JXL", effort=7
        ),
        dataclasses.replace(
            aecodec("aecodec-lossless", "aecodec, lossless"),
            qualities=LOSSLESS,
            encode=encode_aecodec_lossless,
        ),
        pillow_codec("png", "PNG: Pillow, optimize", LOSSLESS, "PNG", optimize=True),
        pillow_codec(
            "webp-lossless",
            "WebP: Pillow, lossless, method 6, quality 100",
            LOSSLESS,
            "WEBP",
            lossless=True,
            method=6,
        ),
        pillow_codec(
            "jxl-lossless",
            "JPEG XL: pillow-jxl-plugin, lossless, effort 7",
            LOSSLESS,
            "JXL",
            lossless=True,
            effort=7,
        ),
    )
}
