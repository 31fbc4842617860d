"""Alpha <-> a PNG file or VP8L data, and colors where alpha hides them."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from codec.errors import FormatError
from codec.picture.vp8l import (
    SIDE_MAX_PX,
    VP8L_START,
    check_lossless,
    loaded,
    pack_lossless,
    unpack_lossless,
)

VP8L_MAX_PX = 2**24  # of alpha: VP8L is decoded to four channels
PNG_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
GRAY_8_BITS = bytes([8, 0])  # of a PNG header, after the size


def pack_alpha(alpha: NDArray[np.uint8]) -> bytes:
    """The smaller one of a PNG file and VP8L data of uint8 [H, W]."""
    buffer = io.BytesIO()
    Image.fromarray(alpha).save(buffer, "PNG", optimize=True)
    packed = [buffer.getvalue()]
    if max(alpha.shape) <= SIDE_MAX_PX and alpha.size <= VP8L_MAX_PX:
        packed.append(pack_lossless(np.dstack([alpha] * 3), None))
    return min(packed, key=len)


def unpack_alpha(data: bytes, width: int, height: int) -> NDArray[np.uint8]:
    """uint8 [height, width]; FormatError if it is damaged or of another size."""
    try:
        if data[:1] == VP8L_START:
            return np.asarray(unpack_lossless(data, width, height).getchannel("G"))
        check_alpha(data, width, height)  # before Pillow takes memory for more
        image = loaded(PngImageFile, data, width, height)
        if image.mode != "L":  # by another header behind the first
            raise FormatError("PNG file is not gray")
        return np.asarray(image)
    except FormatError as error:
        raise FormatError(f"alpha: {error}") from None


def check_alpha(data: bytes, width: int, height: int) -> None:
    """FormatError if data do not begin like alpha of this size."""
    if data[:1] == VP8L_START:
        return check_lossless(data, width, height)
    header = PNG_START + width.to_bytes(4, "big") + height.to_bytes(4, "big")
    if data[:26] != header + GRAY_8_BITS:
        raise FormatError(f"no gray PNG file of {width} x {height} pixels")


def repeated_where_invisible(
    rgb: NDArray[np.uint8], visible: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """`rgb` [H, W, 3], where `visible` [H, W] is false with the nearest visible color
    of the row, or of the nearest row that has one: nearly nothing for lossless WebP,
    which would have to code every step of smooth ones.
    """
    if visible.all():
        return rgb
    if not visible.any():
        return np.zeros_like(rgb)
    rows = nearest_true(visible.any(1)[None])[0]
    columns = nearest_true(visible[rows])
    return rgb[rows[:, None], columns]


def nearest_true(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """For every element of `mask` [N, M] the index of the nearest true one of its row,
    the one before it of two; every row has one.
    """
    width = mask.shape[1]
    index = np.arange(width)
    before = np.maximum.accumulate(np.where(mask, index, -width), 1)
    after = np.where(mask, index, 2 * width)[:, ::-1]
    after = np.minimum.accumulate(after, 1)[:, ::-1]
    return np.where(index - before <= after - index, before, after)


def smooth_where_invisible(
    rgb: NDArray[np.uint8], visible: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """`rgb` [H, W, 3], where `visible` [H, W] is false with colors that go on smoothly
    from the visible ones, so that they cost nearly no bytes.

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
