"""Parts of pictures <-> AVIF files, by Pillow."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from codec.errors import CodecError
from codec.picture.alpha import smooth_where_invisible
from codec.picture.vp8l import Mask, loaded

Colors = NDArray[np.uint8]  # [H, W, 3]


def pack_lossy(
    colors: Colors, covered: Mask | None, quality: int, speed: int, threads: int
) -> bytes:
    """An AVIF file of the colors; where they are not `covered`, of whatever is
    cheapest. `quality` and `speed` are AVIF's, 0 to 100 and 10 to 0.
    """
    if covered is not None:
        colors = smooth_where_invisible(colors, covered)
    file = io.BytesIO()
    Image.fromarray(colors).save(
        file,
        "AVIF",
        quality=quality,
        subsampling="4:4:4",
        speed=speed,
        max_threads=threads,
    )
    return file.getvalue()


def unpack_lossy(data: bytes, width: int, height: int) -> Image.Image:
    """The picture of mode RGB in an AVIF file; FormatError as `unpack_lossless`."""
    if not has_avif():
        raise CodecError("parts of the picture are AVIF, which this Pillow cannot read")
    from PIL.AvifImagePlugin import AvifImageFile  # as in `unpack_lossless`

    return loaded(AvifImageFile, data, width, height).convert("RGB")


def has_avif() -> bool:
    return bool(features.check("avif"))
