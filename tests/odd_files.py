"""Picture files with something odd in them, as strangers and programs make them."""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pictures import picture
from PIL import Image

from benchmarks.hostile_files import png_chunk, saved

IMAGE = Image.fromarray(picture(96, 128))


def png_with(*chunks: tuple[bytes, bytes], image: Image.Image = IMAGE) -> bytes:
    """A PNG file with these chunks before its pixels."""
    data = saved(image, "PNG")
    return data[:33] + b"".join(png_chunk(*chunk) for chunk in chunks) + data[33:]


def jpeg_with(marker: int, data: bytes, **options: Any) -> bytes:
    """A JPEG file with a segment at its start."""
    file = saved(IMAGE, "JPEG", quality=90, **options)
    segment = bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data
    return file[:2] + segment + file[2:]


def xmp(content: str = "") -> bytes:
    """An XMP packet with these attributes."""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf='
        '"http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f"<rdf:Description {content}/></rdf:RDF></x:xmpmeta>"
    ).encode()


def jpeg_with_thumbnail() -> bytes:
    """A JPEG file whose EXIF data hold a small copy of the picture."""
    thumbnail = saved(IMAGE.resize((64, 48)), "JPEG")
    first = struct.pack("<HHHII", 2, 0x0112, 3, 1, 1)
    first += struct.pack("<HHII", 0x0100, 4, 1, 128) + struct.pack("<I", 38)
    second = struct.pack("<H", 2) + struct.pack("<HHII", 0x0201, 4, 1, 68)
    second += struct.pack("<HHII", 0x0202, 4, 1, len(thumbnail)) + bytes(4)
    exif = b"Exif\0\0II*\0" + struct.pack("<I", 8) + first + second + thumbnail
    return saved(IMAGE, "JPEG", quality=90, exif=exif)


def iptc(text: bytes) -> bytes:
    """IPTC data with a caption."""
    return b"\x1c\x02\x78" + struct.pack(">H", len(text)) + text


def gray_levels() -> NDArray[np.uint8]:
    """[96, 128], from 0 to 255."""
    return np.asarray(IMAGE.convert("L").point(lambda n: n))


def bmp_with(kind: bytes, profile: bytes) -> bytes:
    """A BMP file of version 5 with a profile, or where one is; `kind` says which."""
    data = saved(IMAGE, "BMP")
    samples = data[54:]
    header = struct.pack("<I", 124) + data[18:54]
    header = (header.ljust(56, b"\0") + kind).ljust(112, b"\0")
    header += struct.pack("<II", 124 + len(samples), len(profile))
    start = data[:10] + struct.pack("<I", 14 + 124)
    return start + header.ljust(124, b"\0") + samples + profile


def jp2_box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + name + content


def jp2_with(name: bytes, content: bytes) -> bytes:
    """A JPEG 2000 file with a box behind its pixels."""
    return saved(IMAGE, "JPEG2000") + jp2_box(name, content)


def jp2_with_profile(profile: bytes) -> bytes:
    data = saved(IMAGE, "JPEG2000")
    color = jp2_box(b"colr", struct.pack(">BBBI", 1, 0, 0, 16))  # sRGB
    assert color in data
    header = data.index(b"jp2h") - 4
    (size,) = struct.unpack_from(">I", data, header)
    inner = data[header + 8 : header + size]
    inner = inner.replace(color, jp2_box(b"colr", b"\2\0\0" + profile))
    return data[:header] + jp2_box(b"jp2h", inner) + data[header + size :]


def gif_with(application: bytes) -> bytes:
    """A GIF file with an application's extension before its frame."""
    data = saved(IMAGE.convert("L"), "GIF")
    start = 13 + (3 << (data[10] & 7) + 1)  # behind the colors
    return data[:start] + b"!\xff\x0b" + application + b"\4data\0" + data[start:]


def tga_with_comments() -> bytes:
    """A TGA file with an extension area."""
    data = saved(IMAGE, "TGA")
    plain = data[:-26] if data.endswith(b"TRUEVISION-XFILE.\0") else data
    footer = struct.pack("<II", len(plain), 0) + b"TRUEVISION-XFILE.\0"
    return plain + struct.pack("<H", 495) + bytes(493) + footer
