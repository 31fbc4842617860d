"""Pictures extended to whole cells."""

import numpy as np
from numpy.typing import NDArray


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
