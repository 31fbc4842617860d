"""What a file holds besides the one picture that is coded, and its metadata."""

import struct
from collections.abc import Iterable

from PIL import Image

from codec.picture.embedded import other_boxes
from codec.picture.jpeg_markers import END, jpeg_markers
from codec.picture.metadata import TITLES
from codec.picture.png_chunks import KNOWN_CHUNKS, png_chunks

GAIN_MAPS = (b"hdrgm:", b"HDRGainMap", b"hdrgainmap", b"urn:iso:std:iso:ts:21496:-1")
MOTION_PHOTOS = (b"MotionPhoto", b"MicroVideo")
TONE_MAP = b"tmap"  # the item of AVIF and HEIF that applies a gain map
BOXES_BYTES = 2**16  # of AVIF and HEIF: where the properties of all items are
SUB_DIRECTORIES = 330  # tag of TIFF
PHOTOSHOP_RESOURCES = {0x0404, 0x0425, 0x03ED}  # IPTC, its digest, the resolution
JPEG_SEGMENTS = {  # that are read, or say nothing of the picture
    b"JFIF\0",
    b"JFXX\0",
    b"Exif\0\0",
    b"http://ns.adobe.com/xap/1.0/\0",
    b"ICC_PROFILE\0",
    b"MPF\0",
    b"Photoshop 3.0\0",
    b"Adobe",
    b"urn:iso:std:iso:ts:21496:-1",
}
NAMED_SEGMENTS = {
    b"http://ns.adobe.com/xmp/extension/\0": "extended XMP data",
    b"JP": "content credentials",
}
WEBP_CHUNKS = {b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"EXIF"}
WEBP_CHUNKS |= {b"XMP "}
GIF_EXTENSIONS = {
    b"!\xff\x0bXMP DataXMP": TITLES["xmp"],
    b"!\xff\x0bICCRGBG1012": TITLES["icc"],
}
FRAMES = "all frames but the first"
TGA_END = b"TRUEVISION-XFILE.\0"
CREDENTIALS = {b"caBX": "content credentials", b"C2PA": "content credentials"}


def other_contents(image: Image.Image, data: bytes) -> list[str]:
    """Words for each thing in the file of an image that is not kept."""
    found = []
    if getattr(image, "is_animated", False):
        found.append(f"all frames but {image.tell() + 1}" if image.tell() else FRAMES)
    if is_photo(image.format) and has_gain_map(image, data):
        found.append("the gain map (high dynamic range)")
    if is_photo(image.format) and any(mark in data for mark in MOTION_PHOTOS):
        found.append("the video of a motion photo")
    if image.info.get("depth_images"):
        found.append("the depth map")
    if SUB_DIRECTORIES in getattr(image, "tag_v2", {}):
        found.append("the pictures in sub-directories")
    if set(image.info.get("photoshop") or ()) - PHOTOSHOP_RESOURCES:
        found.append("Photoshop's resources other than IPTC data")
    if image.format == "JPEG":
        found += jpeg_segments(image)
        found += [what for what in behind_jpeg(data) if what not in found]
    elif image.format == "PNG":
        names = (name for name, _ in png_chunks(data))
        found += unknown(names, KNOWN_CHUNKS)
    elif image.format == "WEBP":
        found += unknown(webp_chunks(data), WEBP_CHUNKS)
    elif image.format == "JPEG2000":
        found += other_boxes(data)
    elif image.format == "GIF":
        found += [what for mark, what in GIF_EXTENSIONS.items() if mark in data]
    elif image.format == "TGA" and has_tga_extension(data):
        found.append("the author, the comments and the date of a TGA file")
    return found


def is_photo(image_format: str | None) -> bool:
    return image_format in ("JPEG", "MPO", "AVIF", "HEIF", "JXL")


def has_gain_map(image: Image.Image, data: bytes) -> bool:
    if image.format in ("AVIF", "HEIF") and TONE_MAP in data[:BOXES_BYTES]:
        return True
    return any(mark in data for mark in GAIN_MAPS)


def unknown(names: Iterable[bytes], known: set[bytes]) -> list[str]:
    """Words for chunks of other names, each once."""
    others = [name for name in dict.fromkeys(names) if name not in known]
    return [CREDENTIALS.get(n) or f"the chunk {n.decode('latin-1')!r}" for n in others]


def jpeg_segments(image: Image.Image) -> list[str]:
    found = []
    for name, data in getattr(image, "applist", ()):
        start = data[:40]
        if name == "COM" or any(start.startswith(known) for known in JPEG_SEGMENTS):
            continue
        words = (word for key, word in NAMED_SEGMENTS.items() if start.startswith(key))
        found.append(next(words, f"the segment {name}"))
    return list(dict.fromkeys(found))


def behind_jpeg(data: bytes) -> list[str]:
    """Words for what lies behind the end of a JPEG picture."""
    if data.rstrip(b"\0").endswith(b"\xff" + END):
        return []
    ends = (start for marker, start in jpeg_markers(data) if marker == END)
    end = next(ends, None)
    if end is None or not (rest := data[end:].strip(b"\0")):
        return []
    if b"ftyp" in rest[:64]:
        return ["the video of a motion photo"]
    return [f"{len(rest)} bytes behind the picture"]


def has_tga_extension(data: bytes) -> bool:
    """Whether the last 26 bytes say where one is."""
    return data.endswith(TGA_END) and data[-26:-22] != bytes(4)


def webp_chunks(data: bytes) -> list[bytes]:
    """Names of the chunks of a WebP file."""
    found, start = [], 12
    while len(data) >= start + 8:
        found.append(data[start : start + 4])
        (size,) = struct.unpack_from("<I", data, start + 4)
        start += 8 + size + size % 2
    return found
