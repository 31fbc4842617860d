"""Descriptors of pictures from their latents, without reconstructing the picture.

A latent channel starts as a function of the 16 x 16 DCT, so its magnitudes tell of
color, orientation and frequency; pooled over a grid they also tell of layout.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from codec.coding import decode_latents
from codec.container import Container
from codec.progress import Progress, untold
from codec.runtime import Networks

GRID = 4  # rows and columns that magnitudes are pooled over
FLOOR = 0.01  # added to a magnitude, in image units, before the logarithm


def describe(
    container: Container, networks: Networks, progress: Progress = untold
) -> NDArray[np.float32]:
    """Logarithms of the mean magnitudes of every latent channel in every cell of the
    grid, float32 [GRID * GRID * latent_channels], cells in raster order.

    FormatError for a damaged tile.
    """
    header, side = container.header, networks.bundle.latent_px
    rows, columns = (-(-size // side) for size in (header.height, header.width))
    pooled = np.concatenate(
        [
            pool(np.abs(band[0, :, :columns]), 1)
            for band in decode_latents(container, networks, progress)
        ]
    )
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


def distance(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Root mean square difference of two descriptors."""
    return float(np.sqrt(np.mean((one - other) ** 2)))
