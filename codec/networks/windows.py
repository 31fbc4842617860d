"""Windows of a picture, and the parts of arrays in them.

Spans count cells: squares of 64 x 64 pixels, one hyper-latent each.
"""

import itertools
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
Spans = tuple[slice, slice]  # rows and columns

# Longest side of a window with its halo: 1536 pixels. A region of at most this size is
# one window, and its halo comes on top.
SPAN = 24


@dataclass(frozen=True)
class Window:
    """The cells that are wanted, and these with the halo within the picture."""

    core: Spans
    whole: Spans

    @property
    def inner(self) -> Spans:
        """The core, counted from the corner of the window."""
        return relative(self.core, self.whole)


def windows(region: Spans, grid: tuple[int, int], halo: int) -> list[Window]:
    """Windows in raster order, whose cores together are `region`. `grid` is the rows
    and columns of cells of the picture.
    """
    return [
        Window((row, column), widened((row, column), grid, halo))
        for row in parts(region[0], halo)
        for column in parts(region[1], halo)
    ]


def parts(span: slice, halo: int) -> list[slice]:
    """The span in as few parts as fit into windows, of nearly equal length."""
    size = span.stop - span.start
    count = 1 if size <= SPAN else -(-size // (SPAN - 2 * halo))
    edges = [span.start + size * i // count for i in range(count + 1)]
    return [slice(*edge) for edge in itertools.pairwise(edges)]


def widened(spans: Spans, grid: tuple[int, int], halo: int) -> Spans:
    """`spans` with a halo, as far as the picture goes."""
    rows, columns = (
        slice(max(0, span.start - halo), min(size, span.stop + halo))
        for span, size in zip(spans, grid, strict=True)
    )
    return rows, columns


def relative(spans: Spans, origin: Spans) -> Spans:
    """`spans`, counted from the corner of `origin`."""
    rows, columns = (
        slice(span.start - start.start, span.stop - start.start)
        for span, start in zip(spans, origin, strict=True)
    )
    return rows, columns


def cut(array: Array, spans: Spans, unit: int) -> Array:
    """View of `array` [1, rows, columns, channels], `unit` elements to a cell."""
    rows, columns = (slice(span.start * unit, span.stop * unit) for span in spans)
    return array[:, rows, columns]


def overlap(one: slice, other: slice) -> bool:
    return bool(one.start < other.stop and other.start < one.stop)
