"""What is coded of a Pillow image, of an array, or of a file in a picture format."""

import io
import math
import os
import struct
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from codec.errors import CodecError, UsageError
from codec.limits import EXTENSION_PX, MAX_PIXELS, NO_LIMIT, check_size
from codec.picture.alpha import smooth_where_invisible
from codec.picture.formats import FORMATS, open_picture, unreadable
from codec.picture.losses import other_contents
from codec.picture.metadata import INFO_KEYS, TITLES, fitting, packed, read_metadata
from codec.picture.named_colors import named_profile
from codec.picture.png_chunks import without_large_texts
from codec.picture.profiles import SPACE, in_srgb
from codec.picture.samples import (
    UPPER_BITS,
    full_color,
    gray_in_8_bits,
    is_dark,
    is_deep,
    raw_modes,
    swapped,
)

# Of a transparent color of fewer than 8 bits, which Pillow leaves so, by raw mode.
KEY_FACTORS = {"L;2": 85, "L;4": 17}
SHOWN_PX = (1024, 1024)  # in notebooks
CHANNELS_MAX = 4  # of an array, with alpha
SHAPES = {2: "[H, W]", 3: "[H, W, 3]"}  # by the number of dimensions


@dataclass
class Picture:
    """What is coded of an image; `losses` say what of the image is not."""

    rgb: NDArray[np.uint8]  # [H, W, 3]
    gray: bool = False  # of one channel, which is repeated
    neutral: bool = False  # of three channels that are the same
    alpha: NDArray[np.uint8] | None = None  # [H, W], lossless; None if opaque
    metadata: dict[str, bytes] = field(default_factory=dict)  # by the names INFO_KEYS
    losses: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """UsageError for what is not so."""
        check_array(self.rgb, "rgb", 3)
        if self.alpha is not None:
            check_array(self.alpha, "alpha", 2)
            if self.alpha.shape != self.rgb.shape[:2]:
                raise UsageError(
                    f"alpha has shape {self.alpha.shape}, rgb {self.rgb.shape}"
                )
        for name, data in self.metadata.items():
            if name not in INFO_KEYS or not isinstance(data, bytes):
                raise UsageError(f"metadata {name!r} are {type(data).__name__}")

    @property
    def visible(self) -> NDArray[np.bool_] | None:
        """[H, W]; None if all is."""
        return None if self.alpha is None else self.alpha > 0

    def _repr_png_(self) -> bytes:
        """What notebooks show."""
        image = Image.fromarray(self.rgb)
        if self.alpha is not None:
            image.putalpha(Image.fromarray(self.alpha))
        image.thumbnail(SHOWN_PX)
        image.save(file := io.BytesIO(), "PNG")
        return file.getvalue()


def check_array(array: Any, name: str, *dimensions: int) -> None:
    """UsageError if it is no uint8 array of one of these numbers of dimensions, or has
    no pixels.
    """
    if not isinstance(array, np.ndarray):
        raise UsageError(f"{name} is {type(array).__name__}; expected an array")
    if array.dtype != np.uint8:
        raise UsageError(f"{name} array has type {array.dtype}; expected uint8")
    if array.ndim not in dimensions or array.shape[2:] not in ((), (3,)):
        expected = " or ".join(SHAPES[n] for n in dimensions)
        raise UsageError(f"{name} array has shape {array.shape}; expected {expected}")
    if 0 in array.shape:
        raise UsageError(f"{name} array has shape {array.shape}: no pixels")


def read_picture(
    image: Image.Image | NDArray[np.uint8],
    strip: Collection[str] = (),
    max_pixels: int = MAX_PIXELS,
    given: Mapping[str, Any] = MappingProxyType({}),
) -> Picture:
    """The picture in a Pillow image, or in an array uint8 [H, W] (gray), [H, W, 3] or
    [H, W, 4], whose last channel is alpha.

    Pixels stay as they are stored: an EXIF orientation is kept as metadata, and applied
    only if "exif" is in `strip`, the metadata left out. Colors that cannot be seen are
    replaced by smooth ones. The image is loaded, else left as it was. Pillow reads less
    than some files say, so these are asked again where an image is loaded already, by
    its `filename`, if that has the same pixels. Metadata that are `given`, by the names
    INFO_KEYS, stand in place of the image's, also as nothing. Raises UsageError for
    arrays of another type or shape, for samples that cannot be coded, and for pictures
    that are too large, before they are loaded.
    """
    if isinstance(image, str | bytes):
        raise UsageError(f"image is {type(image).__name__}; expected a Pillow image")
    try:
        if isinstance(image, Image.Image):
            check_size(image.width, image.height, max_pixels, UsageError)
            key = image.info.get("transparency")
            try:
                return pillow_picture(image, strip, file_of(image), given)
            finally:
                if key is not None:
                    image.info["transparency"] = key
        array = None
        with suppress(ValueError):  # of lists that are no array
            array = np.asarray(image)
        if array is None or array.dtype == object:
            what = type(image).__name__
            raise UsageError(f"image is {what}; expected a Pillow image or an array")
        return array_picture(array, max_pixels)
    except (UsageError, MemoryError):
        raise
    except Exception as error:  # Pillow raises all kinds on damaged files
        raise UsageError(unreadable(error)) from None


