"""Pillow <-> arrays, padding and cropping; knows nothing of models or files of ours."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from codec.errors import UsageError


def to_rgb(
    image: Image.Image | NDArray[np.uint8],
) -> tuple[NDArray[np.uint8], list[str]]:
    """(uint8 [H, W, 3], notices): the picture as people see it, and what was lost on
    the way.

    The EXIF orientation is applied; transparency is laid on white; 16-bit gray keeps
    its upper 8 bits. Raises UsageError for arrays of another type or shape.
    """
    if isinstance(image, str | bytes):
        raise UsageError("expected an image, not its name or its file's bytes")
    if not isinstance(image, Image.Image):
        return array_to_rgb(np.asarray(image)), []
    notices = []
    if 0 in image.size:
        raise UsageError(f"image of {image.width} x {image.height} has no pixels")
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        notices.append(f"one frame of {frames} is coded")
    if image.info.get("icc_profile"):
        notices.append("the color profile is not kept")
    if image.mode == "F":
        raise UsageError("floating-point samples cannot be coded")
    if has_16_bit_samples(image):
        notices.append("samples are reduced to 8 bits")
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        image = Image.fromarray(
            (np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8)
        )
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        if rgba.getchannel("A").getextrema() != (255, 255):
            notices.append("transparency is laid on white")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return np.asarray(image.convert("RGB")), notices


def has_16_bit_samples(image: Image.Image) -> bool:
    """Whether samples have more than 8 bits, as Pillow tells before it loads them."""
    if image.mode.startswith("I"):
        return True
    modes = (tile[3] for tile in getattr(image, "tile", ()))
    raw_modes = (mode[0] if isinstance(mode, tuple) else mode for mode in modes)
    return any(str(mode).endswith((";16B", ";16L", ";16N")) for mode in raw_modes)


def array_to_rgb(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if array.dtype != np.uint8:
        raise UsageError(f"image array has type {array.dtype}; expected uint8")
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] != 3:
        raise UsageError(
            f"image array has shape {array.shape}; expected [H, W] or [H, W, 3]"
        )
    if 0 in array.shape:
        raise UsageError(f"image array has shape {array.shape}: no pixels")
    return array


def padded_size(size: int, stride: int) -> int:
    """The least multiple of `stride` that is at least `size`."""
    return -(-size // stride) * stride


def pad(array: NDArray[np.uint8], stride: int) -> NDArray[np.uint8]:
    """Repeat the last row and column until both sides are multiples of `stride`."""
    height, width = array.shape[:2]
    bottom, right = (
        padded_size(height, stride) - height,
        padded_size(width, stride) - width,
    )
    return np.pad(array, ((0, bottom), (0, right), (0, 0)), mode="edge")
