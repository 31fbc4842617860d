"""EXIF data: from TIFF tags, of a copy that shows something else, and orientation."""

import re
import struct
from contextlib import suppress
from typing import Any

from PIL import ExifTags, Image

EXIF_PREFIX = b"Exif\0\0"
EXIF_MAX_BYTES = 2**16  # of a copy that shows something else
# Tags of TIFF that say how its pixels are stored, or hold what is kept elsewhere.
STRUCTURE = (
    set(range(254, 267))
    | {273, 277, 278, 279, 280, 281, 284, 288, 289, 290, 291, 292, 293, 296, 282, 283}
    | {297, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 330, 332, 334, 336, 338}
    | {339, 340, 341, 347, 529, 530, 531, 532, 559}
    | set(range(512, 522))
    | {700, 33723, 34377, 34675}
)
ORIENTATION = ExifTags.Base.Orientation
SHORT = 3  # the type of its value, in TIFF
BYTE_ORDERS = {b"II": "<", b"MM": ">"}
SIZES = (ExifTags.Base.ImageWidth, ExifTags.Base.ImageLength)
DETAILS_OF_THE_WHOLE = (
    ExifTags.Base.ExifImageWidth,
    ExifTags.Base.ExifImageHeight,
    ExifTags.IFD.MakerNote,
)
# In XMP, as attributes and as elements: thumbnails, and how large the picture was.
XMP_NAMES = (
    rb"xmp:Thumbnails|exif:PixelXDimension|exif:PixelYDimension|tiff:ImageWidth"
    rb"|tiff:ImageLength|xapGImg:image|xmpGImg:image|GImage:Data|GDepth:Data"
)
XMP_ATTRIBUTE = re.compile(rb"""\s(?:%s)=("[^"]*"|'[^']*')""" % XMP_NAMES)
XMP_OPENING = re.compile(rb"<(%s)(?=[\s/>])" % XMP_NAMES)
IPTC_MARK, IPTC_PREVIEWS = 0x1C, {(2, 200), (2, 201), (2, 202)}  # data sets


def exif_of_tiff(image: Image.Image, losses: list[str]) -> bytes:
    """What the tags of a TIFF file say of the picture."""
    try:
        exif = image.getexif()
        for tag in set(exif) & STRUCTURE:
            del exif[tag]
        return exif.tobytes() if len(exif) else b""
    except MemoryError:
        raise
    except Exception:  # Pillow raises all kinds on damaged tags
        losses.append("the EXIF data, damaged")
        return b""


def forget_the_whole(info: dict[Any, Any]) -> None:
    """Take out of Pillow's `info` what shows, or tells the size of, another picture:
    of a copy that is only a part, smaller or larger.
    """
    if "exif" in info:
        exif = without_thumbnail(info.pop("exif"))
        if exif:
            info["exif"] = exif
    if "xmp" in info:
        info["xmp"] = without_elements(XMP_ATTRIBUTE.sub(b"", info["xmp"]))
    if "iptc" in info:
        info["iptc"] = without_preview(info["iptc"])


def without_elements(xmp: bytes) -> bytes:
    """XMP data without the elements of XMP_NAMES that are whole, found in one pass: a
    pattern for all of one would look for ends that are not there again and again.
    """
    kept, start = bytearray(), 0
    unclosed: set[bytes] = set()
    while tag := XMP_OPENING.search(xmp, start):
        end = xmp.find(b">", tag.end()) + 1
        if not end:
            break
        if xmp[end - 2] != ord("/"):
            closing = b"</" + tag[1]
            close = -1 if closing in unclosed else xmp.find(closing, end)
            close_end = xmp.find(b">", close) + 1 if close >= 0 else 0
            if not close_end:
                unclosed.add(closing)
                kept += xmp[start:end]
                start = end
                continue
            end = close_end
        kept += xmp[start : tag.start()]
        start = end
    return bytes(kept + xmp[start:])


def without_thumbnail(data: bytes) -> bytes:
    """EXIF data without the thumbnail, the sizes and the maker's notes, which may hold
    previews; none if they are damaged. Of those that are longer than a JPEG file's can
    be nothing but the orientation, as Pillow makes an object of every value.
    """
    exif = Image.Exif()
    if len(data) > EXIF_MAX_BYTES:
        exif[ORIENTATION] = orientation_of(data)
        return exif.tobytes()
    try:
        exif.load(data)
        for size in SIZES:
            exif.pop(size, None)
        if ExifTags.IFD.Exif in exif:
            details = exif.get_ifd(ExifTags.IFD.Exif)
            for tag in DETAILS_OF_THE_WHOLE:
                details.pop(tag, None)
        return exif.tobytes() if len(exif) else b""
    except MemoryError:
        raise
    except Exception:  # Pillow raises all kinds on damaged data
        return b""


def without_preview(iptc: bytes) -> bytes:
    """IPTC data without the data sets of the preview, as far as they are whole."""
    kept, start = bytearray(), 0
    while iptc[start : start + 1] == bytes([IPTC_MARK]) and len(iptc) >= start + 5:
        record, number, size = struct.unpack_from(">BBH", iptc, start + 1)
        if size >= 2**15:  # the length of the length
            count = size - 2**15
            size = int.from_bytes(iptc[start + 5 : start + 5 + count], "big") + count
        end = start + 5 + size
        if (record, number) not in IPTC_PREVIEWS:
            kept += iptc[start:end]
        start = end
    return bytes(kept)


def orientation_of(data: bytes) -> int:
    """1 to 8, as EXIF data have it; 1 if they have none, or are damaged. Pillow would
    take a value of any type and size.
    """
    data = data.removeprefix(EXIF_PREFIX)
    order = BYTE_ORDERS.get(data[:2])
    if order is None:
        return 1
    with suppress(struct.error):
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, start)
        for number in range(count):
            place = start + 2 + 12 * number
            entry = struct.unpack_from(f"{order}HHIH", data, place)
            if entry[:3] == (ORIENTATION, SHORT, 1) and entry[3] in range(1, 9):
                return entry[3]
    return 1
