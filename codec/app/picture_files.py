"""Pictures in the formats that Pillow writes, and their suffixes."""

import contextlib
import io
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from codec.app.files import STREAM
from codec.errors import UsageError
from codec.picture.metadata import INFO_KEYS
from codec.picture.reading import quiet_pillow

# Suffixes of pictures that are looked for in folders. Pillow reads more kinds.
PICTURES = frozenset(
    {".avif", ".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".pgm"}
    | {".png", ".ppm", ".tif", ".tiff", ".webp"}
)
# How decoded pictures are written: PNG in less time than decoding takes.
SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    name: {"quality": 95} for name in ("JPEG", "WEBP", "AVIF")
} | {"PNG": {"compress_level": 2}}
METADATA_FORMATS = {"PNG", "JPEG", "WEBP", "AVIF", "TIFF"}


def picture_suffixes() -> frozenset[str]:
    """Those of PICTURES that Pillow reads here."""
    return PICTURES & set(Image.registered_extensions())


def format_of(target: str) -> str:
    """Pillow's name of the format that the suffix of `target` stands for."""
    suffix = Path(target).suffix.lower()
    if target == STREAM or not suffix:
        return "PNG"
    known = Image.registered_extensions().get(suffix)
    if known is None or known not in Image.SAVE:
        raise UsageError(f"cannot write {suffix} files")
    return known


def file_bytes(image: Image.Image, image_format: str) -> tuple[bytes, list[str]]:
    """(the picture in a format of Pillow's, notices); UsageError if the format cannot
    hold it.

    Where the EXIF data cannot be kept, the picture is turned upright.
    """
    notices = []
    if image_format == "GIF" and image.mode != "L":
        notices.append("GIF reduces the colors")
    if image.info.get("xmp") and image_format == "TIFF":
        notices.append("TIFF files keep no XMP data")  # Pillow has no option for it
    with quiet_pillow():
        if image_format in METADATA_FORMATS:
            with contextlib.suppress(Exception):  # too long, or no EXIF data at all
                return saved(image, image_format, metadata_options(image)), notices
        if image.info:
            notices.append(f"metadata are left out of the {image_format} file")
        try:
            return saved(upright(image), image_format, {}), notices
        except MemoryError:
            raise
        except Exception as error:  # every format raises its own
            raise UsageError(
                f"cannot write this picture as {image_format}: {error}"
            ) from None


def upright(image: Image.Image) -> Image.Image:
    """The picture without its metadata, the EXIF orientation applied if it can be."""
    with contextlib.suppress(Exception):  # no EXIF data at all
        image = ImageOps.exif_transpose(image)
    return Image.frombytes(image.mode, image.size, image.tobytes())


def saved(image: Image.Image, image_format: str, options: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **SAVE_OPTIONS.get(image_format, {}), **options)
    return buffer.getvalue()


def metadata_options(image: Image.Image) -> dict[str, Any]:
    """Options for `Image.save` that write the metadata in `info`; PNG takes XMP its own
    way, and every other format ignores `pnginfo`.
    """
    options = {k: image.info[k] for k in INFO_KEYS.values() if k in image.info}
    if "xmp" in options:
        text = options["xmp"].decode("utf-8", "replace")
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", text)
    return options
