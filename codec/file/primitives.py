"""Integers, checksums, and bytes that are read from left to right."""

import zlib

from codec.errors import FormatError

CRC_BYTES = 4


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
    """The checksum of `data`, as it stands in the file."""
    return zlib.crc32(data).to_bytes(CRC_BYTES, "little")
