"""The decoder: a file must be refused with a FormatError or give a picture."""

import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

from target import Target

import codec
from codec.errors import FormatError
from codec.file.chunks import read_table
from codec.file.header import read_header
from codec.file.primitives import CRC_BYTES, Reader, crc
from codec.limits import check_size

GOLDEN = Path(__file__).parent.parent / "golden" / "v2"
MAX_PIXELS = 2**17  # with larger pictures most of the time would go into the networks
MAX_BYTES = 4096  # of a mutated file
SALVAGED = 8


@cache
def intact() -> list[bytes]:
    return [path.read_bytes() for path in sorted(GOLDEN.glob("*.aec"))]


def repaired(data: bytes) -> bytes:
    """`data` with right checksums and of the length that its header says; what has no
    readable header stays as it is.
    """
    reader = Reader(data)
    try:
        header = read_header(reader)
        check_size(header.width, header.height, MAX_PIXELS, FormatError)
        table = read_table(reader, header.tile_count, whole=False)
    except FormatError:
        return data
    if sum(length for _, length in table) > 2 * MAX_BYTES:
        return data
    out = data[: reader.position]
    out += crc(out)
    offset = reader.position + CRC_BYTES
    for _, length in table:
        payload = data[offset : offset + length].ljust(length, b"\0")
        out += payload + crc(payload)
        offset += length + CRC_BYTES
    return out


def outcome(data: bytes) -> str:
    """How the decoder takes a file; all but FormatErrors go through.

    One in `SALVAGED` of the files that are refused goes through `salvage` as well.
    """

    def refused(call: Callable[..., object]) -> bool:
        try:
            call(data, max_pixels=MAX_PIXELS)
        except codec.FormatError as error:
            assert str(error)
            assert "\n" not in str(error)
            return True
        return False

    if not refused(codec.decode):
        return "decoded"
    if zlib.crc32(data) % SALVAGED:
        return "refused"
    return "refused, not salvaged" if refused(codec.salvage) else "refused, salvaged"


def raw_outcome(data: bytes) -> str:
    """As `outcome` of a file that is not repaired: no damaged one may be decoded."""
    if data in intact():
        return "intact"
    result = outcome(data)
    assert result != "decoded", "a damaged file is taken as whole"
    return result


REPAIRED = Target(intact, outcome, repaired, max_bytes=MAX_BYTES)
# Intact files alone are mutated: nothing tells the fuzzer which others are of use.
RAW = Target(intact, raw_outcome, seeds_alone=True, max_bytes=MAX_BYTES)
