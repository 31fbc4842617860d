"""Magic, version and header fields <-> bytes; see "Header" in codec/FORMAT.md."""

from dataclasses import dataclass
from typing import Any

from codec.errors import FormatError, UsageError
from codec.file.primitives import Reader, varint
from codec.limits import SIDE_MAX_PX, check_field

MAGIC = b"\x89AEC"
FORMAT_VERSION = 2
DIGEST_BYTES = 4  # of the bundle's SHA-256 kept in the header
QUALITY_CODE_MAX = 65535
TILE_LOG2_RANGE = (9, 10)  # tiles of 512 or 1024 pixels


@dataclass(frozen=True)
class Header:
    """What stands before the payloads; `write_header` and `read_header` check
    the range of every field.
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


def write_header(header: Header) -> bytes:
    """UsageError for values that no file can hold."""
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
    return bytes(out)


def read_header(reader: Reader) -> Header:
    """FormatError if this is no .aec file, one of another version, or damaged."""
    if not MAGIC.startswith(reader.data[: len(MAGIC)]):
        raise FormatError("not an .aec file")
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
    return Header(**values)


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
