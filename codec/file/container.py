"""Header, tiles and chunks <-> bytes, as in codec/FORMAT.md; standard library only.

This module knows nothing of images, models or entropy coding: a payload is a string of
bytes.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from codec.errors import FormatError, UsageError

MAGIC = b"\x89AEC"
FORMAT_VERSION = 2
DIGEST_BYTES = 4  # of the bundle's SHA-256 kept in the header
QUALITY_CODE_MAX = 65535
TILE_LOG2_RANGE = (9, 10)  # tiles of 512 or 1024 pixels
SIDE_MAX_PX = 2**24 - 1
EXTENSION_PX = 64  # pictures are extended to multiples of this
MAX_PIXELS = 2**28  # default limit, on the extended picture
NO_LIMIT = (SIDE_MAX_PX + EXTENSION_PX) ** 2  # the extended picture of any header
CRC_BYTES = 4

TILE_CHUNK = 0x01
# Decoders skip chunk ids of 0x80 and more that they do not know, and refuse unknown
# lower ones.
FIRST_ANCILLARY_CHUNK = 0x80
EXTRA_CHUNKS_MAX = 16  # chunks besides tiles in one file
GRAY_CHUNK = 0x80
ALPHA_CHUNK = 0x81
METADATA_CHUNKS = {"icc": 0x82, "exif": 0x83, "xmp": 0x84}
METADATA_NAMES = {chunk_id: name for name, chunk_id in METADATA_CHUNKS.items()}
KNOWN_CHUNKS = {GRAY_CHUNK, ALPHA_CHUNK, *METADATA_CHUNKS.values()}
METADATA_MAX_BYTES = 2**24  # of one kind, before compression


@dataclass(frozen=True)
class Header:
    """What stands before the payloads; every field is range-checked by `pack` and
    `unpack` alike.
    """

    model_id: int
    bundle_digest: bytes
    quality_code: int
    tile_log2: int
    width: int
    height: int

    @property
    def tile_px(self) -> int:
        return 1 << self.tile_log2

    @property
    def tile_grid(self) -> tuple[int, int]:
        """(rows, columns) of tiles."""
        return -(-self.height // self.tile_px), -(-self.width // self.tile_px)

    @property
    def tile_count(self) -> int:
        rows, columns = self.tile_grid
        return rows * columns


# The fields after the magic and the version, in file order: (name, bytes or 0 for a
# varint, minimum, maximum).
FIELDS = (
    ("model_id", 1, 0, 255),
    ("bundle_digest", DIGEST_BYTES, None, None),
    ("quality_code", 2, 0, QUALITY_CODE_MAX),
    ("tile_log2", 1, *TILE_LOG2_RANGE),
    ("width", 0, 1, SIDE_MAX_PX),
    ("height", 0, 1, SIDE_MAX_PX),
)


class Reader:
    """Bytes with a position; running out of them is a FormatError of its own kind."""

    def __init__(self, data: bytes) -> None:
        self.data, self.position = data, 0

    def take(self, count: int, what: str) -> bytes:
        if self.position + count > len(self.data):
            missing = self.position + count - len(self.data)
            raise FormatError(
                f"file is cut off: not enough bytes for {what} ({missing} missing)"
            )
        self.position += count
        return self.data[self.position - count : self.position]

    def varint(self, what: str) -> int:
        """LEB128 of at most 5 bytes, in its shortest form."""
        value = 0
        for shift in range(0, 35, 7):
            byte = self.take(1, what)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if byte == 0 and shift:
                    raise FormatError(f"{what} is not written in its shortest form")
                return value
        raise FormatError(f"{what} is longer than 5 bytes")


def varint(value: int) -> bytes:
    """LEB128: 7 bits a byte, lowest first, the high bit set on all but the last."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def crc(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(CRC_BYTES, "little")


def check_field(
    name: str, value: int, low: int, high: int, error: type[Exception]
) -> None:
    if not low <= value <= high:
        raise error(f"{name} is {value}; expected {low} to {high}")


