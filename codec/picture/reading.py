"""What is coded of a Pillow image, of an array, or of a file that Pillow reads."""

import io
import logging
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from codec.errors import CodecError, UsageError
from codec.limits import MAX_PIXELS, check_size
from codec.picture.alpha import smooth_where_invisible
from codec.picture.metadata import read_metadata

ICC_SPACE = slice(16, 20)  # of a profile: the color space of its samples
logging.getLogger("PIL").addHandler(logging.NullHandler())  # warnings of odd metadata


@dataclass
class Picture:
    """What is coded of an image; `notices` say what of the image is not."""

    rgb: NDArray[np.uint8]  # [H, W, 3]
    gray: bool = False  # all three channels are the same, and decoded as one
    alpha: NDArray[np.uint8] | None = None  # [H, W], lossless; None if opaque
    metadata: dict[str, bytes] = field(default_factory=dict)  # by the names INFO_KEYS
    notices: list[str] = field(default_factory=list)


def read_picture(
    image: Image.Image | NDArray[np.uint8],
    strip: Collection[str] = (),
    max_pixels: int = MAX_PIXELS,
) -> Picture:
    """The picture in a Pillow image, or in an array uint8 [H, W] (gray) or [H, W, 3].

    `strip` names metadata to leave out. Pixels are as they are stored: the EXIF
    orientation is applied only where "exif" is left out. Colors that cannot be seen are
    replaced by smooth ones. Raises UsageError for arrays of another type or shape, and,
    before they are loaded, for images of more than `max_pixels` pixels.
    """
    if isinstance(image, str | bytes):
        raise UsageError("expected an image, not its name or its file's bytes")
    try:
        if isinstance(image, Image.Image):
            check_size(image.width, image.height, max_pixels, UsageError)
            return pillow_picture(image, strip)
        return array_picture(np.asarray(image))
    except (UsageError, MemoryError):
        raise
    except Exception as error:  # Pillow raises all kinds on damaged files
        raise UsageError(f"image cannot be read: {error}") from None


def pillow_picture(image: Image.Image, strip: Collection[str]) -> Picture:
    if 0 in image.size:
        raise UsageError(f"image of {image.width} x {image.height} has no pixels")
    if image.mode == "F":
        raise UsageError("floating-point samples cannot be coded")
    notices = []
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        notices.append(f"one frame of {frames} is coded")
    raw = raw_modes(image)
    if image.mode.startswith("I") or any(
        mode.endswith((";16B", ";16L", ";16N")) for mode in raw
    ):
        notices.append("samples are reduced to 8 bits")
    if image.mode == "CMYK":
        notices.append("CMYK is converted to RGB")
    image.load()  # some metadata lie behind the pixels
    if "exif" in strip:
        image = ImageOps.exif_transpose(image)
    metadata = {k: v for k, v in read_metadata(image).items() if k not in strip}
    if image.mode.startswith("I"):
        if image.has_transparency_data:
            notices.append("transparency is not kept")
        samples = np.asarray(image).clip(0, 65535) >> 8
        image = Image.fromarray(samples.astype(np.uint8))
    gray = image.mode in ("1", "L", "LA", "La") or raw == ["LA;16B"]
    alpha = None
    if image.has_transparency_data:
        image = image.convert("LA" if gray else "RGBA")
        if image.getchannel("A").getextrema() != (255, 255):
            alpha = np.asarray(image.getchannel("A"))
    space = b"GRAY" if gray else b"RGB "
    if "icc" in metadata and metadata["icc"][ICC_SPACE] != space:
        del metadata["icc"]
        notices.append("the color profile is not kept, it is for other samples")
    rgb = np.asarray((image.convert("L") if gray else image).convert("RGB"))
    if alpha is not None:
        rgb = smooth_where_invisible(rgb, alpha > 0)
    return Picture(rgb, gray, alpha, metadata, notices)


def array_picture(array: NDArray[np.uint8]) -> Picture:
    if array.dtype != np.uint8:
        raise UsageError(f"image array has type {array.dtype}; expected uint8")
    gray = array.ndim == 2
    if gray:
        array = np.repeat(array[..., None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] != 3:
        raise UsageError(
            f"image array has shape {array.shape}; expected [H, W] or [H, W, 3]"
        )
    if 0 in array.shape:
        raise UsageError(f"image array has shape {array.shape}: no pixels")
    return Picture(array, gray)


def raw_modes(image: Image.Image) -> list[str]:
    """The kinds of samples in the file, which Pillow knows until it loads them."""
    modes = (tile[3] for tile in getattr(image, "tile", ()))
    return [str(mode[0] if isinstance(mode, tuple) else mode) for mode in modes]


def picture_in(data: bytes, max_pixels: int, strip: Collection[str]) -> Picture:
    """The picture in a file of any format that Pillow reads; UsageError if it is no
    picture or too large.
    """
    if not data:
        raise UsageError("file is empty")
    Image.MAX_IMAGE_PIXELS = None  # `max_pixels` is the limit
    try:
        with quiet_pillow(), Image.open(io.BytesIO(data)) as image:
            return read_picture(image, strip, max_pixels)
    except (CodecError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise UsageError("not an image in a format that Pillow reads") from None
    except Exception as error:  # Pillow's readers raise all kinds on damaged files
        raise UsageError(f"image cannot be read: {error}") from None


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Leave out the warnings of Pillow about odd metadata."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
