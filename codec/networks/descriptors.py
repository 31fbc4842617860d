"""Descriptors of pictures from their latents, without reconstructing the picture.

A latent channel starts as a function of the 16 x 16 DCT, so its magnitudes tell of
color, orientation and frequency; pooled over a grid they also tell of layout.
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
    """Logarithms of the mean magnitudes of every latent channel in every cell of the
    grid, float32 [GRID * GRID * channels], cells in raster order.

    `bands` are the latents in image units, [1, rows, columns, channels] from top to
    bottom, of a picture of `width` x `height` pixels extended to the right and below.
    """
    rows, columns = (-(-size // latent_px) for size in (height, width))
    pooled = np.concatenate([pool(np.abs(band[0, :, :columns]), 1) for band in bands])
    cells = pool(pooled[:rows], 0)
    return np.log(cells + np.float32(FLOOR)).ravel()


def pool(values: NDArray[Any], axis: int) -> NDArray[np.float32]:
    """Means over GRID parts of an axis, which overlap where they are not even."""
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
