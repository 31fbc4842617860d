"""Metadata: what Pillow has of them, and the bytes that files of ours hold."""

import struct
from collections.abc import Iterator
from itertools import islice
from typing import Any

from PIL import Image

from codec.errors import FormatError
from codec.limits import METADATA_MAX_BYTES, TEXTS_MAX
from codec.picture.exif import EXIF_PREFIX, exif_of_tiff

# What is kept, and the names in `info` of Pillow's images. "dpi" is (x, y), "text" a
# dictionary of keywords and texts, "iptc" and the others are bytes.
INFO_KEYS = {
    "icc": "icc_profile",
    "exif": "exif",
    "xmp": "xmp",
    "dpi": "dpi",
    "text": "text",
    "iptc": "iptc",
}
TITLES = {
    "icc": "the ICC profile",
    "exif": "the EXIF data",
    "xmp": "the XMP data",
    "dpi": "the resolution",
    "text": "the texts",
    "iptc": "the IPTC data",
}
COMMENT = "Comment"  # the keyword of a text that has none in its file
DPI = 1000 / 0.0254  # in thousandths of pixels per meter
RAW_PROFILE = "Raw profile type "  # ImageMagick's texts in PNG files
XMP_KEYWORD = "XML:com.adobe.xmp"
XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"
IPTC_RESOURCE = 0x0404  # of Photoshop's
IPTC_TAG, PHOTOSHOP_TAG = 33723, 34377  # of TIFF


def read_metadata(image: Image.Image, losses: list[str]) -> dict[str, bytes]:
    """Metadata of a Pillow image whose file is read to its end, by the names of
    INFO_KEYS; what cannot be kept is added to the losses.
    """
    texts, profiles = read_texts(image)
    if len(texts) > TEXTS_MAX:
        losses.append(f"{len(texts) - TEXTS_MAX} of {len(texts)} texts")
        texts = dict(islice(texts.items(), TEXTS_MAX))
    found: dict[str, Any] = {k: image.info.get(key) for k, key in INFO_KEYS.items()}
    found["text"] = texts
    app1 = profiles.get("APP1", b"")
    found["exif"] = found["exif"] or profiles.get("exif")
    if not found["exif"] and app1.startswith(EXIF_PREFIX):
        found["exif"] = app1
    if not found["exif"] and image.format == "TIFF":
        found["exif"] = exif_of_tiff(image, losses)
    found["xmp"] = found["xmp"] or profiles.get("xmp")
    if not found["xmp"] and app1.startswith(XMP_PREFIX):
        found["xmp"] = app1
    found["iptc"] = found["iptc"] or read_iptc(image, profiles)
    if image.format in ("JPEG", "MPO") and image.info.get("jfif_unit") not in (1, 2):
        found["dpi"] = None  # Pillow's guess from the EXIF data
    if not has_square_pixels(image):
        losses.append("the shape of the pixels, which are not square")
    metadata = {}
    for name, value in found.items():
        if data := packed(name, value):
            metadata[name] = data
    return metadata


def fitting(metadata: dict[str, bytes], losses: list[str]) -> dict[str, bytes]:
    """The metadata that a file holds, METADATA_MAX_BYTES in all; what is too large is
    added to the losses.
    """
    found, room_bytes = {}, METADATA_MAX_BYTES
    for name, data in metadata.items():
        if len(data) > room_bytes:
            losses.append(f"{TITLES[name]}, {len(data)} bytes")
        else:
            found[name] = data
            room_bytes -= len(data)
    return found


def packed(name: str, value: Any) -> bytes:
    """The bytes that stand for a value of Pillow's in our files; none if it is nothing
    that makes sense.
    """
    if not value:
        return b""
    if name == "dpi":
        return packed_dpi(value)
    if name == "text":
        items = value.items() if isinstance(value, dict) else ()
        pairs = [part.replace("\0", " ") for item in items for part in map(str, item)]
        return "".join(f"{part}\0" for part in pairs).encode("utf-8", "replace")
    if isinstance(value, str):
        value = value.encode("utf-8", "replace")
    if isinstance(value, Image.Exif):
        value = value.tobytes()
    if not isinstance(value, bytes):
        return b""
    prefix = {"exif": EXIF_PREFIX, "xmp": XMP_PREFIX}.get(name, b"")
    return value.removeprefix(prefix)


