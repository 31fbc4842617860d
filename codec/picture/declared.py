"""What files declare where a decoder of theirs takes memory or time before it tells."""

import re
import struct
from collections.abc import Iterator
from itertools import islice

from codec.errors import UsageError
from codec.picture.embedded import boxes
from codec.picture.jpeg_markers import SCAN, jpeg_markers
from codec.picture.png_chunks import SIGNATURE, spans

CODESTREAM = b"\xff\x4f\xff\x51"  # of JPEG 2000: start, and the marker of the sizes
ICONS_MAX = 256
CHUNKS_MAX = 1000  # before the pixels of one icon
SCANS_MAX = 100  # each goes over all pixels; encoders make 10
PPM_HEADER_BYTES, PPM_COMMENT = 2**16, re.compile(rb"#[^\r\n]*")
JXL_START = b"\xff\x0a"
JXL_HEADER_BYTES = 18  # at most, up to the size
JXL_RATIOS = [None, (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1)]
Size = tuple[int, int]


def declared_sizes(name: str, data: bytes) -> Iterator[Size]:
    """(width, height) of everything that opening and loading a file of the format may
    take memory for; of most formats Pillow tells itself. UsageError for a file that
    would take time without end.
    """
    found = READERS.get(name)
    return found(data) if found else iter(())


def jpeg(data: bytes) -> Iterator[Size]:
    """None, but scans may be far more than a picture needs."""
    scans = sum(marker == SCAN for marker, _ in jpeg_markers(data))
    if scans > SCANS_MAX:
        raise UsageError(f"{scans} scans in one file; expected at most {SCANS_MAX}")
    yield from ()


def ppm(data: bytes) -> Iterator[Size]:
    """None, but comments, which are read byte by byte, may be long."""
    words = PPM_COMMENT.sub(b"", data[:PPM_HEADER_BYTES]).split(maxsplit=3)
    if len(data) > PPM_HEADER_BYTES and len(words) < 3:
        raise UsageError(f"header of more than {PPM_HEADER_BYTES} bytes")
    yield from ()


def icons(data: bytes) -> Iterator[Size]:
    """Opening an icon decodes it, and its own header says how large it is."""
    (count,) = struct.unpack_from("<H", data, 4)
    if count > ICONS_MAX:
        raise UsageError(f"{count} icons in one file; expected at most {ICONS_MAX}")
    for number in range(count):
        (offset,) = struct.unpack_from("<I", data, 6 + 16 * number + 12)
        if data.startswith(SIGNATURE, offset):
            yield from icon_sizes(data, offset)
        else:
            header_bytes, *size = struct.unpack_from("<Iii", data, offset)
            if header_bytes == 12:  # of OS/2
                size = list(struct.unpack_from("<HH", data, offset + 4))
            yield abs(size[0]), abs(size[1]) // 2


def icon_sizes(data: bytes, start: int) -> Iterator[Size]:
    """Of all headers before the pixels of a PNG file in an icon: the last one counts.
    Icons may share their chunks, so these are not read again and again without end.
    """
    for count, (name, place, _) in enumerate(spans(data, start)):
        if name == b"IDAT":
            return
        if count == CHUNKS_MAX:
            raise UsageError(f"an icon of more than {CHUNKS_MAX} chunks")
        if name == b"IHDR":
            yield struct.unpack_from(">II", data, place + 8)


def webp(data: bytes) -> Iterator[Size]:
    """Opening takes memory for the canvas. RFC 9649; most sizes are less one."""
    kind = data[12:16]
    if kind == b"VP8X":
        packed = int.from_bytes(data[24:30], "little")
        yield (packed & 0xFFFFFF) + 1, (packed >> 24) + 1
    elif kind == b"VP8L":
        packed = int.from_bytes(data[21:25], "little")
        yield (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        yield width & 0x3FFF, height & 0x3FFF


def gif(data: bytes) -> Iterator[Size]:
    """The screen, which Pillow enlarges for the first frame; it may fill it, too."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    start = 13 + colors_bytes(flags)
    while (block := data[start : start + 1]) not in (b",", b";", b""):
        start += 1
        if block == b"!":  # an extension: blocks up to an empty one
            start += 1
            while start < len(data) and data[start]:
                start += data[start] + 1
            start += 1
    if block == b",":
        left, top, columns, rows = struct.unpack_from("<4H", data, start + 1)
        width, height = max(width, left + columns), max(height, top + rows)
    yield width, height


def colors_bytes(flags: int) -> int:
    """How long the table of colors is in a GIF file."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def jpeg_2000(data: bytes) -> Iterator[Size]:
    """Boxes around the codestream may tell another size than it has."""
    start = data.find(CODESTREAM)
    right, bottom, left, top = struct.unpack_from(">IIII", data, start + 8)
    yield right - left, bottom - top


def jxl(data: bytes) -> Iterator[Size]:
    """Opening decodes. ISO/IEC 18181-1, SizeHeader; bits run from the least one on."""
    stream = b"".join(part[:JXL_HEADER_BYTES] for part in jxl_parts(data))
    if not stream.startswith(JXL_START):
        raise UsageError("no JPEG XL codestream found")
    packed = int.from_bytes(stream[len(JXL_START) : JXL_HEADER_BYTES], "little")
    bits = iter(range(128))

    def take(count: int) -> int:
        return sum(
            (packed >> bit & 1) << n for n, bit in enumerate(islice(bits, count))
        )

    small = take(1)

    def side() -> int:
        return 8 * (take(5) + 1) if small else 1 + take((9, 13, 18, 30)[take(2)])

    height = side()
    ratio = JXL_RATIOS[take(3)]
    yield (height * ratio[0] // ratio[1] if ratio else side()), height


def jxl_parts(data: bytes) -> Iterator[bytes]:
    """The codestream, whole or in parts, which have a number first."""
    if data.startswith(JXL_START):
        yield data
    for name, content in boxes(data):
        if name == b"jxlc":
            yield content
        elif name == b"jxlp":
            yield content[4:]


READERS = {
    "JPEG": jpeg,
    "PPM": ppm,
    "ICO": icons,
    "WEBP": webp,
    "GIF": gif,
    "JXL": jxl,
    "JPEG2000": jpeg_2000,
}
