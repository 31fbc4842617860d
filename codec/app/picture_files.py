"""Pictures in the formats that Pillow writes, and what of them is lost there."""

import contextlib
import io
from collections.abc import Collection
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageOps
from PIL.PngImagePlugin import PngInfo

from codec.api import SUFFIX
from codec.errors import UsageError
from codec.picture.exif import ORIENTATION, orientation_of
from codec.picture.metadata import (
    COMMENT,
    INFO_KEYS,
    IPTC_RESOURCE,
    IPTC_TAG,
    RAW_PROFILE,
    TITLES,
    XMP_KEYWORD,
    photoshop_resource,
)

QUALITY_DEFAULT = 95
LOSSY = ("JPEG", "WEBP", "AVIF")  # that take a quality
IN_JPEG = ("MPO", "PDF")  # which hold JPEG
ALPHA = ("PNG", "TIFF", "WEBP", "AVIF")  # which hold it
TRIED_PX = 32  # every format has room for so many
# What a decoded picture is written with; PNG faster than the decoder is.
SAVE_OPTIONS: dict[str, dict[str, Any]] = {"PNG": {"compress_level": 2}}
FULL_CHROMA: dict[str, dict[str, Any]] = {
    "JPEG": {"subsampling": "4:4:4"},
    "AVIF": {"subsampling": "4:4:4"},
    **{name: {"subsampling": "4:4:4"} for name in IN_JPEG},
}
CHROMA_BLOCK_PX = 16
SQUARES = [min(255, level**2) for level in range(256)]
CHROMA_ERROR = 40  # squared levels, the mean of the worst block: 4:2:0 would show
ICONS = ("ICO", "ICNS")  # which are written in sizes of their own
KEPT = {  # metadata that the formats hold
    "PNG": {"icc", "exif", "xmp", "dpi", "text", "iptc"},
    "JPEG": {"icc", "exif", "xmp", "dpi", "text", "iptc"},
    "TIFF": {"icc", "exif", "xmp", "dpi", "iptc"},
    "WEBP": {"icc", "exif", "xmp"},
    "AVIF": {"icc", "exif", "xmp"},
    "BMP": {"dpi"},
    "DIB": {"dpi"},
}
JPEG_SEGMENT_MAX_BYTES = 65533
XMP_TAG = 700  # of TIFF


def format_of(suffix: str) -> str:
    """Pillow's name of the format that a suffix such as .png stands for. UsageError if
    there is none that can be written.
    """
    suffix = suffix.lower()
    known = Image.registered_extensions().get(suffix)
    if known is None or known not in Image.SAVE or suffix == SUFFIX:
        raise UsageError(f"cannot write {suffix} files")
    return known


def file_bytes(
    image: Image.Image, image_format: str, quality: int | None = None
) -> tuple[bytes, list[str], str]:
    """(the picture in a format of Pillow's, what of it is lost there, the pixels that
    are written); UsageError if the format cannot hold it.

    Where the orientation cannot be kept in EXIF data, the picture is turned upright.
    """
    check_quality(image_format, quality)
    losses = []
    if image.has_transparency_data and not holds_alpha(image, image_format):
        losses.append(f"transparency, which the {image_format} file cannot hold")
        image = on_white(image)
    options = dict(SAVE_OPTIONS.get(image_format, {}))
    if image_format in (*LOSSY, *IN_JPEG):
        options["quality"] = quality or QUALITY_DEFAULT
        if needs_full_chroma(image):
            options |= FULL_CHROMA.get(image_format, {})
    if image_format == "GIF" and image.mode != "L":
        losses.append("colors beyond 256")
    kinds = kept_kinds(image, image_format, losses)
    image = turned(image, "exif" in kinds)
    options |= metadata_options(image, image_format, kinds)
    try:
        coded = saved(image, image_format, options)
        return coded, losses, sizes_written(image, image_format, coded)
    except MemoryError:
        raise
    except Exception as error:  # every format raises its own
        raise UsageError(
            f"cannot write this picture as {image_format}: {error}"
        ) from None


def check_quality(image_format: str, quality: int | None) -> None:
    """UsageError if there is one, and the format takes none."""
    if quality is not None and image_format not in (*LOSSY, *IN_JPEG):
        formats = ", ".join([*LOSSY, *IN_JPEG])
        raise UsageError(f"a quality is for {formats}, not for {image_format}")


def holds_alpha(image: Image.Image, image_format: str) -> bool:
    """Whether the format holds the picture's transparency, by a trial: some hold none,
    GIF only what is whole.
    """
    if image_format in ALPHA:
        return True
    levels = np.asarray(image.getchannel("A"))
    level = 128 if ((levels > 0) & (levels < 255)).any() else 0
    tried = Image.new(image.mode, (TRIED_PX, TRIED_PX))
    tried.putalpha(level)
    with contextlib.suppress(Exception):  # every format raises its own
        coded = io.BytesIO(saved(tried, image_format, {}))
        with Image.open(coded, formats=[image_format]) as found:
            return found.convert("RGBA").getpixel((0, 0))[3] == level  # type: ignore[index]
    return False


def on_white(image: Image.Image) -> Image.Image:
    """The picture without transparency, gray if it is."""
    plain = Image.new("L" if image.mode == "LA" else "RGB", image.size, "white")
    plain.paste(image.convert(plain.mode), mask=image.getchannel("A"))
    plain.info |= image.info
    return plain


