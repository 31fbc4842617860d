"""The profile of colors that a file names by codes or numbers, or has where Pillow does
not look.
"""

import struct

from numpy.linalg import LinAlgError
from PIL import Image

from codec.errors import UsageError
from codec.picture.embedded import bmp_profile, jpeg_2000_profile
from codec.picture.losses import BOXES_BYTES, TONE_MAP
from codec.picture.png_chunks import png_chunks
from codec.picture.profiles import (
    D65,
    HIGH_DYNAMIC_RANGE,
    PRIMARIES,
    SRGB_CODE,
    coded_profile,
    gray_profile,
    rgb_profile,
)

SRGB_GAMMA = 0.45455  # the custom of PNG files
SRGB_CHROMATICITIES = (*D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
NEAR = 0.006
NAME = "Gamma and chromaticities"
GRAY_MODES = ("1", "L", "LA", "I;16", "I")


def named_profile(image: Image.Image, data: bytes, losses: list[str]) -> bytes | None:
    """The profile to go with a picture instead of its own, if any; UsageError for high
    dynamic range, which 8 bits cannot hold.
    """
    if image.format in ("AVIF", "HEIF"):
        boxes = data[:BOXES_BYTES]
        codes = codes_of_boxes(boxes)
        if codes is None:
            return None
        if codes[1] in HIGH_DYNAMIC_RANGE:
            skip = TONE_MAP in boxes  # they are of the other rendition
        else:
            skip = bool(image.info.get("icc_profile"))
        return None if skip else profile_of(*codes, losses)
    if image.format == "BMP":
        return bmp_profile(data, losses)
    if image.format == "JPEG2000":
        return jpeg_2000_profile(data)
    if image.format != "PNG":
        return None
    codes_chunk = next((d for n, d in png_chunks(data) if n == b"cICP"), b"")
    if len(codes_chunk) == 4:
        primaries, transfer, matrix, full_range = codes_chunk
        if matrix or not full_range:
            losses.append("cICP: the samples are not of RGB in full range")
        return profile_of(primaries, transfer, losses)
    if image.info.get("icc_profile") or "srgb" in image.info:
        return None
    try:
        return measured_profile(image)
    except (ArithmeticError, LinAlgError, struct.error):  # of numbers that are none
        losses.append("the gamma and the chromaticities, damaged")
        return None


def codes_of_boxes(data: bytes) -> tuple[int, int] | None:
    """(primaries, transfer) of an AVIF or HEIF file."""
    start = data.find(b"colrnclx") + 8
    if start < 8 or len(data) < start + 4:
        return None
    primaries, transfer = struct.unpack_from(">HH", data, start)
    return primaries, transfer


def profile_of(primaries: int, transfer: int, losses: list[str]) -> bytes | None:
    if transfer in HIGH_DYNAMIC_RANGE:
        name = HIGH_DYNAMIC_RANGE[transfer]
        raise UsageError(
            f"samples of high dynamic range ({name}) cannot be coded; convert the "
            "picture to sRGB or Display P3 first"
        )
    try:
        return coded_profile(primaries, transfer)
    except KeyError:
        losses.append(f"the color space, of codes {primaries} and {transfer}")
        return None


def measured_profile(image: Image.Image) -> bytes | None:
    """Of the gamma and the chromaticities in a PNG file, unless they are sRGB's."""
    gamma = image.info.get("gamma", SRGB_GAMMA)
    found = image.info.get("chromaticity", SRGB_CHROMATICITIES)
    plain_gamma = abs(gamma - SRGB_GAMMA) < NEAR
    pairs = zip(found, SRGB_CHROMATICITIES, strict=True)
    plain_colors = all(abs(a - b) < NEAR for a, b in pairs)
    if not gamma or (plain_gamma and plain_colors):
        return None
    curve = (1 / gamma,)
    if image.mode in GRAY_MODES:
        return None if plain_gamma else gray_profile(NAME, curve)
    if plain_colors:
        return rgb_profile(NAME, PRIMARIES[SRGB_CODE][1], curve)
    white, red, green, blue = zip(found[::2], found[1::2], strict=True)
    return rgb_profile(NAME, (red, green, blue, white), curve)
