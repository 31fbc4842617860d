"""Builds .aec files byte by byte from codec/FORMAT.md, right or wrong, without
codec.file.container.
"""

import zlib
from collections.abc import Sequence

from codec.networks.shipped import DEFAULT_MODEL_ID


def leb128(value: int) -> bytes:
    out = b""
    while True:
        value, low = value >> 7, value & 0x7F
        if not value:
            return out + bytes([low])
        out += bytes([low | 0x80])


def with_crc(data: bytes) -> bytes:
    return data + zlib.crc32(data).to_bytes(4, "little")


def raw_file(
    *,
    magic: bytes = b"\x89AEC",
    version: int = 2,
    model_id: int = DEFAULT_MODEL_ID,
    digest: bytes = b"abcd",
    quality_code: int = 0x1234,
    tile_log2: int = 10,
    width: int | bytes = 5,
    height: int | bytes = 3,
    chunks: Sequence[tuple[int, bytes]] = ((1, b"tile"),),
    count: int | bytes | None = None,
) -> bytes:
    """A file with right CRCs; `width`, `height` and `count` may be given as bytes."""

    def number(value: int | bytes) -> bytes:
        return value if isinstance(value, bytes) else leb128(value)

    header = magic + bytes([version, model_id]) + digest
    header += quality_code.to_bytes(2, "little") + bytes([tile_log2])
    header += number(width) + number(height)
    header += number(len(chunks) if count is None else count)
    for chunk_id, payload in chunks:
        header += bytes([chunk_id]) + leb128(len(payload))
    return with_crc(header) + b"".join(with_crc(payload) for _, payload in chunks)