def kept_kinds(
    image: Image.Image, image_format: str, losses: list[str]
) -> Collection[str]:
    """The metadata that the format takes, each tried on a picture of one pixel; the
    others are added to the losses.
    """
    kinds = []
    pixel = Image.new(image.mode, (1, 1))
    for name, key in INFO_KEYS.items():
        if key not in image.info:
            continue
        reason = f"which {image_format} files do not hold"
        if name in KEPT.get(image_format, ()):
            reason = f"which the {image_format} file cannot hold"
            with contextlib.suppress(Exception):  # every format raises its own
                options = metadata_options(image, image_format, [name])
                saved(pixel, image_format, options)
                kinds.append(name)
                continue
        losses.append(f"{TITLES[name]}, {reason}")
    if image_format == "JPEG" and set(image.info.get("text", {})) - {COMMENT}:
        losses.append("texts other than the comment, which JPEG files do not hold")
    return kinds


def turned(image: Image.Image, exif_kept: bool) -> Image.Image:
    """The picture, upright unless its EXIF data say how it is to be turned and go with
    it.
    """
    if exif_kept and orientation_of(image.info["exif"]) != 1:
        return image
    with contextlib.suppress(Exception):  # damaged EXIF data
        if image.getexif().get(ORIENTATION, 1) != 1:
            return ImageOps.exif_transpose(image)
    return image


def upright(image: Image.Image) -> Image.Image:
    """The picture without its metadata, its orientation applied."""
    image = turned(image, exif_kept=False)
    return Image.frombytes(image.mode, image.size, image.tobytes())


def saved(image: Image.Image, image_format: str, options: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def metadata_options(
    image: Image.Image, image_format: str, kinds: Collection[str]
) -> dict[str, Any]:
    """Options for `Image.save` that write these of the metadata in `info`."""
    values = {name: image.info[INFO_KEYS[name]] for name in kinds}
    # Formats write the profile in `info`, if they are given no other.
    options = {"icc_profile": values.get("icc", b"")}
    options |= {n: values[n] for n in ("exif", "dpi") if n in values}
    if image_format == "PNG":
        options["pnginfo"] = png_texts(values)
    elif image_format == "TIFF":
        options |= tiff_options(values)
    else:
        options |= {k: v for k, v in values.items() if k == "xmp"}
    if image_format == "JPEG":
        comment = values.get("text", {}).get(COMMENT, "")
        options["comment"] = comment.encode("utf-8", "replace")
        if "iptc" in values:
            options["extra"] = photoshop_segment(values["iptc"])
    return options


def png_texts(values: dict[str, Any]) -> PngInfo:
    """Texts, XMP and IPTC data, which PNG files hold as texts."""
    info = PngInfo()
    for keyword, text in values.get("text", {}).items():
        name = keyword.encode("latin-1", "replace").decode("latin-1")[:79] or COMMENT
        is_latin = text == text.encode("latin-1", "ignore").decode("latin-1")
        (info.add_text if is_latin else info.add_itxt)(name, text)
    if "xmp" in values:
        info.add_itxt(XMP_KEYWORD, values["xmp"].decode("utf-8", "replace"))
    if "iptc" in values:
        data = photoshop_resource(IPTC_RESOURCE, values["iptc"])
        text = f"\niptc\n{len(data):8}\n{data.hex()}\n"
        info.add_text(f"{RAW_PROFILE}iptc", text, zip=True)
    return info


def tiff_options(values: dict[str, Any]) -> dict[str, Any]:
    """EXIF, XMP and IPTC data as tags."""
    tags = Image.Exif()
    if "exif" in values:
        tags.load(values["exif"])
    for name, tag in (("xmp", XMP_TAG), ("iptc", IPTC_TAG)):
        if name in values:
            tags[tag] = values[name]
    return {"exif": tags} if len(tags) else {}


def photoshop_segment(iptc: bytes) -> bytes:
    """The segment of a JPEG file that holds IPTC data."""
    data = b"Photoshop 3.0\0" + photoshop_resource(IPTC_RESOURCE, iptc)
    if len(data) > JPEG_SEGMENT_MAX_BYTES:
        raise UsageError("IPTC data are too long for a JPEG file")
    return b"\xff\xed" + (len(data) + 2).to_bytes(2, "big") + data


def needs_full_chroma(image: Image.Image) -> bool:
    """Whether it would be seen if chroma were of half the size, as in colored text."""
    if image.mode not in ("RGB", "RGBA"):
        return False
    planes = image.convert("RGB").convert("YCbCr").split()[1:]
    return any(error_of_halves(plane) > CHROMA_ERROR for plane in planes)


def error_of_halves(plane: Image.Image) -> int:
    """The mean squared error, up to 255, of the worst block, of means over 2 x 2."""
    box = (0, 0, plane.width / 2, plane.height / 2)
    halved = plane.reduce(2).resize(plane.size, Image.Resampling.NEAREST, box)
    error = ImageChops.difference(plane, halved).point(SQUARES)
    return int(np.asarray(error.reduce(CHROMA_BLOCK_PX)).max())


def sizes_written(image: Image.Image, image_format: str, coded: bytes) -> str:
    """The pixels that are in a file: of an icon, those of every size in it."""
    sizes = [image.size]
    if image_format in ICONS:
        with Image.open(io.BytesIO(coded), formats=[image_format]) as icon:
            sizes = sorted({size[:2] for size in icon.info["sizes"]})
    return ", ".join(f"{width} x {height}" for width, height in sizes) + " pixels"
