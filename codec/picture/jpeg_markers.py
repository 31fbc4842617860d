"""The markers of JPEG files."""

import re
from collections.abc import Iterator

END, SCAN = b"\xd9", b"\xda"
# Before a segment, or the end: neither stuffed, nor one that stands alone.
MARKER = re.compile(rb"\xff([\x02-\xcf\xd9-\xfe])")


def jpeg_markers(data: bytes) -> Iterator[tuple[bytes, int]]:
    """(second byte of a marker, where what follows it starts), up to the end of the
    picture.
    """
    start = 2
    while found := MARKER.search(data, start):
        yield found[1], found.end()
        if found[1] == END:
            return
        size = int.from_bytes(data[found.end() : found.end() + 2], "big")
        start = found.end() + max(2, size)
