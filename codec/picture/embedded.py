"""Profiles that Pillow does not read, and what else lies beside the pixels there: in
BMP and in JPEG 2000 files.
"""

import struct
from collections.abc import Iterator

from codec.picture.metadata import TITLES

FILE_HEADER_BYTES = 14  # of BMP
PROFILE_IN_FILE, PROFILE_ELSEWHERE = b"DEBM", b"KNIL"  # backwards in the file
ICC_METHODS = (2, 3)  # of the box for the color space: a profile, of any kind
JPEG_2000_BOXES = {
    b"jP  ",
    b"ftyp",
    b"rreq",
    b"jp2h",
    b"jp2c",
    b"jpch",
    b"jplh",
    b"free",
}
UUIDS = {
    b"JpgTiffExif->JP2": "exif",
    bytes.fromhex("be7acfcb97a942e89c71999491e3afac"): "xmp",
    bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38"): "iptc",
}


def bmp_profile(data: bytes, losses: list[str]) -> bytes | None:
    """Of a header of version 5, [MS-WMF] 2.2.2.11."""
    start = FILE_HEADER_BYTES
    if len(data) < start + 124 or struct.unpack_from("<I", data, start) != (124,):
        return None
    kind = data[start + 56 : start + 60]
    if kind == PROFILE_ELSEWHERE:
        losses.append(f"{TITLES['icc']}, it is in another file")
    if kind != PROFILE_IN_FILE:
        return None
    offset, size = struct.unpack_from("<II", data, start + 112)
    return data[start + offset : start + offset + size] or None


def jpeg_2000_profile(data: bytes) -> bytes | None:
    for name, content in boxes(data):
        if name == b"jp2h":
            for inner, color in boxes(content):
                if inner == b"colr" and color and color[0] in ICC_METHODS:
                    return color[3:] or None
    return None


def other_boxes(data: bytes) -> list[str]:
    """Words for what lies in the boxes of a JPEG 2000 file and is not kept."""
    found = []
    for name, content in boxes(data):
        if name in JPEG_2000_BOXES:
            continue
        title = f"the box {name.decode('latin-1')!r}"
        if name == b"uuid":
            title = TITLES.get(UUIDS.get(content[:16], ""), title)
        found.append(title)
    return list(dict.fromkeys(found))


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name, content) of the boxes of a JPEG 2000 file, as far as they are whole."""
    start = 0
    while len(data) >= start + 8:
        size, name = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1 and len(data) >= start + 16:
            (size,), head = struct.unpack_from(">Q", data, start + 8), 16
        end = len(data) if size == 0 else start + size
        if end < start + head or end > len(data):
            return
        yield name, b"" if name == b"jp2c" else data[start + head : end]
        start = end
