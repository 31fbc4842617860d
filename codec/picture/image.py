"""Pillow <-> arrays, padding and cropping; knows nothing of models or files of ours."""

import io
import warnings
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngImageFile

from codec.errors import FormatError, UsageError

EXIF_PREFIX = b"Exif\0\0"
# Pillow's names of the metadata that is kept.
INFO_KEYS = {"icc": "icc_profile", "exif": "exif", "xmp": "xmp"}
PNG_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
GRAY_8_BITS = bytes([8, 0])  # of a PNG header, after the size
# How much smaller a picture is where missing parts are filled.
FILL_FACTORS = (64, 16, 4)
FILL_ITERATIONS = 200
FILL_MARGIN_PX = 64  # of the picture around what is filled, as the coarsest factor
DAMAGE_REACH_PX = 24  # around a missing part
ICC_SPACE = slice(16, 20)  # of a profile: the color space of its samples


@dataclass
class Picture:
    """What is coded of an image, and what was lost on the way to it."""

    rgb: NDArray[np.uint8]  # [H, W, 3]
    gray: bool = False  # all three channels are the same, and meant so
    alpha: NDArray[np.uint8] | None = None  # [H, W], lossless; None if opaque
    metadata: dict[str, bytes] = field(default_factory=dict)  # by the names INFO_KEYS
    notices: list[str] = field(default_factory=list)


def read_picture(
    image: Image.Image | NDArray[np.uint8], strip: Collection[str] = ()
) -> Picture:
    """The picture in a Pillow image, or in uint8 [H, W] (gray) or [H, W, 3].

    Pixels stay as they are stored: an EXIF orientation is kept as metadata, and applied
    only if "exif" is in `strip`, the metadata left out. Colors that cannot be seen are
    replaced by smooth ones. Raises UsageError for arrays of another type or shape.
    """
    if isinstance(image, str | bytes):
        raise UsageError("expected an image, not its name or its file's bytes")
    try:
        if isinstance(image, Image.Image):
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
    """The samples in the file, which Pillow names until it loads them."""
    modes = (tile[3] for tile in getattr(image, "tile", ()))
    return [str(mode[0] if isinstance(mode, tuple) else mode) for mode in modes]


def read_metadata(image: Image.Image) -> dict[str, bytes]:
    """ICC profile, EXIF and XMP data of a Pillow image, by the names of INFO_KEYS."""
    found = {name: image.info.get(key) for name, key in INFO_KEYS.items()}
    metadata = {k: v for k, v in found.items() if isinstance(v, bytes) and v}
    if "exif" in metadata:
        metadata["exif"] = metadata["exif"].removeprefix(EXIF_PREFIX)
    return metadata


def luma(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Gray samples [H, W] of colors [H, W, 3], by BT.601."""
    return np.asarray(Image.fromarray(rgb).convert("L"))


def info_value(name: str, value: bytes) -> bytes:
    """Metadata as Pillow has them in `info`."""
    return EXIF_PREFIX + value if name == "exif" else value


def pack_alpha(alpha: NDArray[np.uint8]) -> bytes:
    """A PNG file of uint8 [H, W]."""
    buffer = io.BytesIO()
    Image.fromarray(alpha).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def unpack_alpha(data: bytes, width: int, height: int) -> NDArray[np.uint8]:
    """uint8 [height, width] from a gray PNG file of just this size."""
    header = PNG_START + width.to_bytes(4, "big") + height.to_bytes(4, "big")
    if data[:26] != header + GRAY_8_BITS:  # before Pillow takes memory for more
        raise FormatError(f"alpha is no gray PNG file of {width} x {height} pixels")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(PngImageFile(io.BytesIO(data)))
    except MemoryError:
        raise
    except Exception:  # Pillow raises all kinds on damaged files
        raise FormatError("alpha cannot be decoded") from None


def smooth_where_invisible(
    rgb: NDArray[np.uint8], visible: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """`rgb` [H, W, 3] with colors that run on smoothly from the visible ones wherever
    [H, W] `visible` is false: they cost next to nothing.

    Pull and push: means of visible pixels over ever larger blocks, from coarse to fine
    (Gortler et al., "The lumigraph", SIGGRAPH 1996).
    """
    if visible.all():
        return rgb
    height, width = visible.shape
    if height == width == 1:
        return np.full_like(rgb, 128)
    even = ((0, height % 2), (0, width % 2))
    weight = np.pad(visible, even).astype(np.float32)[..., None]
    sums = np.pad(rgb, (*even, (0, 0))) * weight
    block = (weight.shape[0] // 2, 2, weight.shape[1] // 2, 2, -1)
    weight, sums = (part.reshape(block).sum((1, 3)) for part in (weight, sums))
    means = (sums / np.maximum(weight, 1)).round().astype(np.uint8)
    coarse = smooth_where_invisible(means, weight[..., 0] > 0)
    size = 2 * coarse.shape[1], 2 * coarse.shape[0]
    fine = Image.fromarray(coarse).resize(size, Image.Resampling.BILINEAR)
    return np.where(visible[..., None], rgb, np.asarray(fine)[:height, :width])


def fill_in(image: Image.Image, missing: Iterable[tuple[slice, slice]]) -> None:
    """Replace these rows and columns, and `DAMAGE_REACH_PX` around them, where damage
    shows most, by the smoothest colors that go on from those beyond; where there are
    none, by gray.

    The harmonic function (Pérez et al., "Poisson image editing", SIGGRAPH 2003,
    equation 2), by iteration from coarse to fine.
    """
    mask = Image.new("L", image.size)
    for rows, columns in missing:
        start = columns.start - DAMAGE_REACH_PX, rows.start - DAMAGE_REACH_PX
        stop = columns.stop + DAMAGE_REACH_PX, rows.stop + DAMAGE_REACH_PX
        mask.paste(255, (*start, *stop))
    left, top, right, bottom = mask.getbbox() or (0, 0, 0, 0)
    left, top = (max(side - FILL_MARGIN_PX, 0) for side in (left, top))
    right = min(right + FILL_MARGIN_PX, image.width)
    bottom = min(bottom + FILL_MARGIN_PX, image.height)
    box = left, top, right, bottom
    mask, part = mask.crop(box), image.crop(box)
    part.paste(Image.new("L", part.size, 128), mask=mask)
    for factor in FILL_FACTORS:
        small = np.array(part.reduce(factor), np.float32)
        unknown = np.asarray(mask.reduce(factor)) > 0
        sides = [(1, 1), (1, 1), (0, 0)][: small.ndim]
        for _ in range(FILL_ITERATIONS):
            near = np.pad(small, sides, mode="edge")
            sums = near[:-2, 1:-1] + near[2:, 1:-1] + near[1:-1, :-2] + near[1:-1, 2:]
            small[unknown] = sums[unknown] / 4
        colors = Image.fromarray(small.round().astype(np.uint8))
        part.paste(colors.resize(part.size), mask=mask)
    image.paste(part, box)


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