def packed_dpi(value: Any) -> bytes:
    """None for 1 x 1, which stands for an unknown resolution."""
    try:
        if tuple(value) == (1, 1):
            return b""
        steps = [round(float(dpi) * DPI) for dpi in value]
        return struct.pack("<II", *steps) if min(steps) > 0 else b""
    except (TypeError, ValueError, OverflowError, struct.error, ZeroDivisionError):
        return b""


def info_value(name: str, data: bytes) -> Any:
    """Metadata as Pillow has them in `info`; FormatError if they cannot be that."""
    if name == "exif":
        return EXIF_PREFIX + data
    if name == "dpi":
        if len(data) != 8 or b"\0\0\0\0" in (data[:4], data[4:]):
            raise FormatError("dpi data are not two positive numbers")
        x, y = struct.unpack("<II", data)
        return tuple(round(n / DPI, 4) for n in (x, y))
    if name == "text":
        if data.count(0) > 2 * TEXTS_MAX:  # each takes memory, however short it is
            raise FormatError(f"more than {TEXTS_MAX} texts")
        *parts, rest = data.decode("utf-8", "replace").split("\0")
        if rest or len(parts) % 2:
            raise FormatError("text data are not whole pairs of keyword and text")
        return dict(zip(parts[::2], parts[1::2], strict=True))
    return data


def read_texts(image: Image.Image) -> tuple[dict[str, str], dict[str, bytes]]:
    """(texts by their keywords, ImageMagick's raw profiles by their types)."""
    info = image.info
    texts = dict(info["text"]) if isinstance(info.get("text"), dict) else {}
    profiles = {}
    if image.format == "PNG":
        texts |= {k: str(v) for k, v in info.items() if isinstance(v, str)}
        texts.pop(XMP_KEYWORD, None)
        for keyword in [k for k in texts if k.startswith(RAW_PROFILE)]:
            hexadecimal = "".join(texts.pop(keyword).split("\n")[3:])
            try:
                profile = bytes.fromhex(hexadecimal)
            except ValueError:
                continue
            profiles[keyword.removeprefix(RAW_PROFILE)] = profile
    comments = [data for kind, data in getattr(image, "applist", ()) if kind == "COM"]
    if not comments and isinstance(info.get("comment"), bytes | str):
        comments = [info["comment"]]
    if comments:
        lines = [c if isinstance(c, str) else decoded(c) for c in comments]
        texts[COMMENT] = "\n".join(line.rstrip("\0") for line in lines)
    return texts, profiles


def has_square_pixels(image: Image.Image) -> bool:
    """False if a PNG or JPEG file says so without a resolution."""
    ratio = image.info.get("aspect")
    if image.info.get("jfif_unit") == 0:
        ratio = image.info.get("jfif_density")
    return ratio is None or 0 in ratio or ratio[0] == ratio[1]


def decoded(text: bytes) -> str:
    """UTF-8 if it is that, else Latin-1."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def read_iptc(image: Image.Image, profiles: dict[str, bytes]) -> bytes:
    """IPTC data, out of Photoshop's resources where they are in such."""
    photoshop = image.info.get("photoshop")
    if isinstance(photoshop, dict):
        return photoshop.get(IPTC_RESOURCE, b"")
    tags = getattr(image, "tag_v2", {})
    candidates = [profiles.get(name) for name in ("iptc", "8bim")]
    candidates += [tags.get(tag) for tag in (IPTC_TAG, PHOTOSHOP_TAG)]
    for data in candidates:
        if isinstance(data, tuple) and all(isinstance(n, int) for n in data):
            data = struct.pack(f"<{len(data)}I", *data)  # as some programs write it
        if not isinstance(data, bytes):
            continue
        if data.startswith(b"\x1c"):
            return data
        for code, resource in photoshop_resources(data):
            if code == IPTC_RESOURCE:
                return resource
    return b""


def photoshop_resources(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(id, data) of Photoshop's resources, as far as they are whole."""
    start = 0
    while data.startswith(b"8BIM", start) and len(data) >= start + 12:
        code, name_bytes = struct.unpack_from(">HB", data, start + 4)
        start += 6 + (name_bytes + 2) // 2 * 2
        if len(data) < start + 4:
            return
        (size,) = struct.unpack_from(">I", data, start)
        yield code, data[start + 4 : start + 4 + size]
        start += 4 + (size + 1) // 2 * 2


def photoshop_resource(code: int, data: bytes) -> bytes:
    """One resource of Photoshop's, without a name."""
    head = b"8BIM" + struct.pack(">HHI", code, 0, len(data))
    return head + data + b"\0" * (len(data) % 2)
