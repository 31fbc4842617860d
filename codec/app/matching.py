"""A picture by other codecs, in as many bytes as a file of ours has."""

import io
from dataclasses import dataclass
from typing import Any

from PIL import Image

from codec.errors import UsageError
from codec.options import STRIPPABLE
from codec.picture.reading import picture_in
from codec.picture.vp8l import SIDE_MAX_PX

CODECS: dict[str, dict[str, Any]] = {  # by the format: how well it can, options
    "jpeg": {"optimize": True, "progressive": True},
    "webp": {"method": 6},
    "avif": {"speed": 6},
}
QUALITY_MAX = 100
COMPARED_MAX_PIXELS = 2**20  # so that seconds are enough
COMPARED_SIDE_MAX_PX = SIDE_MAX_PX  # of WebP, the least of all formats


@dataclass(frozen=True)
class Match:
    """A file by another codec, and the quality that it was encoded at."""

    data: bytes
    quality: int


def flat_picture(data: bytes, max_pixels: int) -> Image.Image:
    """The picture in a file as all codecs can have it: upright, opaque on white, with
    its profile alone. UsageError if it is none that is read.
    """
    kept = [name for name in STRIPPABLE if name != "icc"]
    picture = picture_in(data, max_pixels, kept)
    image = Image.fromarray(picture.rgb)
    if picture.alpha is not None:
        white = Image.new("RGB", image.size, "white")
        image = Image.composite(image, white, Image.fromarray(picture.alpha))
    if not picture.gray and "icc" in picture.metadata:
        image.info["icc_profile"] = picture.metadata["icc"]
    return image


def matched(image: Image.Image, kind: str, limit_bytes: int) -> Match:
    """The best file of a format that has at most `limit_bytes`, or the smallest there
    is; found in 7 encodes or less. UsageError if a side is longer than is compared.
    """
    low, high = 0, QUALITY_MAX + 1  # what fits, or nothing does; what does not fit
    best = None
    while high - low > 1:
        quality = (low + high) // 2
        data = encoded(image, kind, quality)
        if len(data) <= limit_bytes or quality == 1:
            low, best = quality, Match(data, quality)
        else:
            high = quality
    assert best is not None
    return best


def encoded(image: Image.Image, kind: str, quality: int) -> bytes:
    if max(image.size) > COMPARED_SIDE_MAX_PX:
        raise UsageError(f"a side of more than {COMPARED_SIDE_MAX_PX} pixels")
    file = io.BytesIO()
    profile = {"icc_profile": image.info.get("icc_profile", b"")}
    image.save(file, kind.upper(), quality=quality, **profile, **CODECS[kind])
    return file.getvalue()
