"""The picture formats that are read, each by a decoder of its own and no other."""

import importlib.util
import io
import re
from importlib import import_module
from typing import Any

from PIL import Image, ImageFile

from codec.errors import UsageError
from codec.limits import check_size
from codec.picture.declared import declared_sizes

# Pillow's name: (module, suffixes that are looked for in folders). Others, EPS above
# all, start programs or were written for files that one trusts. TGA has no signature,
# so it comes last.
FORMATS: dict[str, tuple[str, tuple[str, ...]]] = {
    "JPEG": ("PIL.JpegImagePlugin", (".jpg", ".jpeg", ".jpe", ".jfif")),
    "PNG": ("PIL.PngImagePlugin", (".png",)),
    "WEBP": ("PIL.WebPImagePlugin", (".webp",)),
    "AVIF": ("PIL.AvifImagePlugin", (".avif",)),
    "TIFF": ("PIL.TiffImagePlugin", (".tif", ".tiff")),
    "GIF": ("PIL.GifImagePlugin", (".gif",)),
    "BMP": ("PIL.BmpImagePlugin", (".bmp",)),
    "DIB": ("PIL.BmpImagePlugin", (".dib",)),
    "PPM": ("PIL.PpmImagePlugin", (".pbm", ".pgm", ".pnm", ".ppm")),
    "JPEG2000": ("PIL.Jpeg2KImagePlugin", (".jp2", ".j2k")),
    "ICO": ("PIL.IcoImagePlugin", ()),
    "HEIF": ("pillow_heif", (".heic", ".heif", ".hif")),
    "JXL": ("pillow_jxl", (".jxl",)),
    "TGA": ("PIL.TgaImagePlugin", (".tga",)),
}
# Read where `aecodec[inputs]` is installed; how their files begin.
EXTRAS = {
    "HEIF": re.compile(rb"....ftyp(hei[cmsx]|hev[cmsx]|mif1|msf1)", re.DOTALL),
    "JXL": re.compile(rb"\xff\x0a|\0\0\0\x0cJXL "),
}
SUFFIXES = frozenset(suffix for _, names in FORMATS.values() for suffix in names)
SIGNATURE_BYTES = 16
QUOTED_BYTES = re.compile(r" \([^()]*b['\"].*\)$")  # as Pillow puts them
TILE_WIDTH, TILE_LENGTH = 322, 323  # tags of TIFF


def is_installed(name: str) -> bool:
    """Whether a format can be read here."""
    module, _ = FORMATS[name]
    if name in EXTRAS:
        return importlib.util.find_spec(module) is not None
    import_module(module)
    return name in Image.OPEN


def readable_suffixes() -> frozenset[str]:
    """Those of the formats that are read here."""
    return frozenset(
        suffix
        for name, (_, suffixes) in FORMATS.items()
        if suffixes and is_installed(name)
        for suffix in suffixes
    )


def open_picture(
    data: bytes, max_pixels: int, decoded_max_pixels: int | None = None
) -> Image.Image:
    """An image of one of FORMATS, no pixel of it decoded yet unless it is small enough;
    UsageError if it is of no such format or over the limit, which may be another one
    for those that opening takes memory for.

    `Image.open` would ask every plugin that there is, and goes by a limit of the whole
    process.
    """
    why = "not an image in a format that is read here"
    for name in FORMATS:
        if name in EXTRAS and not EXTRAS[name].match(data):
            continue  # to import their modules makes Pillow read them, everywhere
        if not is_installed(name):
            if name in EXTRAS:
                why = f"{name} pictures are read with pip install 'aecodec[inputs]'"
            continue
        factory, accept = opener(name)
        start = data[:SIGNATURE_BYTES].ljust(SIGNATURE_BYTES, b"\0")
        accepted = accept is None or accept(start)
        if isinstance(accepted, str):  # what Pillow was built without
            why = accepted
            continue
        if not accepted:
            continue
        limit = decoded_max_pixels or max_pixels
        for width, height in declared_sizes(name, data):
            check_size(width, height, limit, UsageError)
        try:
            image: ImageFile.ImageFile = factory(io.BytesIO(data), "")
        except SyntaxError as error:  # another may have the same first bytes
            if accept:
                why = unreadable(error)
            continue
        check_size(image.width, image.height, max_pixels, UsageError)
        check_tiles(image, max_pixels)
        return image
    raise UsageError(why)


def unreadable(error: Exception) -> str:
    """What to say of an error of a decoder: its own words if it has some, which may be
    of several lines, but not those of what it stumbled over, nor bytes.
    """
    spoken = OSError | SyntaxError | Image.DecompressionBombError
    said = isinstance(error, spoken) and error.__cause__ is None
    why = QUOTED_BYTES.sub("", " ".join(str(error).split())) if said else ""
    return f"image cannot be read: {why or 'it is damaged or cut off'}"


def check_tiles(image: Image.Image, max_pixels: int) -> None:
    """Tiles of a TIFF file may be larger than the picture, which Pillow tests by a
    limit of the whole process, if at all.
    """
    tags = getattr(image, "tag_v2", {})
    if tags:
        rows, columns = tags.get(TILE_LENGTH, 1), tags.get(TILE_WIDTH, 1)
        check_size(columns, rows, max_pixels, UsageError)
        image.im = Image.core.new(image.mode, image._tile_size)  # type: ignore[attr-defined]


def opener(name: str) -> tuple[Any, Any]:
    """(what opens the format, what tells it by the first bytes or None), as Pillow's
    plugins have them.
    """
    module = import_module(FORMATS[name][0])
    if name == "HEIF" and name not in Image.OPEN:
        module.register_heif_opener()
    return Image.OPEN[name]
