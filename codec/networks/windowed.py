"""The float networks on pictures of any size, in overlapping windows.

The halo of a window covers the receptive field of the network, so the results are those
of the whole picture, but for the last bits of sums. Each network asks the one before it
for the rows that its windows need.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codec.entropy.tables import RESIDUAL_LIMIT
from codec.errors import UsageError
from codec.networks.outputs import Output
from codec.networks.rows import Rows
from codec.networks.runtime import Networks
from codec.networks.windows import (
    Spans,
    Window,
    cut,
    parts,
    relative,
    widened,
    windows,
)
from codec.picture.padding import pad
from codec.progress import Progress, no_progress

Array = NDArray[Any]


class WindowedNetworks:
    """The transforms of a bundle on one picture of `grid` (rows, columns) of cells.

    Arrays have the shapes of `Networks`, for the whole picture. `vectors` are those of
    `Bundle.vectors`. `progress` is called with the share of the windows that are done,
    counted since `restart`. Symbols of `idle` cells [rows, columns] are zero, and
    their pixels are of no use.
    """

    def __init__(
        self,
        networks: Networks,
        grid: tuple[int, int],
        progress: Progress = no_progress,
        idle: NDArray[np.bool_] | None = None,
    ) -> None:
        self.networks, self.grid, self.progress = networks, grid, progress
        self.idle = np.zeros(grid, bool) if idle is None else idle
        self.steps = self.steps_done = 0
        bundle = networks.bundle
        self.halos = bundle.halos
        self.cell_px = bundle.stride_px
        self.cell_latents = bundle.latents_per_cell

    def restart(self) -> None:
        """Count the progress from here on, of another file."""
        self.steps = self.steps_done = 0

    def advance(self) -> None:
        """Count one step as done."""
        self.steps_done += 1
        self.progress(self.steps_done / self.steps)

    def by_windows(
        self,
        unit: int,
        halo: int,
        inputs: Sequence[Rows],
        result: Callable[..., Array],
        region: Spans | None = None,
        steps: int = 1,
    ) -> Rows:
        """Rows of an array with `unit` elements to a cell, of `region` or of the whole
        picture. `result` makes the core of a window from the `inputs` in the window. If
        a window takes several `steps`, `result` calls `advance` after all but the last.
        """
        rows, columns = region or (slice(0, self.grid[0]), slice(0, self.grid[1]))
        bands = parts(rows, halo)
        self.steps += len(bands) * len(parts(columns, halo)) * steps

        def make(band: slice) -> Sequence[Array]:
            made = np.empty(0)
            for number, window in enumerate(windows((band, columns), self.grid, halo)):
                near = (array for rows in inputs for array in rows[window.whole])
                core = result(window, *near)
                if not number:
                    width = (columns.stop - columns.start) * unit
                    shape = 1, core.shape[1], width, core.shape[3]
                    made = np.empty(shape, core.dtype)
                place = relative(window.core, (band, columns))
                cut(made, place, unit)[...] = core
                self.advance()
            return [made]

        return Rows(bands, [unit], make)

    def pixels(self, rgb: Array, window: Window) -> Array:
        """The window of a picture uint8 [H, W, 3], extended to whole cells."""
        return pad(cut(rgb[None], window.whole, self.cell_px)[0], self.cell_px)[None]

    def analyze(self, rgb: Array) -> Rows:
        """Latents in image units of a picture uint8 [H, W, 3]."""

        def result(window: Window) -> Array:
            latents = self.networks.analyze(self.pixels(rgb, window))
            return cut(latents, window.inner, self.cell_latents)

        return self.by_windows(self.cell_latents, self.halos.analysis, [], result)

    @staticmethod
    def check(latents: Array, limit: int) -> None:
        """UsageError for values that no file can hold, NaN included."""
        if not np.abs(latents).max() <= limit:
            raise UsageError("a latent is too large to be coded")

    def hyper_analyze(self, latents: Rows, gain: Array) -> Rows:
        """Integer hyper-latents, as float32, of latents in image units."""

        def result(window: Window, latents: Array) -> Array:
            hyper_latents = self.networks.hyper_analyze(latents, gain)
            hyper_latents[:, self.idle[window.whole]] = 0
            self.check(hyper_latents, self.networks.bundle.hyper_limit)
            return cut(hyper_latents, window.inner, 1)

        return self.by_windows(1, self.halos.hyper_analysis, [latents], result)

    def quantize(
        self,
        latents: Rows,
        hyper_latents: Rows,
        table_index: Rows,
        rounding: Array,
        vectors: dict[str, Array],
    ) -> Rows:
        """Residuals int16 of latents in image units. `rounding`, float32 [256], is by
        table index; see `Networks.quantize`. UsageError for residuals that no file can
        hold.
        """
        gains = vectors["gain"], vectors["inverse_gain"]

        def result(
            window: Window, latents: Array, hyper_latents: Array, index: Array
        ) -> Array:
            residuals, _ = self.networks.quantize(
                latents * gains[0], hyper_latents, rounding[index], *gains
            )
            residuals = cut(residuals, window.inner, self.cell_latents)
            self.check(residuals, RESIDUAL_LIMIT)
            return residuals.astype(np.int16)

        inputs = [latents, hyper_latents, table_index]
        return self.by_windows(self.cell_latents, self.halos.mean, inputs, result)

    def latents(self, symbols: Sequence[Array], vectors: dict[str, Array]) -> Array:
        """Decoded latents, in quantization steps, of the symbols in a window."""
        hyper_latents, residuals = (part.astype(np.float32) for part in symbols)
        gains = vectors["gain"], vectors["inverse_gain"]
        return self.networks.reconstruct(residuals, hyper_latents, *gains)

    def reconstruct(self, symbols: Rows, vectors: dict[str, Array]) -> Rows:
        """Decoded latents of the whole picture in image units. `symbols` are integers:
        (hyper-latents, residuals).
        """

        def result(window: Window, *symbols: Array) -> Array:
            latents = self.latents(symbols, vectors) * vectors["inverse_gain"]
            return cut(latents, window.inner, self.cell_latents)

        return self.by_windows(self.cell_latents, self.halos.mean, [symbols], result)

    def synthesize(
        self, symbols: Rows, vectors: dict[str, Array], region: Spans, output: Output
    ) -> Rows:
        """Pixels uint8 of the cells in `region`, as `output` makes them. `symbols` are
        integers: (hyper-latents, residuals).
        """

        def result(window: Window, *symbols: Array) -> Array:
            if (idle := self.idle[window.core]).all():
                sides = (side * output.cell_px for side in idle.shape)
                return np.zeros((1, *sides, 3), np.uint8)
            latents = self.latents(symbols, vectors)
            # Here the means are right; beyond, in their halo, they are not.
            near = widened(window.core, self.grid, output.halo)
            inside = cut(latents, relative(near, window.whole), self.cell_latents)
            part = output.make(inside, vectors)
            return cut(part, relative(window.core, near), output.cell_px)

        halo = self.halos.mean + output.halo
        return self.by_windows(output.cell_px, halo, [symbols], result, region)
