"""Pictures as a screen shows them: upright, in RGB or RGBA, the colors of sRGB."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from codec.api import MAGIC, SUFFIX, decode_file, read_info
from codec.app.files import read
from codec.options import SCALES, DecodeOptions
from codec.picture.profiles import in_srgb
from codec.picture.reading import Picture, picture_in, upright


@dataclass(frozen=True)
class Shown:
    """A picture, and a line that says what it is."""

    image: Image.Image
    title: str


def open_for_screen(name: str, options: DecodeOptions) -> Shown:
    """The picture in an .aec file, or in one of the formats that are read here.
    CodecError or OSError if it cannot be shown.
    """
    data = read(name)
    if data.startswith(MAGIC) or Path(name).suffix.lower() == SUFFIX:
        image = decode_file(data, options)
    else:
        image = pillow_image(picture_in(data, options.max_pixels, strip=["exif"]))
    image = on_screen(image)
    width, height = image.size
    rate_bpp = 8 * len(data) / (width * height)
    facts = f"{width} x {height}, {size_text(len(data))}, {rate_bpp:.2f} bpp"
    return Shown(image, f"{Path(name).name}: {facts}")


def thumbnail(data: bytes, size_px: int, max_pixels: int) -> Image.Image:
    """The picture in an .aec file, no side longer than `size_px`, decoded no larger
    than it has to be. CodecError if it cannot be decoded.
    """
    facts = read_info(data)
    longest = max(facts.width, facts.height)
    scale = min((s for s in SCALES if s * longest >= size_px), default=1)
    image = on_screen(
        decode_file(data, DecodeOptions(scale=scale, max_pixels=max_pixels))
    )
    image.thumbnail((size_px, size_px), Image.Resampling.LANCZOS)
    return image


def pillow_image(picture: Picture) -> Image.Image:
    """The picture, and its color profile."""
    image = Image.fromarray(picture.rgb[..., 0] if picture.gray else picture.rgb)
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(picture.alpha))
    image.info["icc_profile"] = picture.metadata.get("icc")
    return image


def on_screen(image: Image.Image) -> Image.Image:
    image = upright(image)
    colors = image.convert("L" if image.mode in ("L", "LA") else "RGB")
    shown = in_srgb(colors, image.info.get("icc_profile")) or colors.convert("RGB")
    if image.has_transparency_data:
        shown.putalpha(image.getchannel("A"))
    return shown


def size_text(size_bytes: int) -> str:
    """In bytes, kB or MB, with three digits."""
    if size_bytes < 1000:
        return f"{size_bytes} bytes"
    unit, value = ("kB", size_bytes / 1e3)
    if value >= 999.5:
        unit, value = ("MB", size_bytes / 1e6)
    digits = 0 if value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:.{digits}f} {unit}"
