"""The chunks of PNG files, and those that Pillow would refuse a picture for."""

import struct
import zlib
from collections.abc import Iterator

from codec.limits import METADATA_MAX_BYTES

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Those that are read, or say nothing of the picture once it is decoded.
KNOWN_CHUNKS = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"iCCP", b"sRGB", b"gAMA"}
KNOWN_CHUNKS |= {b"cHRM", b"cICP", b"pHYs", b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"sBIT"}
KNOWN_CHUNKS |= {b"acTL", b"fcTL", b"fdAT", b"hIST", b"sPLT", b"iDOT"}
CHUNK_MAX_BYTES = 2**20  # of one chunk, decompressed, as in Pillow's PngImagePlugin
LIMITED_CHUNKS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name, data) of the chunks of a PNG file, as far as they are whole; of IDAT the
    name alone.
    """
    for name, start, end in spans(data):
        yield name, b"" if name == b"IDAT" else data[start + 8 : end - 4]


def spans(data: bytes, start: int = 0) -> Iterator[tuple[bytes, int, int]]:
    """(name, start, end) of the chunks of a PNG file that begins at `start`; lengths
    and checksums are included.
    """
    start += len(SIGNATURE)
    while len(data) >= start + 12:
        (size,) = struct.unpack_from(">I", data, start)
        yield data[start + 4 : start + 8], start, start + size + 12
        start += size + 12


def without_large_texts(data: bytes, losses: list[str]) -> bytes:
    """A PNG file without the texts and the profile that are so large that Pillow would
    refuse the picture for them, or that a file of ours could not hold.
    """
    if not data.startswith(SIGNATURE):
        return data
    room_bytes, kept, kept_from = METADATA_MAX_BYTES, [], 0
    left_out: set[bytes] = set()
    for name, start, end in spans(data):
        if name not in LIMITED_CHUNKS:
            continue
        size = unpacked_bytes(name, data[start + 8 : end - 4])
        if size > min(room_bytes, max(CHUNK_MAX_BYTES, end - start)):
            left_out.add(name)
            kept.append(data[kept_from:start])
            kept_from = end
        else:
            room_bytes -= size
    losses += [f"chunks {name.decode()}, too large" for name in sorted(left_out)]
    return b"".join([*kept, data[kept_from:]]) if kept else data


def unpacked_bytes(name: bytes, payload: bytes) -> int:
    """How long a text or a profile is, counted up to just over the limit."""
    rest = payload.partition(b"\0")[2]
    if name == b"tEXt":
        return len(rest)
    if name == b"iTXt":
        is_packed, rest = rest[:1] != b"\0", rest[2:]
        rest = rest.split(b"\0", 2)[-1]
        if not is_packed:
            return len(rest)
    else:
        rest = rest[1:]
    try:
        return len(zlib.decompressobj().decompress(rest, CHUNK_MAX_BYTES + 1))
    except zlib.error:
        return 0
