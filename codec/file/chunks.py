"""Kinds of chunks, the table of chunks <-> bytes, and compressed metadata."""

import zlib
from collections.abc import Sequence

from codec.errors import FormatError, UsageError
from codec.file.primitives import CRC_BYTES, Reader, varint
from codec.limits import check_field

TILE_CHUNK = 0x01
LAYERED_CHUNK = 0x02  # a tile, too
TILE_CHUNKS = (TILE_CHUNK, LAYERED_CHUNK)
# Decoders skip chunk ids of 0x80 and more that they do not know, and refuse unknown
# lower ones.
FIRST_ANCILLARY_CHUNK = 0x80
EXTRA_CHUNKS_MAX = 16  # chunks besides tiles in one file
GRAY_CHUNK = 0x80
ALPHA_CHUNK = 0x81
METADATA_CHUNKS = {
    "icc": 0x82,
    "exif": 0x83,
    "xmp": 0x84,
    "dpi": 0x85,
    "text": 0x86,
    "iptc": 0x87,
}
NEUTRAL_CHUNK = 0x88
METADATA_NAMES = {chunk_id: name for name, chunk_id in METADATA_CHUNKS.items()}
EMPTY_CHUNKS = {GRAY_CHUNK, NEUTRAL_CHUNK}  # they say all by being there
KNOWN_CHUNKS = {GRAY_CHUNK, ALPHA_CHUNK, NEUTRAL_CHUNK, *METADATA_CHUNKS.values()}


def write_table(
    chunks: Sequence[tuple[int, bytes]], extra_count: int
) -> tuple[bytes, list[bytes]]:
    """(the table of all chunks, their payloads in the same order); UsageError for
    chunks that no file can hold. The last `extra_count` are none of tiles.
    """
    check_field(
        "number of further chunks", extra_count, 0, EXTRA_CHUNKS_MAX, UsageError
    )
    for chunk_id, _ in chunks[len(chunks) - extra_count :]:
        check_field("chunk id", chunk_id, FIRST_ANCILLARY_CHUNK, 255, UsageError)
    out = bytearray(varint(len(chunks)))
    for chunk_id, payload in chunks:
        out += bytes([chunk_id]) + varint(len(payload))
    return bytes(out), [payload for _, payload in chunks]


def read_table(reader: Reader, tile_count: int, whole: bool) -> list[tuple[int, int]]:
    """(chunk id, length) of every chunk, all of whose crcs are there if the file is
    `whole`: all tiles first, then the others.
    """
    count = reader.varint("the number of chunks")
    check_field(
        "number of chunks",
        count,
        tile_count,
        tile_count + EXTRA_CHUNKS_MAX,
        FormatError,
    )
    least = 2 + CRC_BYTES * whole  # bytes of a chunk
    if least * count > len(reader.data):  # before anything of that size is made
        raise FormatError("file is cut off: not enough bytes for the chunk table")
    table: list[tuple[int, int]] = []
    found: set[int] = set()
    for number in range(count):
        chunk_id = reader.take(1, "the chunk table")[0]
        if (chunk_id in TILE_CHUNKS) != (number < tile_count):
            raise FormatError(
                f"chunk {number + 1} has id {chunk_id:#04x}; expected "
                f"{tile_count} tiles first and no others"
            )
        if chunk_id not in TILE_CHUNKS and chunk_id < FIRST_ANCILLARY_CHUNK:
            raise FormatError(
                f"chunk id {chunk_id:#04x} is not supported by this program"
            )
        if chunk_id in KNOWN_CHUNKS and chunk_id in found:
            raise FormatError(f"chunk id {chunk_id:#04x} occurs twice")
        found.add(chunk_id)
        table.append((chunk_id, reader.varint("the chunk table")))
    return table


def inflate(packed: bytes, name: str, room_bytes: int) -> bytes:
    """What a zlib stream holds, at most `room_bytes`."""
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(packed, room_bytes + 1)
    except zlib.error:
        raise FormatError(f"{name} data cannot be decompressed") from None
    if len(data) > room_bytes or not stream.eof or stream.unused_data:
        raise FormatError(f"{name} data is too large, or not one whole stream")
    return data