def file_of(image: Image.Image) -> bytes:
    """All of the file of an image that is not loaded yet; else nothing."""
    file = getattr(image, "fp", None)
    if file is None or not getattr(image, "tile", None):
        return b""
    place = file.tell()
    file.seek(0)
    data = file.read()
    file.seek(place)
    return data


def pillow_picture(
    image: Image.Image,
    strip: Collection[str],
    data: bytes = b"",
    given: Mapping[str, Any] = MappingProxyType({}),
) -> Picture:
    """As `read_picture`; `data` are the image's file where it is known."""
    if 0 in image.size:
        raise UsageError(f"image of {image.width} x {image.height} has no pixels")
    if image.mode == "F":
        raise UsageError("floating-point samples cannot be coded")
    opened = image
    if not data:
        opened, data = as_opened(image)
    losses = other_contents(opened, data)
    raw, deep = raw_modes(opened), is_deep(opened, data)
    is_tiff = image.format == "TIFF"
    named = named_profile(opened, data, losses)
    if image.format == "PNG":
        mend_transparency(image, raw, losses)
    image.load()  # some metadata lie behind the pixels
    metadata = read_metadata(image, losses)
    if named is not None:
        metadata["icc"] = named
    if "exif" in strip:
        image = upright(image)
        if "xmp" in metadata and "xmp" in image.info:  # without its orientation
            metadata["xmp"] = packed("xmp", image.info["xmp"])
    metadata |= {name: packed(name, value) for name, value in given.items()}
    metadata = {name: data for name, data in metadata.items() if data}
    if image.mode.startswith("I"):
        image = gray_in_8_bits(image, raw, is_tiff, losses)
    elif deep:
        image = color_in_8_bits(image, data if is_tiff else b"", losses)
    image = without_other_colors(image, metadata, losses)
    gray = image.mode in ("1", "L", "LA", "La") or raw == ["LA;16B"]
    alpha = None
    if image.has_transparency_data:
        image = image.convert("LA" if gray else "RGBA")
        if image.getchannel("A").getextrema() != (255, 255):
            alpha = np.asarray(image.getchannel("A"))
    rgb = np.asarray((image.convert("L") if gray else image).convert("RGB"))
    neutral = not gray and is_neutral(rgb)
    check_profile(metadata, gray, losses)
    if alpha is not None:
        rgb = smooth_where_invisible(rgb, alpha > 0)
    kept = [name for name in INFO_KEYS if name in metadata and name not in strip]
    metadata = fitting({name: metadata[name] for name in kept}, losses)
    return Picture(rgb, gray, neutral, alpha, metadata, losses)


def as_opened(image: Image.Image) -> tuple[Image.Image, bytes]:
    """(an image as it was before it was loaded, all of its file), if that is there by
    its name and says what Pillow leaves there, and the pixels are those in it; else the
    image and nothing.
    """
    path = Path(os.fsdecode(getattr(image, "filename", "")))
    if image.format not in FORMATS or not path.is_file():  # a pipe would be waited for
        return image, b""
    data = path.read_bytes()

    def again() -> Image.Image:
        limit = math.prod(side + EXTENSION_PX for side in image.size)
        found = open_picture(data, limit)
        found.seek(image.tell())
        return found

    with suppress(Exception):  # whatever the name may stand for by now
        if says_more(again(), data) and is_same(image, again()):
            return again(), data
    return image, b""


