"""Files that would take memory or time without end if their readers let them.

The tests and the subcommand `refusals` try them.
"""

import io
import struct
import tarfile
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

IMAGE = Image.radial_gradient("L").resize((128, 96)).convert("RGB")
GHOST = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n{} loop\n%%EOF\n"


def saved(image: Image.Image, image_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def png_chunk(name: bytes, data: bytes) -> bytes:
    crc = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + crc


def tiff(samples: NDArray[Any], tags: dict[int, int] | None = None) -> bytes:
    """An uncompressed TIFF file of unsigned samples [H, W] or [H, W, 3]; `tags` are
    more of them, of 32 bits.
    """
    height, width = samples.shape[:2]
    channels, bits = samples.size // (height * width), 8 * samples.itemsize
    data = samples.astype(samples.dtype.newbyteorder("<")).tobytes()
    entries = {256: width, 257: height, 259: 1, 277: channels, 278: height}
    entries |= {262: 2 if channels == 3 else 1, 279: len(data), **(tags or {})}
    count = len(entries) + 2
    depths_at = 8 + 2 + 12 * count + 4
    entries[273] = depths_at + 2 * channels + 2 * channels % 4
    directory = struct.pack("<H", count)
    for tag, value in sorted({**entries, 258: 0}.items()):
        if tag != 258:
            directory += struct.pack("<HHII", tag, 4, 1, value)
        elif channels == 1:
            directory += struct.pack("<HHIHH", tag, 3, 1, bits, 0)
        else:
            directory += struct.pack("<HHII", tag, 3, channels, depths_at)
    head = b"II*\0" + struct.pack("<I", 8) + directory + bytes(4)
    head += struct.pack(f"<{channels}H", *[bits] * channels)
    return head.ljust(entries[273], b"\0") + data


def icon_bomb(side: int = 20000) -> bytes:
    """An icon of 256 x 256 pixels by its header, far more by the PNG file in it."""
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((side // 8 + 1) * side), 9)
    inner = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header)
    inner += png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")
    entry = struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 1, len(inner), 22)
    return struct.pack("<HHH", 0, 1, 1) + entry + inner


def gif_of(screen: int, frame: int, *, disposal: int = 0, before: bytes = b"") -> bytes:
    """The start of a GIF file of these sides; `before` its frame."""
    data = b"GIF89a" + struct.pack("<HH", screen, screen) + b"\0\0\0" + before
    data += b"!\xf9\4" + bytes([disposal << 2, 0, 0, 0]) + b"\0"
    return data + b"," + struct.pack("<4H", 0, 0, frame, frame) + b"\0\x08"


def animation_of(side: int) -> bytes:
    data = bytearray(
        saved(IMAGE, "WEBP", save_all=True, append_images=[IMAGE.rotate(90)])
    )
    data[24:27] = data[27:30] = (side - 1).to_bytes(3, "little")
    return bytes(data)


def jpeg_2000_of(side: int) -> bytes:
    """The boxes around the codestream say that it is small."""
    data = bytearray(saved(IMAGE, "JPEG2000"))
    at = data.find(b"\xff\x4f\xff\x51") + 8
    data[at : at + 8] = data[at + 16 : at + 24] = struct.pack(">II", side, side)
    return bytes(data)


def bmp_of(side: int) -> bytes:
    data = saved(IMAGE, "BMP")
    return data[:18] + struct.pack("<ii", side, side) + data[26:]


def many_scans(count: int, side: int = 64) -> bytes:
    """A progressive JPEG file whose last scan is repeated."""
    data = saved(Image.new("L", (side, side)), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + data[-2:]


def spoken(comment_bytes: int) -> bytes:
    """A PPM file with a comment."""
    return b"P6 #" + b"x" * comment_bytes + b"\n1 1 255\n123"


def chained_headers(count: int) -> bytes:
    """A tar file of one member, with extended headers in a row before it."""
    record = b"14 path=a.png\n"
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, len(record)
    chain = (header.tobuf(tarfile.USTAR_FORMAT) + record.ljust(512, b"\0")) * count
    return chain + tarfile.TarInfo("a.png").tobuf() + bytes(1024)


BOMBS = {
    "ico": icon_bomb(),
    "webp": animation_of(9000),
    "jp2": jpeg_2000_of(30000),
    "tiff-tile": tiff(np.zeros((64, 64, 3), np.uint8), {322: 30000, 323: 30000}),
    "gif": gif_of(1, 9999),
    "gif-screen": gif_of(65535, 1),
    "gif-filled": gif_of(1, 60000, disposal=2),
    "gif-behind-noise": gif_of(1, 60000, disposal=2, before=b"\0x!\xfe\1a\0"),
    "webp-canvas": animation_of(16383),
    "bmp": bmp_of(30000),
}
