"""Parts of pictures <-> what classic codecs make of them, by Pillow.

Lossless WebP without its container (VP8L, whose header says its size), and AVIF.
"""

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from codec.errors import CodecError, FormatError
from codec.picture.alpha import smooth_where_invisible

VP8L_SIGNATURE = 0x2F
SIDE_BITS = 14  # of a VP8L header, for the width less one, then the height less one
RIFF_BYTES = 20  # before the data
SPEED = 6  # of AVIF
Colors = NDArray[np.uint8]  # [H, W, 3]
Mask = NDArray[np.bool_]  # [H, W]


def pack_lossless(colors: Colors, covered: Mask | None) -> bytes:
    """VP8L data of the colors where they are `covered`; everywhere if that is None."""
    image = Image.fromarray(colors)
    if covered is not None:
        image.putalpha(Image.fromarray(covered))
    file = io.BytesIO()
    image.save(file, "WEBP", lossless=True, method=6, quality=80)
    data = file.getvalue()
    return data[RIFF_BYTES : RIFF_BYTES + struct.unpack_from("<I", data, 16)[0]]


def unpack_lossless(data: bytes, width: int, height: int) -> Image.Image:
    """The picture, RGBA or RGB, of VP8L data; FormatError if it is of another size."""
    sides = int.from_bytes(data[1:5].ljust(4, b"\0"), "little")
    largest = (1 << SIDE_BITS) - 1
    found = (sides & largest) + 1, (sides >> SIDE_BITS & largest) + 1
    if data[:1] != bytes([VP8L_SIGNATURE]) or found != (width, height):
        raise FormatError(f"layer is no lossless picture of {width} x {height} pixels")
    body = b"WEBPVP8L" + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
    return loaded(b"RIFF" + struct.pack("<I", len(body)) + body, "WEBP", width, height)


def pack_lossy(colors: Colors, covered: Mask | None, quality: int) -> bytes:
    """An AVIF file of the colors; where they are not `covered`, of whatever is
    cheapest.
    """
    if covered is not None:
        colors = smooth_where_invisible(colors, covered)
    file = io.BytesIO()
    Image.fromarray(colors).save(
        file, "AVIF", quality=quality, subsampling="4:4:4", speed=SPEED
    )
    return file.getvalue()


def unpack_lossy(data: bytes, width: int, height: int) -> Image.Image:
    """The picture of mode RGB in an AVIF file; FormatError as `unpack_lossless`."""
    if not has_avif():
        raise CodecError("parts of the picture are AVIF, which this Pillow cannot read")
    return loaded(data, "AVIF", width, height).convert("RGB")


def has_avif() -> bool:
    return bool(features.check("avif"))


def loaded(data: bytes, name: str, width: int, height: int) -> Image.Image:
    try:
        with Image.open(io.BytesIO(data), formats=[name]) as image:
            if image.size != (width, height):
                raise FormatError("layer is of another size than its tile")
            image.load()
            return image
    except (FormatError, MemoryError):
        raise
    except Exception:  # Pillow raises all kinds on damaged files
        raise FormatError("layer cannot be decoded") from None