def check_size(
    width: int, height: int, max_pixels: int, error: type[Exception]
) -> None:
    """Raise `error` if the extended picture is over the limit; memory goes by that."""
    rows, columns = (-(-side // EXTENSION_PX) for side in (height, width))
    if rows * columns * EXTENSION_PX**2 > max_pixels:
        raise error(
            f"image of {width} x {height} pixels is over the limit of {max_pixels} "
            f"(sides count in steps of {EXTENSION_PX})"
        )


def pack(
    header: Header, tiles: Sequence[bytes], chunks: Sequence[tuple[int, bytes]] = ()
) -> bytes:
    """The whole file: header, chunk table, CRC, payloads each with its CRC.

    `tiles` are the tile payloads in raster order, `chunks` further (id, payload) pairs.
    Raises UsageError for values that no file can hold.
    """
    out = bytearray(MAGIC + bytes([FORMAT_VERSION]))
    for name, size, low, high in FIELDS:
        value = getattr(header, name)
        if low is None or high is None:
            if len(value) != size:
                raise UsageError(f"{name} has {len(value)} bytes; expected {size}")
            out += value
        else:
            check_field(name, value, low, high, UsageError)
            out += value.to_bytes(size, "little") if size else varint(value)
    if len(tiles) != header.tile_count:
        raise UsageError(f"{len(tiles)} tiles; expected {header.tile_count}")
    check_field(
        "number of further chunks", len(chunks), 0, EXTRA_CHUNKS_MAX, UsageError
    )
    for chunk_id, _ in chunks:
        check_field("chunk id", chunk_id, FIRST_ANCILLARY_CHUNK, 255, UsageError)
    payloads = [(TILE_CHUNK, tile) for tile in tiles] + list(chunks)
    out += varint(len(payloads))
    for chunk_id, payload in payloads:
        out += bytes([chunk_id]) + varint(len(payload))
    out += crc(bytes(out))
    for _, payload in payloads:
        out += payload + crc(payload)
    return bytes(out)


@dataclass(frozen=True)
class Container:
    """A parsed file; payload bytes are not yet checked, see `payload`."""

    header: Header
    data: bytes
    spans: tuple[tuple[int, int, int], ...]  # (chunk id, offset, length) in file order

    @property
    def size_bytes(self) -> int:
        """Length of the whole file."""
        _, offset, length = self.spans[-1]
        return offset + length + CRC_BYTES

    def has(self, chunk_id: int) -> bool:
        """Whether there is a chunk of this id."""
        return any(found == chunk_id for found, *_ in self.spans)

    def metadata(self) -> dict[str, bytes]:
        """ICC profile, EXIF and XMP data that are there, by the names of
        METADATA_CHUNKS.
        """
        return {
            METADATA_NAMES[chunk_id]: inflate(
                self.payload(number), METADATA_NAMES[chunk_id]
            )
            for number, (chunk_id, *_) in enumerate(self.spans)
            if chunk_id in METADATA_NAMES
        }

    def payload(self, number: int) -> bytes:
        """Payload `number` in file order, its checksum tested."""
        chunk_id, offset, length = self.spans[number]
        what = f"chunk {chunk_id:#04x}"
        if chunk_id == TILE_CHUNK:
            what = f"tile {number + 1} of {self.header.tile_count}"
        end = offset + length
        if len(self.data) < end + CRC_BYTES:
            raise FormatError(f"file is cut off: not enough bytes for {what}")
        payload = self.data[offset:end]
        if crc(payload) != self.data[end : end + CRC_BYTES]:
            raise FormatError(f"{what} is damaged (checksum differs)")
        return payload


def unpack(
    data: bytes, *, max_pixels: int = MAX_PIXELS, whole: bool = True
) -> Container:
    """Parse and check everything before the payloads; allocates no more than the file
    is long. Unless `whole`, bytes after the end of the file are let pass.

    Raises FormatError; "cut off" in the message means that bytes are missing.
    """
    if not MAGIC.startswith(data[: len(MAGIC)]):
        raise FormatError("not an .aec file")
    reader = Reader(data)
    reader.take(len(MAGIC), "the header")
    version = reader.take(1, "the header")[0]
    if version != FORMAT_VERSION:
        raise FormatError(
            f"format version {version} is not supported; "
            f"this program reads version {FORMAT_VERSION}"
        )
    values = {
        name: read_field(reader, name, size, low, high)
        for name, size, low, high in FIELDS
    }
    header = Header(**values)
    check_size(header.width, header.height, max_pixels, FormatError)
    table = read_table(reader, header)
    expected = crc(data[: reader.position])
    if reader.take(CRC_BYTES, "the header") != expected:
        raise FormatError("header is damaged (checksum differs)")
    spans, offset = [], reader.position
    for chunk_id, length in table:
        spans.append((chunk_id, offset, length))
        offset += length + CRC_BYTES
    container = Container(header, data, tuple(spans))
    if whole and len(data) > container.size_bytes:
        raise FormatError(
            f"{len(data) - container.size_bytes} bytes after the end of the file"
        )
    return container


def read_field(
    reader: Reader, name: str, size: int, low: int | None, high: int | None
) -> Any:
    if low is None or high is None:
        return reader.take(size, "the header")
    value = (
        int.from_bytes(reader.take(size, "the header"), "little")
        if size
        else reader.varint(name)
    )
    check_field(name, value, low, high, FormatError)
    return value


def read_table(reader: Reader, header: Header) -> list[tuple[int, int]]:
    """(chunk id, length) of every chunk: all tiles first, then the others."""
    count = reader.varint("the number of chunks")
    check_field(
        "number of chunks",
        count,
        header.tile_count,
        header.tile_count + EXTRA_CHUNKS_MAX,
        FormatError,
    )
    if 2 * count > len(reader.data):  # before anything of that size is made
        raise FormatError("file is cut off: not enough bytes for the chunk table")
    table: list[tuple[int, int]] = []
    for number in range(count):
        chunk_id = reader.take(1, "the chunk table")[0]
        if (chunk_id == TILE_CHUNK) != (number < header.tile_count):
            raise FormatError(
                f"chunk {number + 1} has id {chunk_id:#04x}; expected "
                f"{header.tile_count} tiles first and no others"
            )
        if chunk_id != TILE_CHUNK and chunk_id < FIRST_ANCILLARY_CHUNK:
            raise FormatError(
                f"chunk id {chunk_id:#04x} is not supported by this program"
            )
        if chunk_id in KNOWN_CHUNKS and any(chunk_id == known for known, _ in table):
            raise FormatError(f"chunk id {chunk_id:#04x} occurs twice")
        table.append((chunk_id, reader.varint("the chunk table")))
    return table


def inflate(packed: bytes, name: str) -> bytes:
    """What a zlib stream holds, up to METADATA_MAX_BYTES."""
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(packed, METADATA_MAX_BYTES)
    except zlib.error:
        raise FormatError(f"{name} data cannot be decompressed") from None
    if not stream.eof or stream.unused_data:
        raise FormatError(f"{name} data is too large, or not one whole stream")
    return data
