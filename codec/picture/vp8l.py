"""Lossless pictures as VP8L data: WebP (RFC 9649, section 3) without its container."""

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from codec.errors import CodecError, FormatError

VP8L_START = b"\x2f"
SIDE_BITS = 14  # of a VP8L header, for the width less one, then the height less one
SIDE_MAX_PX = (1 << SIDE_BITS) - 1  # as WebP has it
EFFORT_MAX = 100
RIFF_BYTES = 20  # before the data
Mask = NDArray[np.bool_]  # [H, W]


def pack_lossless(
    colors: NDArray[np.uint8], covered: Mask | None, effort: int = 80
) -> bytes:
    """VP8L data of colors [H, W, 3] where they are `covered`, or everywhere; sides of
    at most SIDE_MAX_PX. `effort` is WebP's, 0 to EFFORT_MAX.
    """
    image = Image.fromarray(colors)
    if covered is not None:
        image.putalpha(Image.fromarray(covered))
    file = io.BytesIO()
    image.save(file, "WEBP", lossless=True, method=6, quality=effort)
    data = file.getvalue()
    return data[RIFF_BYTES : RIFF_BYTES + struct.unpack_from("<I", data, 16)[0]]


def check_lossless(data: bytes, width: int, height: int) -> None:
    """FormatError if data do not begin like VP8L data of this size."""
    sides = int.from_bytes(data[1:5].ljust(4, b"\0"), "little")
    found = (sides & SIDE_MAX_PX) + 1, (sides >> SIDE_BITS & SIDE_MAX_PX) + 1
    if data[:1] != VP8L_START or found != (width, height):
        raise FormatError(f"no lossless picture of {width} x {height} pixels")


def unpack_lossless(data: bytes, width: int, height: int) -> Image.Image:
    """The picture, RGBA or RGB, of VP8L data; FormatError if it is of another size."""
    from PIL.WebPImagePlugin import WebPImageFile  # takes time that most do not need

    check_lossless(data, width, height)
    body = b"WEBPVP8L" + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
    file = b"RIFF" + struct.pack("<I", len(body)) + body
    return loaded(WebPImageFile, file, width, height)


def loaded(
    reader: type[ImageFile.ImageFile], data: bytes, width: int, height: int
) -> Image.Image:
    """The picture that one of Pillow's readers finds; FormatError if it cannot be
    decoded, or is of another size, CodecError if Pillow's limit forbids it.
    """
    try:
        # Not by `Image.open`, which warns of large ones.
        with reader(io.BytesIO(data)) as image:
            if image.size != (width, height):
                raise FormatError("picture is of another size than it should")
            image.load()
            return image
    except (FormatError, MemoryError):
        raise
    except Image.DecompressionBombError as error:  # which some of them test themselves
        raise CodecError(f"Pillow's MAX_IMAGE_PIXELS forbids it: {error}") from None
    except Exception:  # Pillow raises all kinds on damaged files
        raise FormatError("picture cannot be decoded") from None
