"""ICC profiles: made for colors that are named in another way, taken apart, applied.

Specification ICC.1:2022; code points of ITU-T H.273.
"""

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

Point = tuple[float, float]  # x, y
Colors = tuple[Point, Point, Point, Point]  # red, green, blue, white
HEADER_BYTES = 128
SPACE = slice(16, 20)  # of a profile: the color space of its samples
DATE = (2024, 1, 1, 0, 0, 0)
D50 = (0.9642, 1.0, 0.8249)
D65 = (0.3127, 0.3290)
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
SRGB_CODE, UNSPECIFIED = 1, 2
# Code of primaries: name, chromaticities of red, green, blue and white.
BT_709 = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), D65)
P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
# Code of primaries: name, chromaticities of red, green, blue and white.
PRIMARIES: dict[int, tuple[str, Colors]] = {
    1: ("BT.709", BT_709),
    5: ("BT.601 625", ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060), D65)),
    6: ("BT.601 525", ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65)),
    9: ("BT.2020", ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65)),
    11: ("DCI-P3", (*P3, (0.314, 0.351))),
    12: ("Display P3", (*P3, D65)),
}
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
VIDEO_CURVE = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
# Code of a transfer: (x a + b)^g above d, else c x; g alone is a power.
CURVES: dict[int, tuple[float, ...]] = dict.fromkeys((1, 6, 14, 15), VIDEO_CURVE)
CURVES |= {2: SRGB_CURVE, 4: (2.2,), 5: (2.8,), 8: (1.0,), 13: SRGB_CURVE}
LIKE_SRGB = {1, 2, 6, 13, 14, 15}  # transfers that are shown as sRGB's, by custom
HIGH_DYNAMIC_RANGE = {16: "PQ", 18: "HLG"}


def fixed(*values: float) -> bytes:
    """s15Fixed16 numbers."""
    return struct.pack(f">{len(values)}i", *(round(v * 65536) for v in values))


def curve_tag(curve: tuple[float, ...]) -> bytes:
    kind = 3 if len(curve) > 1 else 0
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + fixed(*curve)


def text_tag(text: str) -> bytes:
    coded = text.encode("utf-16-be")
    head = struct.pack(">4sIIIHHII", b"mluc", 0, 1, 12, 0x656E, 0x5553, len(coded), 28)
    return head + coded


def profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A profile of display colors."""
    header = bytes(8) + b"\x04\x30\0\0mntr" + space + b"XYZ "
    header += struct.pack(">6H", *DATE) + b"acsp" + bytes(28) + fixed(*D50)
    offset = HEADER_BYTES + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += name + struct.pack(">II", offset + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    size = struct.pack(">I", offset + len(body))
    return size + header[4:].ljust(HEADER_BYTES - 4, b"\0") + table + body


def xyz(point: Point) -> NDArray[np.float64]:
    x, y = point
    return np.array([x / y, 1, (1 - x - y) / y])


def rgb_profile(name: str, colors: Colors, curve: tuple[float, ...]) -> bytes:
    """A profile of colors with these chromaticities and this curve."""
    columns = np.column_stack([xyz(point) for point in colors[:3]])
    white = xyz(colors[3])
    weights = np.linalg.solve(columns, white)
    cones = (BRADFORD @ D50) / (BRADFORD @ white)
    adaptation = np.linalg.inv(BRADFORD) @ np.diag(cones) @ BRADFORD
    matrix = adaptation @ (columns * weights)
    tags = {
        b"desc": text_tag(name),
        b"cprt": text_tag("CC0"),
        b"wtpt": b"XYZ \0\0\0\0" + fixed(*D50),
        b"chad": b"sf32\0\0\0\0" + fixed(*adaptation.ravel()),
    }
    for number, letter in enumerate((b"r", b"g", b"b")):
        tags[letter + b"XYZ"] = b"XYZ \0\0\0\0" + fixed(*matrix[:, number])
        tags[letter + b"TRC"] = curve_tag(curve)
    return profile(b"RGB ", tags)


def gray_profile(name: str, curve: tuple[float, ...]) -> bytes:
    """A profile of gray samples with this curve."""
    tags = {
        b"desc": text_tag(name),
        b"cprt": text_tag("CC0"),
        b"wtpt": b"XYZ \0\0\0\0" + fixed(*D50),
        b"kTRC": curve_tag(curve),
    }
    return profile(b"GRAY", tags)


def coded_profile(primaries: int, transfer: int) -> bytes | None:
    """The profile of code points; none for those of sRGB, or that say nothing.
    KeyError for others than are known here.
    """
    if primaries in (SRGB_CODE, UNSPECIFIED) and transfer in LIKE_SRGB:
        return None
    name, colors = PRIMARIES[SRGB_CODE if primaries == UNSPECIFIED else primaries]
    return rgb_profile(name, colors, CURVES[transfer])


def in_srgb(image: Image.Image, icc: bytes | None) -> Image.Image | None:
    """Samples as colors of sRGB, by their profile, those outside of it cut off; none if
    it is none for them.
    """
    try:
        if image.mode == "LAB":
            source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        elif icc:
            source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        else:
            return None
        return ImageCms.profileToProfile(
            image,
            source,
            ImageCms.createProfile("sRGB"),
            ImageCms.Intent(ImageCms.getDefaultIntent(source)),
            "RGB",
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
