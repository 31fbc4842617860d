"""Pictures as the query of a URL asks for them."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from codec import __version__
from codec.api import MIME_TYPE, decode_file, encode, read_info, salvage_file
from codec.app.parsing import region_in
from codec.app.picture_files import file_bytes, upright
from codec.app.service.answers import HEADERS, Answer
from codec.errors import UsageError
from codec.options import SCALES, DecodeOptions, Region
from codec.picture.vp8l import SIDE_MAX_PX

SMALL_PX = 512  # wide: decoded to a part of its size mostly
RAW = "aec"  # the file as it is
MIME_TYPES = {name: f"image/{name}" for name in ("png", "jpeg", "webp")}
MIME_TYPES[RAW] = MIME_TYPE
OPAQUE_TAG = re.compile(r'"([^"]*)"')
ANY = "*"


@dataclass(frozen=True)
class View:
    """How a picture is asked for; the `region` is of the pixels as stored. To `salvage`
    is to show what damage has left.
    """

    kind: str
    width_px: int
    region: Region | None
    salvage: bool = False

    def is_small(self) -> bool:
        """Whether little work is to be expected."""
        whole = self.width_px > SMALL_PX or self.region or self.salvage
        return self.kind == RAW or not whole


def view_in(query: dict[str, str]) -> View:
    """UsageError if the query asks for what there is not."""
    rest = dict(query)
    kind = rest.pop("format", "png")
    region, width = rest.pop("region", None), rest.pop("w", None)
    salvage = rest.pop("salvage", "0")
    refuse(rest)
    if salvage not in ("0", "1") or (salvage == "1" and region):
        raise UsageError("salvage is 1, of whole pictures")
    if kind not in MIME_TYPES:
        raise UsageError(f"format is {' or '.join(MIME_TYPES)}")
    if width and not (width.isascii() and width.isdigit()):
        raise UsageError("w is a number of pixels")
    width_px = min(int(width[:9]), SIDE_MAX_PX) if width else SIDE_MAX_PX
    if not width_px:
        raise UsageError("w is at least 1")
    return View(kind, width_px, region_in(region) if region else None, salvage == "1")


def load() -> Answer:
    """Load what the first picture would wait for."""
    decode_file(encode(np.zeros((1, 1), np.uint8), content="photo"), DecodeOptions())
    return Answer()


def refuse(query: dict[str, str]) -> None:
    if query:
        raise UsageError(f"unknown: {', '.join(sorted(query))}")


def show(file: Path, view: View, known: str, max_pixels: int) -> Answer:
    """A picture, or status 304 if the client has it by the value of If-None-Match."""
    data = file.read_bytes()
    facts = repr((__version__, view)).encode()
    tag = hashlib.sha256(facts + data).hexdigest()[:32]
    # Weak, as pixels may differ by gray levels where another machine answers.
    headers = {**HEADERS, "ETag": f'W/"{tag}"'}
    if is_known(tag, known):
        return Answer(status=304, headers=headers)
    headers["Content-Type"] = MIME_TYPES[view.kind]
    if view.kind == RAW:
        return Answer(data, headers=headers)
    image = picture_of(data, view, max_pixels)
    return Answer(file_bytes(image, view.kind.upper())[0], headers=headers)


def is_known(tag: str, known: str) -> bool:
    """Whether a client has what the tag is of, by the value of If-None-Match."""
    return known.strip() == ANY or tag in OPAQUE_TAG.findall(known)


def picture_of(data: bytes, view: View, max_pixels: int) -> Image.Image:
    """The picture in an .aec file upright, without EXIF and XMP."""
    if view.region:
        options = DecodeOptions(region=view.region, max_pixels=max_pixels)
        image = decode_file(data, options)
        size = image.size
    elif view.salvage:
        options = DecodeOptions(salvage=True, max_pixels=max_pixels)
        image, _ = salvage_file(data, options)
        size = image.size
    else:
        facts = read_info(data)
        size = facts.width, facts.height
        # Which of them is the width is not known before EXIF is.
        scale = min((s for s in SCALES if s * min(size) >= view.width_px), default=1)
        options = DecodeOptions(scale=scale, max_pixels=max_pixels)
        image = decode_file(data, options)
    profile = image.info.get("icc_profile")
    stored, image = image.size, upright(image)
    if image.size != stored:
        size = size[::-1]
    share = min(1, view.width_px / size[0], SIDE_MAX_PX / size[1])
    if share < 1:
        sides = [max(1, round(side * share)) for side in size]
        image = image.resize(sides, Image.Resampling.LANCZOS)
    if profile:
        image.info["icc_profile"] = profile
    return image
