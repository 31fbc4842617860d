"""Samples of more than 8 bits, and of other kinds than color, to 8-bit ones."""

import sys
from typing import Any

import numpy as np
from PIL import Image

from codec.picture.declared import CODESTREAM

DEEP = (";16B", ";16L", ";16N", ";12")
# Of 16 bits, TIFF files of cameras and scanners often hold fewer.
DEPTHS = (8, 10, 12, 14, 16)
UPPER_BITS = "all but 8 bits of the samples"
PHOTOMETRIC = 262  # tag of TIFF
DARK = 63  # the upper 8 of 16 bits are less than this if 14 are held at most


def raw_modes(image: Image.Image) -> list[str]:
    """The samples in the file, which Pillow names until it loads them."""
    modes = (tile[3] for tile in getattr(image, "tile", ()))
    return [str(mode[0] if isinstance(mode, tuple) else mode) for mode in modes]


def is_deep(image: Image.Image, data: bytes) -> bool:
    """Whether the samples in a file have more than 8 bits, before they are loaded."""
    if image.mode.startswith("I") or any(m.endswith(DEEP) for m in raw_modes(image)):
        return True
    if image.format == "PPM":  # (mode, largest value) of the decoder
        arguments = [tile[3] for tile in getattr(image, "tile", ())]
        return any(isinstance(a, tuple) and a[1] > 255 for a in arguments)
    if image.format in ("AVIF", "HEIF"):
        start = data.find(b"pixi") + 8
        return (
            start >= 8 and max(data[start + 1 : start + 1 + data[start]], default=8) > 8
        )
    if image.format == "JPEG2000":
        start = data.find(CODESTREAM) + 42
        return bool(data[start : start + 1]) and (data[start] & 0x7F) + 1 > 8
    return False


def gray_in_8_bits(
    image: Image.Image, raw: list[str], is_tiff: bool, losses: list[str]
) -> Image.Image:
    """An image of mode L from integers of 16 or 32 bits; of TIFF, and of 32 bits, they
    count from the largest down; those of other files fill 16 at least. Where zero is
    white Pillow leaves them so.
    """
    if image.has_transparency_data:
        losses.append("transparency")
    values = np.asarray(image).astype(np.int64)
    if raw[:1] == ["I;32N"]:  # unsigned
        values &= 0xFFFFFFFF
    values -= min(int(values.min()), 0)
    largest = int(values.max())
    of_memory = image.format is None and image.mode == "I"
    bits = held(largest) if is_tiff or of_memory else max(16, largest.bit_length())
    losses.append(words_of(bits))
    gray = (values >> (bits - 8)).astype(np.uint8)
    zero_is_white = is_tiff and image.tag_v2.get(PHOTOMETRIC) == 0  # type: ignore[attr-defined]
    return Image.fromarray(255 - gray if zero_is_white else gray)


def held(largest: int) -> int:
    """How many bits samples have whose largest is this."""
    bits = largest.bit_length()
    return next((depth for depth in DEPTHS if depth >= bits), bits)


def words_of(bits: int) -> str:
    return UPPER_BITS if bits == 16 else f"{UPPER_BITS}, scaled from {bits} bits"


def full_color(
    upper: Image.Image, lower: Image.Image, losses: list[str]
) -> Image.Image:
    """An image of samples of which Pillow gives the upper and, read the other way
    round, the lower 8 of 16 bits; they count from the largest down.
    """
    high = np.asarray(upper).astype(np.uint16) << 8
    samples = high | np.asarray(lower)
    bits = held(int(samples.max()))
    losses.append(words_of(bits))
    in_8_bits = (samples >> (bits - 8)).astype(np.uint8)
    return Image.fromarray(in_8_bits, upper.mode)


def is_dark(image: Image.Image) -> bool:
    """Whether the upper 8 of 16 bits leave room for fewer bits having been meant."""
    ranges = image.getextrema()
    pairs = ranges if isinstance(ranges[0], tuple) else (ranges,)
    return max(high for _, high in pairs) <= DARK


def swapped(tiles: list[Any]) -> list[Any]:
    """Tiles of an image not yet loaded, that will give the lower 8 of 16 bits."""
    return [tile._replace(args=other_order(tile.args)) for tile in tiles]


def other_order(arguments: Any) -> Any:
    if isinstance(arguments, tuple):
        return (other_order(arguments[0]), *arguments[1:])
    native, other = "LB" if sys.byteorder == "little" else "BL"
    orders = {"L": "B", "B": "L", "N": other, native: other}
    return arguments[:-1] + orders.get(arguments[-1:], arguments[-1:])
