"""Samples for the playground, where no service encodes."""

import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from codec.api import encode
from codec.app.matching import (
    CODECS,
    COMPARED_MAX_PIXELS,
    COMPARED_SIDE_MAX_PX,
    flat_picture,
    matched,
)
from codec.errors import CodecError, UsageError, reason
from codec.options import EncodeOptions
from codec.progress import Progress
from codec.web.site import PLAYGROUND

QUALITIES = (20, 40, 60, 80)


def samples_of(pictures: Sequence[Path], progress: Progress) -> dict[str, bytes]:
    """Files of the playground by their path: pictures in all formats, and what names
    them to it. UsageError if a picture cannot be read.
    """
    found: dict[str, bytes] = {}
    samples = []
    for number, picture in enumerate(pictures):
        try:
            image = flat_picture(picture.read_bytes(), EncodeOptions.max_pixels)
        except (CodecError, OSError) as error:
            raise UsageError(f"{picture}: {reason(error)}") from None
        sample, files = sample_of(reduced(image), f"samples/{number + 1}")
        samples.append({"name": picture.stem, **sample})
        found |= files
        progress((number + 1) / len(pictures))
    found[PLAYGROUND] = json.dumps({"samples": samples}, indent=1).encode()
    return found


def reduced(image: Image.Image) -> Image.Image:
    """No larger than is compared."""
    scale = min(
        math.sqrt(COMPARED_MAX_PIXELS / (image.width * image.height)),
        COMPARED_SIDE_MAX_PX / max(image.size),
    )
    if scale >= 1:
        return image
    size = [max(1, int(side * scale)) for side in image.size]
    return image.resize((size[0], size[1]), Image.Resampling.LANCZOS)


def sample_of(image: Image.Image, path: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """(what the playground is told of it, its files by their path)."""
    file = io.BytesIO()
    profile = image.info.get("icc_profile", b"")
    image.save(file, "WEBP", lossless=True, icc_profile=profile)
    found = {f"{path}/original.webp": file.getvalue()}
    named: dict[int, Any] = {}
    for quality in QUALITIES:
        data = encode(image, quality=quality)
        found[f"{path}/{quality}.aec"] = data
        named[quality] = {"aec": {"path": f"{path}/{quality}.aec", "quality": quality}}
        for kind in CODECS:
            match = matched(image, kind, len(data))
            found[f"{path}/{quality}.{kind}"] = match.data
            entry = {"path": f"{path}/{quality}.{kind}", "quality": match.quality}
            named[quality][kind] = entry
    size = {"width": image.width, "height": image.height}
    return {"original": f"{path}/original.webp", **size, "files": named}, found
