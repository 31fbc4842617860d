"""Descriptors of pictures, from their latents alone.

Training starts every latent channel as a function of the 16 x 16 DCT, so magnitudes
tell of color, orientation and frequency. Pooled over a grid they tell of layout, too.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

GRID = 4  # rows and columns that magnitudes are pooled over
FLOOR = 0.01  # added to a magnitude, in image units, before the logarithm


def describe(
    bands: Iterable[NDArray[np.float32]], width: int, height: int, latent_px: int
) -> NDArray[np.float32]:
    """Logarithms of the mean magnitudes of every latent channel in every part of the
    grid, float32 [GRID * GRID * channels], parts in raster order.

    `bands` are latents in image units, [1, rows, columns, channels] from top to bottom.
    Of a picture of `width` x `height` pixels, what extends it to whole cells is left
    out.
    """
    rows, columns = (-(-size // latent_px) for size in (height, width))
    pooled = np.concatenate([pool(np.abs(band[0, :, :columns]), 1) for band in bands])
    means = pool(pooled[:rows], 0)
    return np.log(means + np.float32(FLOOR)).ravel()


def pool(values: NDArray[Any], axis: int) -> NDArray[np.float32]:
    """Means over GRID parts of an axis. They overlap if the axis is no multiple."""
    size = values.shape[axis]
    edges = [
        (part * size // GRID, -(-(part + 1) * size // GRID)) for part in range(GRID)
    ]
    return np.stack(
        [
            values.take(range(start, stop), axis).mean(axis, dtype=np.float32)
            for start, stop in edges
        ],
        axis,
    )