def says_more(image: Image.Image, data: bytes) -> bool:
    """Whether an image that is not loaded yet, and its file, say more than one that is
    loaded.
    """
    try:
        named = named_profile(image, data, [])
    except UsageError:
        return True
    has_key = image.format == "PNG" and "transparency" in image.info
    return has_key or named is not None or is_deep(image, data)


def is_same(image: Image.Image, other: Image.Image) -> bool:
    """Whether pixels are the same."""
    kind, other_kind = ((i.mode, i.size, i.getpalette()) for i in (image, other))
    return kind == other_kind and image.tobytes() == other.tobytes()


def mend_transparency(image: Image.Image, raw: list[str], losses: list[str]) -> None:
    """The transparent color of a PNG image that is not loaded yet, in 8 bits as its
    samples will be; none if it is of 16, as others will be the same in 8.
    """
    key = image.info.get("transparency")
    if key is not None and raw == ["RGB;16B"]:
        del image.info["transparency"]
        losses.append("transparency")
    elif key is not None and raw and raw[0] in KEY_FACTORS:
        image.info["transparency"] = key * KEY_FACTORS[raw[0]]


def upright(image: Image.Image) -> Image.Image:
    """The image with its orientation applied, if that can be read."""
    with suppress(SyntaxError, ValueError, TypeError, KeyError, OSError, struct.error):
        return ImageOps.exif_transpose(image)
    return image


def color_in_8_bits(image: Image.Image, data: bytes, losses: list[str]) -> Image.Image:
    """The image, which Pillow has cut to the upper 8 of 16 bits, and a word of that;
    from a TIFF file, whose data are given, as it is meant if fewer bits are held.
    """
    if not data or not is_dark(image):
        losses.append(UPPER_BITS)
        return image
    again = open_picture(data, NO_LIMIT)
    again.seek(image.tell())
    again.tile = swapped(again.tile)  # type: ignore[attr-defined]
    return full_color(image, again, losses)


def without_other_colors(
    image: Image.Image, metadata: dict[str, bytes], losses: list[str]
) -> Image.Image:
    """The image in RGB if its samples are of CMYK or Lab, by their profile if it has
    one.
    """
    if image.mode not in ("CMYK", "LAB"):
        return image
    icc = metadata.pop("icc", None)
    converted = in_srgb(image, icc)
    how = "by its profile" if converted else "without a profile"
    if icc and not converted:
        losses.append(f"{TITLES['icc']}, it cannot be applied")
    losses.append(f"{image.mode} samples, converted to RGB {how}")
    return converted or image.convert("RGB")


def is_neutral(rgb: NDArray[np.uint8]) -> bool:
    """Whether all three channels are the same; [H, W, 3]."""
    for part in (rgb[::16, ::16], rgb):  # of most pictures the first says no
        red, green, blue = (part[..., channel] for channel in range(3))
        if not (np.array_equal(red, green) and np.array_equal(green, blue)):
            return False
    return True


def check_profile(metadata: dict[str, bytes], gray: bool, losses: list[str]) -> None:
    """Leave out a profile that does not fit the samples."""
    space = b"GRAY" if gray else b"RGB "
    if "icc" in metadata and metadata["icc"][SPACE] != space:
        del metadata["icc"]
        losses.append(f"{TITLES['icc']}, it is for other samples")


def array_picture(array: NDArray[np.uint8], max_pixels: int) -> Picture:
    with_alpha = array.ndim == 3 and array.shape[2] == CHANNELS_MAX
    check_array(array[..., :3] if with_alpha else array, "image", 2, 3)
    check_size(array.shape[1], array.shape[0], max_pixels, UsageError)
    if with_alpha:
        return pillow_picture(Image.fromarray(array), ())
    gray = array.ndim == 2
    if gray:
        array = np.repeat(array[..., None], 3, axis=2)
    return Picture(array, gray, not gray and is_neutral(array))


def picture_in(data: bytes, max_pixels: int, strip: Collection[str]) -> Picture:
    """The picture in a file of one of FORMATS; UsageError if it is none, or too
    large.
    """
    if not data:
        raise UsageError("file is empty")
    try:
        losses: list[str] = []
        data = without_large_texts(data, losses)
        with open_picture(data, max_pixels) as image:
            picture = pillow_picture(image, strip, data)
        picture.losses[:0] = losses
        return picture
    except (CodecError, MemoryError):
        raise
    except Exception as error:  # Pillow's readers raise all kinds on damaged files
        raise UsageError(unreadable(error)) from None
