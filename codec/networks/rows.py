"""Arrays made row by row, so that memory does not grow with the height of a picture."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codec.networks.windows import Spans, cut, overlap

Array = NDArray[Any]


class Rows:
    """Arrays [1, rows, columns, channels] of which only some bands of rows exist.

    `make` makes the arrays of one of the `bands` when rows of it are asked for; they
    are kept until `forget`. `units` are the elements to a cell of each array, whose
    columns begin with the cell `first`. A `worker`, if there is one, makes the next
    band while these are in use.
    """

    def __init__(
        self,
        bands: Sequence[slice],
        units: Sequence[int],
        make: Callable[[slice], Sequence[Array]],
        worker: Executor | None = None,
        first: int = 0,
    ) -> None:
        self.bands, self.units, self.make = bands, units, make
        self.worker, self.first = worker, first
        # By number of the band: the first row that is kept, and all from there on.
        self.made: dict[int, tuple[int, Sequence[Array]]] = {}
        self.ahead: dict[int, Future[Sequence[Array]]] = {}

    def __getitem__(self, spans: Spans) -> list[Array]:
        """The arrays over these rows and columns of cells."""
        rows, columns = spans
        across = slice(columns.start - self.first, columns.stop - self.first)
        near = [i for i, band in enumerate(self.bands) if overlap(band, rows)]
        for i in near:
            start = self.bands[i].start
            if i in self.ahead:
                self.made[i] = start, self.ahead.pop(i).result()
            elif i not in self.made or self.made[i][0] > max(start, rows.start):
                self.made[i] = start, self.make(self.bands[i])
        after = near[-1] + 1
        known = after in self.made or after in self.ahead
        if self.worker and after < len(self.bands) and not known:
            self.ahead[after] = self.worker.submit(self.make, self.bands[after])

        def part(number: int, i: int) -> Array:
            (start, arrays), stop = self.made[i], self.bands[i].stop
            inside = slice(max(rows.start, start) - start, min(rows.stop, stop) - start)
            return cut(arrays[number], (inside, across), self.units[number])

        return [
            np.concatenate([part(number, i) for i in near], axis=1)
            for number in range(len(self.units))
        ]

    def forget(self, stop: int) -> None:
        """Drop the rows before `stop`, or most of them. If they are asked for once
        more, they are made once more.
        """
        for i, (start, arrays) in list(self.made.items()):
            after = self.bands[i].stop - stop
            if after <= 0:
                del self.made[i]
            elif stop - start >= after:  # the more rows there are, the longer to copy
                pairs = zip(arrays, self.units, strict=True)
                kept = [part[:, (stop - start) * unit :].copy() for part, unit in pairs]
                self.made[i] = stop, kept
