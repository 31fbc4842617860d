"""Pixels, cells and tiles of a picture; both directions count by these.

A cell is the square of `stride_px` pixels that one hyper-latent stands for.
"""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from codec.file.header import Header
from codec.networks.windows import Spans
from codec.options import Region
from codec.picture.padding import padded_size

# Memory grows with the width of what is worked on at once; wider pictures are coded and
# decoded in strips of so many pixels, whole tiles.
STRIP_PX = 2**15
Slices = tuple[list[slice], list[slice]]  # those of the rows, those of the columns


def tile_spans(header: Header) -> Slices:
    """The pixels of every row and of every column of tiles."""
    rows, columns = (
        [
            slice(start, min(start + header.tile_px, size))
            for start in range(0, size, header.tile_px)
        ]
        for size in (header.height, header.width)
    )
    return rows, columns


def tile_cells(header: Header, stride_px: int) -> Slices:
    """The cells of every row and of every column of tiles."""
    rows, columns = (
        [cells_of(span.start, span.stop - span.start, stride_px) for span in spans]
        for spans in tile_spans(header)
    )
    return rows, columns


def cells_of_tiles(
    header: Header, stride_px: int, numbers: Collection[int]
) -> NDArray[np.bool_]:
    """Which cells [rows, columns] are of the tiles with these numbers."""
    cells = np.zeros(grid_of(header, stride_px), bool)
    rows, columns = tile_cells(header, stride_px)
    for number in numbers:
        row, column = divmod(number, len(columns))
        cells[rows[row], columns[column]] = True
    return cells


def cells_of(start_px: int, size_px: int, stride_px: int) -> slice:
    """The cells that `size_px` pixels from `start_px` on lie in, along one side."""
    stop = padded_size(start_px + size_px, stride_px)
    return slice(start_px // stride_px, stop // stride_px)


def all_cells(header: Header, stride_px: int) -> Spans:
    """The cells of the picture, extended to whole ones."""
    return cells_of(0, header.height, stride_px), cells_of(0, header.width, stride_px)


def grid_of(header: Header, stride_px: int) -> tuple[int, int]:
    """(rows, columns) of cells of the picture, extended to whole ones."""
    rows, columns = all_cells(header, stride_px)
    return rows.stop, columns.stop


def whole(header: Header) -> Region:
    """All of the picture."""
    return 0, 0, header.width, header.height
