"""The float networks over pictures of any size, through overlapping windows.

A window's halo covers the receptive field of what runs in it, so the results are those
of the whole picture; zeros beyond a border are put only where the picture ends. One
network asks the one before it for some rows of windows at a time, so memory need not
grow with the height of a picture. Spans count in *cells* of 64 x 64 pixels, one
hyper-latent each.
"""

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codec.entropy.tables import RESIDUAL_LIMIT
from codec.errors import UsageError
from codec.networks.runtime import Networks
from codec.picture.padding import pad
from codec.progress import Progress, untold

Array = NDArray[Any]
Spans = tuple[slice, slice]  # rows and columns

# Longest side of a window with its halo, 1536 pixels; a region that is no longer is one
# window, its halo besides.
SPAN = 24
# Halos, from the kernels in codec/training/networks.py. Analysis: 3 x 3 seven times at
# 1/8 and once at 1/16, 72 pixels. Hyper-analysis: 3 x 3 with stride 2 at 1/16 and 1/32,
# 48. Means: 3 x 3 at 1/64, at 1/32, and three times at 1/16, 144. Synthesis: 3 x 3 once
# at 1/16 and four times at 1/8, 48.
ANALYSIS_HALO = 2
HYPER_HALO = 1
MEAN_HALO = 3
SYNTHESIS_HALO = 1
DECODER_HALO = MEAN_HALO + SYNTHESIS_HALO


