"""Parts of pictures <-> AVIF files, by Pillow."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from codec.errors import CodecError, FormatError
from codec.picture.alpha import smooth_where_invisible
from codec.picture.embedded import boxes
from codec.picture.vp8l import Mask, loaded

Colors = NDArray[np.uint8]  # [H, W, 3]
NOT_IN_LAYERS = {"exif", "icc_profile", "xmp"}
PROPERTIES = (b"meta", b"iprp", b"ipco")  # each within the one before
CROPPING, CODING, HIGH_BIT_DEPTH = b"clap", b"av1C", 0x40
THREADS_MIN = 2  # with one alone AVIF makes other bytes than with several


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
        max_threads=max(threads, THREADS_MIN),
    )
    return file.getvalue()


def unpack_lossy(data: bytes, width: int, height: int) -> Image.Image:
    """The picture of mode RGB in an AVIF file; FormatError as `unpack_lossless`, and
    where it is more than a still picture of colors: see "Layer" in codec/FORMAT.md.
    """
    if not has_avif():
        raise CodecError("parts of the picture are AVIF, which this Pillow cannot read")
    from PIL.AvifImagePlugin import AvifImageFile  # as in `unpack_lossless`

    image = loaded(AvifImageFile, data, width, height)
    # Pillow tells of rotation and mirroring as EXIF data has it.
    if (
        image.mode != "RGB"
        or getattr(image, "is_animated", False)
        or image.info.keys() & NOT_IN_LAYERS
        or not all(map(is_plain, properties_of(data)))
    ):
        raise FormatError("the AVIF file of a layer has more than colors of 8 bits")
    return image


def properties_of(data: bytes) -> list[tuple[bytes, bytes]]:
    """The names of properties in an AVIF file, and what they say (ISO/IEC 23008-12)."""
    for name in PROPERTIES:
        data = next((content for found, content in boxes(data) if found == name), b"")
        if name == b"meta":
            data = data[4:]  # behind version and flags
    return list(boxes(data))


def is_plain(item: tuple[bytes, bytes]) -> bool:
    """Whether a property neither crops nor says that samples have more than 8 bits."""
    name, content = item
    deep = name == CODING and content[2:3] and content[2] & HIGH_BIT_DEPTH
    return name != CROPPING and not deep


def has_avif() -> bool:
    return bool(features.check("avif"))
