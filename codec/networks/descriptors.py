"""Descriptors of pictures, from their latents alone.

Training starts every latent channel as a function of a transform, of one color and
frequency, so magnitudes tell of color, orientation and frequency. Pooled over a grid
they tell of layout, too.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

GRID = 4  # rows and columns that magnitudes are pooled over
FLOOR = 0.01  # added to a magnitude before the logarithm
ALIKE_SHARE = 0.95  # of the channels, that count: the others are those of color


def describe(
    bands: Iterable[NDArray[np.float32]], width: int, height: int, latent_px: int
) -> NDArray[np.float32]:
    """Logarithms of the mean magnitudes of every latent channel in every part of the
    grid, float32 [GRID * GRID * channels], parts in raster order.

    `bands` are latents in image units times `Bundle.descriptor_scale`, [1, rows,
    columns, channels] from top to bottom.
    Of a picture of `width` x `height` pixels, what extends it to whole cells is left
    out.
    """
    rows, columns = (-(-size // latent_px) for size in (height, width))
    pooled = np.concatenate([pool(np.abs(band[0, :, :columns]), 1) for band in bands])
    means = pool(pooled[:rows], 0)
    return np.log(means + np.float32(FLOOR)).ravel()


def distance(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """How unlike the pictures of two descriptors of a model are: the root mean square
    difference of the channels that differ least, so that a gray copy is near; of the
    one picture as it is or mirrored, whichever is nearer.
    """
    found = [part.reshape(GRID, GRID, -1) for part in (one, other)]
    return min(grid_distance(part, found[1]) for part in (found[0], found[0][:, ::-1]))


def grid_distance(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """As `distance`, of grids [GRID, GRID, channels] as they are."""
    by_channel = np.sort(np.mean((one - other) ** 2, axis=(0, 1)))
    count = max(1, int(ALIKE_SHARE * len(by_channel)))
    return float(np.sqrt(by_channel[:count].mean()))


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