@dataclass(frozen=True)
class Output:
    """A network that makes pixels of decoded latents: `make(latents, vectors)` gives
    uint8 [1, H, W, 3] with `cell_px` rows and columns to a cell, and needs a `halo` of
    cells around what counts.
    """

    make: Callable[[Array, dict[str, Array]], Array]
    cell_px: int
    halo: int = SYNTHESIS_HALO

    def sides(self, pixels: int, stride_px: int) -> int:
        """Pixels of the output for so many of the picture, rounded up."""
        return -(-pixels * self.cell_px // stride_px)


@dataclass(frozen=True)
class Window:
    """Cells whose results count, and the same with the halo, within the picture."""

    core: Spans
    whole: Spans

    @property
    def inner(self) -> Spans:
        """The core, counted from the corner of the window."""
        return relative(self.core, self.whole)


def windows(region: Spans, grid: tuple[int, int], halo: int) -> list[Window]:
    """Windows whose cores tile `region`, in raster order; `grid` is the picture's rows
    and columns of cells.
    """
    return [
        Window((row, column), widened((row, column), grid, halo))
        for row in parts(region[0], halo)
        for column in parts(region[1], halo)
    ]


def parts(span: slice, halo: int) -> list[slice]:
    """As few slices of nearly equal length as fit into windows."""
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


class Rows:
    """Arrays [1, rows, columns, channels] of which a few rows exist at a time.

    `make` gives the arrays of one of the `bands`, when rows of it are first asked for;
    they stay until `forget` lets them go. `units` are the elements to a cell, by array.
    A `worker`, if any, makes the band after those while they are in use.
    """

    def __init__(
        self,
        bands: Sequence[slice],
        units: Sequence[int],
        make: Callable[[slice], Sequence[Array]],
        worker: Executor | None = None,
    ) -> None:
        self.bands, self.units, self.make = bands, units, make
        self.worker = worker
        self.made: dict[int, Sequence[Array]] = {}
        self.ahead: dict[int, Future[Sequence[Array]]] = {}

    def __getitem__(self, spans: Spans) -> list[Array]:
        """The arrays over these rows and columns of cells."""
        rows, columns = spans
        near = [i for i, band in enumerate(self.bands) if overlap(band, rows)]
        for i in near:
            if i in self.ahead:
                self.made[i] = self.ahead.pop(i).result()
            elif i not in self.made:
                self.made[i] = self.make(self.bands[i])
        after = near[-1] + 1
        known = after in self.made or after in self.ahead
        if self.worker and after < len(self.bands) and not known:
            self.ahead[after] = self.worker.submit(self.make, self.bands[after])

        def part(number: int, i: int) -> Array:
            start, stop = self.bands[i].start, self.bands[i].stop
            inside = slice(max(rows.start, start) - start, min(rows.stop, stop) - start)
            return cut(self.made[i][number], (inside, columns), self.units[number])

        return [
            np.concatenate([part(number, i) for i in near], axis=1)
            for number in range(len(self.units))
        ]

    def forget(self, stop: int) -> None:
        """Let go of bands that end at or before `stop`; asked for again, they are made
        again.
        """
        for i in [i for i in self.made if self.bands[i].stop <= stop]:
            del self.made[i]


def overlap(one: slice, other: slice) -> bool:
    return bool(one.start < other.stop and other.start < one.stop)


class WindowedNetworks:
    """The transforms of a bundle over one picture of `grid` rows and columns of cells.

    Arrays have the shapes of `Networks`, for the whole picture; `vectors` are those of
    a quality, from `Bundle.vectors`. `progress` is told the share of all windows that
    are done, since `restart`.
    """

    def __init__(
        self,
        networks: Networks,
        grid: tuple[int, int],
        progress: Progress = untold,
    ) -> None:
        self.networks, self.grid, self.progress = networks, grid, progress
        self.steps = self.steps_done = 0
        bundle = networks.bundle
        self.cell_px = bundle.stride_px
        self.cell_latents = bundle.stride_px // bundle.latent_px

    def restart(self) -> None:
        """What was asked for before counts no more for the progress."""
        self.steps = self.steps_done = 0

    def advance(self) -> None:
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
        """Rows of an array with `unit` elements to a cell, over `region` or the whole
        picture: `result` gives the core of a window from the `inputs` there. A window
        that takes several `steps` calls `advance` itself after all but the last.
        """
        rows, columns = region or (slice(0, self.grid[0]), slice(0, self.grid[1]))
        bands = parts(rows, halo)
        self.steps += len(bands) * len(parts(columns, halo)) * steps

        def make(band: slice) -> Sequence[Array]:
            cores = []
            for window in windows((band, columns), self.grid, halo):
                near = (array for rows in inputs for array in rows[window.whole])
                cores.append(result(window, *near))
                self.advance()
            return [np.concatenate(cores, axis=2)]

        return Rows(bands, [unit], make)

    def pixels(self, rgb: Array, window: Window) -> Array:
        """The window of uint8 [H, W, 3], extended where the picture ends."""
        return pad(cut(rgb[None], window.whole, self.cell_px)[0], self.cell_px)[None]

    def analyze(self, rgb: Array) -> Rows:
        """Latents in image units of uint8 [H, W, 3]."""

        def result(window: Window) -> Array:
            latents = self.networks.analyze(self.pixels(rgb, window))
            return cut(latents, window.inner, self.cell_latents)

        return self.by_windows(self.cell_latents, ANALYSIS_HALO, [], result)

    @staticmethod
    def check(latents: Array, limit: int) -> None:
        """UsageError for what no file can hold, NaN among it."""
        if not np.abs(latents).max() <= limit:
            raise UsageError("a latent is too large to be coded")

    def hyper_analyze(self, latents: Rows, gain: Array) -> Rows:
        """Integer hyper-latents, as float32, of latents in image units."""

        def result(window: Window, latents: Array) -> Array:
            hyper_latents = self.networks.hyper_analyze(latents, gain)
            self.check(hyper_latents, self.networks.bundle.hyper_limit)
            return cut(hyper_latents, window.inner, 1)

        return self.by_windows(1, HYPER_HALO, [latents], result)

    def quantize(
        self,
        latents: Rows,
        hyper_latents: Rows,
        table_index: Rows,
        rounding: Array,
        vectors: dict[str, Array],
    ) -> Rows:
        """Residuals int16 of latents in image units; `rounding` float32 [256] by table
        index, see `Networks.quantize`. UsageError for a residual no file can hold.
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
        return self.by_windows(self.cell_latents, MEAN_HALO, inputs, result)

    def latents(self, symbols: Sequence[Array], vectors: dict[str, Array]) -> Array:
        """Decoded latents, in steps, of a window's (hyper-latents, residuals)."""
        hyper_latents, residuals = (part.astype(np.float32) for part in symbols)
        gains = vectors["gain"], vectors["inverse_gain"]
        return self.networks.reconstruct(residuals, hyper_latents, *gains)

    def reconstruct(self, symbols: Rows, vectors: dict[str, Array]) -> Rows:
        """Decoded latents in image units of the whole picture, from integer `symbols`
        (hyper-latents, residuals).
        """

        def result(window: Window, *symbols: Array) -> Array:
            latents = self.latents(symbols, vectors) * vectors["inverse_gain"]
            return cut(latents, window.inner, self.cell_latents)

        return self.by_windows(self.cell_latents, MEAN_HALO, [symbols], result)

    def synthesize(
        self, symbols: Rows, vectors: dict[str, Array], region: Spans, output: Output
    ) -> Rows:
        """The pixels of an `output`, uint8, of the cells in `region`, from integer
        `symbols` (hyper-latents, residuals).
        """

        def result(window: Window, *symbols: Array) -> Array:
            latents = self.latents(symbols, vectors)
            # The means are right here; what lies beyond is their halo.
            near = widened(window.core, self.grid, output.halo)
            inside = cut(latents, relative(near, window.whole), self.cell_latents)
            part = output.make(inside, vectors)
            return cut(part, relative(window.core, near), output.cell_px)

        halo = MEAN_HALO + output.halo
        return self.by_windows(output.cell_px, halo, [symbols], result, region)
