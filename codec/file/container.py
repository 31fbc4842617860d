"""A whole file <-> its header and payloads, as in codec/FORMAT.md.

A payload is a string of bytes here: nothing is known of images, models or symbols.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from codec.errors import FormatError, UsageError
from codec.file.chunks import (
    ALPHA_CHUNK,
    EMPTY_CHUNKS,
    LAYERED_CHUNK,
    METADATA_NAMES,
    TILE_CHUNK,
    TILE_CHUNKS,
    inflate,
    read_table,
    write_table,
)
from codec.file.header import Header, read_header, write_header
from codec.file.layer import LayerTile, pack_layer_tile, unpack_layer_tile
from codec.file.primitives import CRC_BYTES, Reader, crc
from codec.limits import MAX_PIXELS, METADATA_MAX_BYTES, check_size

FileBytes = bytes | bytearray | memoryview  # of a whole file
CHUNK_TITLES = {ALPHA_CHUNK: "transparency", **METADATA_NAMES}


def pack(
    header: Header,
    tiles: Sequence[bytes | LayerTile],
    chunks: Sequence[tuple[int, bytes]] = (),
) -> bytes:
    """The whole file: header, chunk table, CRC, payloads each with its CRC.

    `tiles` are the tile payloads in raster order, or their layers; `chunks` further
    (id, payload) pairs.
    Raises UsageError for values that no file can hold.
    """
    start = write_header(header)
    if len(tiles) != header.tile_count:
        raise UsageError(f"{len(tiles)} tiles; expected {header.tile_count}")
    payloads_of_tiles = [
        (LAYERED_CHUNK, pack_layer_tile(tile))
        if isinstance(tile, LayerTile)
        else (TILE_CHUNK, tile)
        for tile in tiles
    ]
    table, payloads = write_table([*payloads_of_tiles, *chunks], len(chunks))
    parts = [start + table, *payloads]
    return b"".join(part + crc(part) for part in parts)


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

    def tile(self, number: int) -> bytes | LayerTile:
        """The payload of a tile, or its layer. FormatError if it is damaged."""
        payload = self.payload(number)
        if self.spans[number][0] != LAYERED_CHUNK:
            return payload
        try:
            return unpack_layer_tile(payload)
        except FormatError as error:
            raise self.damaged(number, error) from None

    def damaged(self, number: int, error: FormatError) -> FormatError:
        """What is wrong with a tile whose checksum is right."""
        what = f"tile {number + 1} of {self.header.tile_count} is damaged"
        return FormatError(f"{what}: {error}")

    @property
    def is_layered(self) -> bool:
        """Whether there are layers."""
        return self.has(LAYERED_CHUNK)

    def metadata(self, whole: bool = True) -> dict[str, bytes]:
        """Metadata that are there, by the names of METADATA_CHUNKS; FormatError for
        damage, but what is damaged is left out unless all are to be `whole`.
        """
        found: dict[str, bytes] = {}
        for number, (chunk_id, *_) in enumerate(self.spans):
            if chunk_id in METADATA_NAMES:
                name = METADATA_NAMES[chunk_id]
                room_bytes = METADATA_MAX_BYTES - sum(map(len, found.values()))
                try:
                    found[name] = inflate(self.payload(number), name, room_bytes)
                except FormatError:
                    if whole:
                        raise
        return found

    def payload(self, number: int) -> bytes:
        """Payload `number` in file order. FormatError if its checksum is wrong, or it
        is not empty, but has to be.
        """
        chunk_id, offset, length = self.spans[number]
        what = f"chunk {chunk_id:#04x}"
        if chunk_id in CHUNK_TITLES:
            what += f" ({CHUNK_TITLES[chunk_id]})"
        if chunk_id in TILE_CHUNKS:
            what = f"tile {number + 1} of {self.header.tile_count}"
        end = offset + length
        if len(self.data) < end + CRC_BYTES:
            raise FormatError(f"file is cut off: not enough bytes for {what}")
        payload = self.data[offset:end]
        if crc(payload) != self.data[end : end + CRC_BYTES]:
            raise FormatError(f"{what} is damaged (checksum differs)")
        if chunk_id in EMPTY_CHUNKS and payload:
            raise FormatError("chunk of a gray picture is not empty")
        return payload


def unpack(
    data: FileBytes | Path | str, *, max_pixels: int = MAX_PIXELS, whole: bool = True
) -> Container:
    """Parse and check everything before the payloads of a file, given its bytes or its
    name; what it allocates is in proportion to the length of the file. Unless `whole`,
    bytes after the end of the file are let pass.

    Raises FormatError; "cut off" in the message means that bytes are missing. Raises
    OSError if the file cannot be read, UsageError for anything else than a file.
    """
    if isinstance(data, str | os.PathLike):
        data = Path(data).read_bytes()
    if not isinstance(data, FileBytes):
        raise UsageError(
            f"data is {type(data).__name__}; expected a file's bytes or name"
        )
    data = bytes(data)
    reader = Reader(data)
    header = read_header(reader)
    check_size(header.width, header.height, max_pixels, FormatError)
    table = read_table(reader, header.tile_count, whole)
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
