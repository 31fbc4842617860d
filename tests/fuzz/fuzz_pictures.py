"""Pictures in other formats: what `encode` reads of a file, or a UsageError."""

import contextlib
import itertools
import zlib

import numpy as np
from odd_files import IMAGE, jpeg_with, png_with, xmp
from target import Target

from benchmarks.hostile_files import saved, tiff
from codec.errors import UsageError
from codec.picture.formats import FORMATS
from codec.picture.reading import picture_in

MODES = ("RGB", "RGBA", "P", "L", "1", "CMYK")
UNWRITABLE = (OSError, KeyError, ValueError, NotImplementedError)  # of plugins
MAX_PIXELS = 2**18
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def seeds() -> list[bytes]:
    """Small pictures of the formats that Pillow writes, some with metadata."""
    small = IMAGE.resize((24, 16))
    samples = np.asarray(small)
    exif = small.getexif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0x9003] = "2026:01:01 00:00:00"
    found = [
        jpeg_with(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp(), exif=exif),
        png_with((b"cICP", bytes([12, 13, 0, 1])), (b"tEXt", b"Title\0text")),
        png_with((b"eXIf", exif.tobytes()[6:]), (b"gAMA", b"\0\0\xb1\x8f")),
        tiff(samples),
        tiff(samples.astype("uint16") << 4),
    ]
    for name, mode in itertools.product(FORMATS, MODES):
        with contextlib.suppress(*UNWRITABLE):
            found.append(saved(small.convert(mode), name))
    return [data for data in found if len(data) < TARGET.max_bytes]


def repaired(data: bytes) -> bytes:
    """A PNG file with right checksums; others as they are."""
    if not data.startswith(SIGNATURE):
        return data
    out, place = bytearray(SIGNATURE), len(SIGNATURE)
    while place + 8 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        chunk = data[place + 4 : place + 8 + length]
        out += data[place : place + 4] + chunk + zlib.crc32(chunk).to_bytes(4, "big")
        place += 12 + length
    return bytes(out)


def outcome(data: bytes) -> str:
    try:
        picture = picture_in(data, MAX_PIXELS, ())
    except UsageError as error:
        assert "\n" not in str(error)
        return "refused"
    height, width, channels = picture.rgb.shape
    assert channels == 3
    assert 0 < height * width <= MAX_PIXELS
    assert picture.alpha is None or picture.alpha.shape == (height, width)
    assert all(isinstance(value, bytes) for value in picture.metadata.values())
    assert not any("\n" in loss for loss in picture.losses)
    return "read"


TARGET = Target(seeds, outcome, repaired)
