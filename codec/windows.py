"""The float networks over pictures of any size, through overlapping windows.

Beyond the latents and symbols of the whole picture, memory is that of one window. A
window's halo covers the receptive field of what runs in it, so the results are those of
the whole picture; zeros beyond a border are put only where the picture ends. Spans
count in *cells* of 64 x 64 pixels, one hyper-latent each.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codec.entropy.tables import RESIDUAL_LIMIT
from codec.errors import UsageError
from codec.image import pad
from codec.progress import Progress, tracked, untold
from codec.runtime import Networks

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


class WindowedNetworks:
    """The transforms of a bundle over one picture of `grid` rows and columns of cells.

    Arrays have the shapes of `Networks`, for the whole picture; `vectors` are those of
    a quality, from `Bundle.vectors`.
    """

    def __init__(
        self,
        networks: Networks,
        grid: tuple[int, int],
        progress: Progress = untold,
    ) -> None:
        self.networks, self.grid, self.progress = networks, grid, progress
        bundle = networks.bundle
        self.cell_px = bundle.stride_px
        self.cell_latents = bundle.stride_px // bundle.latent_px
        self.latents_of_cells = self.cell_latents, bundle.latent_channels

    def fill(
        self,
        stage: str,
        shape: tuple[int, int],
        dtype: type,
        halo: int,
        result: Callable[[Window], Array],
    ) -> Array:
        """Array [1, rows, columns, channels] of the cores of `result` for every window;
        `shape` is (elements to a cell, channels).
        """
        (rows, columns), (unit, channels) = self.grid, shape
        out: Array = np.empty((1, rows * unit, columns * unit, channels), dtype)
        region = slice(0, rows), slice(0, columns)
        for window in self.windows(stage, region, halo):
            cut(out, window.core, unit)[...] = cut(result(window), window.inner, unit)
        return out

    def windows(self, stage: str, region: Spans, halo: int) -> Iterator[Window]:
        """Windows over `region`, with the progress told."""
        return tracked(windows(region, self.grid, halo), stage, self.progress)

    def pixels(self, rgb: Array, window: Window) -> Array:
        """The window of uint8 [H, W, 3], extended where the picture ends."""
        return pad(cut(rgb[None], window.whole, self.cell_px)[0], self.cell_px)[None]

    def analyze(self, rgb: Array) -> Array:
        """Latents in image units of uint8 [H, W, 3]."""

        def result(window: Window) -> Array:
            return self.networks.analyze(self.pixels(rgb, window))

        shape = self.latents_of_cells
        return self.fill("analysis", shape, np.float32, ANALYSIS_HALO, result)

    def hyper_analyze(self, latents: Array, gain: Array) -> Array:
        """Integer hyper-latents, as float32, of latents in image units."""

        def result(window: Window) -> Array:
            part = cut(latents, window.whole, self.cell_latents)
            return self.networks.hyper_analyze(part, gain)

        shape = 1, self.networks.bundle.hyper_channels
        return self.fill("hyper-analysis", shape, np.float32, HYPER_HALO, result)

    def quantize(
        self,
        latents: Array,
        hyper_latents: Array,
        table_index: Array,
        rounding: Array,
        vectors: dict[str, Array],
    ) -> Array:
        """Residuals int16 of latents in image units; `rounding` float32 [256] by table
        index, see `Networks.quantize`. UsageError for a residual no file can hold.
        """
        gains = vectors["gain"], vectors["inverse_gain"]

        def result(window: Window) -> Array:
            part, index = (
                cut(array, window.whole, self.cell_latents)
                for array in (latents, table_index)
            )
            hyper_part = cut(hyper_latents, window.whole, 1)
            residuals, _ = self.networks.quantize(
                part * gains[0], hyper_part, rounding[index], *gains
            )
            if np.abs(residuals).max() > RESIDUAL_LIMIT:
                raise UsageError("a latent is too large to be coded")
            return residuals

        shape = self.latents_of_cells
        return self.fill("quantization", shape, np.int16, MEAN_HALO, result)

    def synthesize(
        self,
        residuals: Array,
        hyper_latents: Array,
        vectors: dict[str, Array],
        region: Spans,
    ) -> Array:
        """Image uint8 [H, W, 3] of the cells in `region`, from integer symbols; those
        within `DECODER_HALO` of it must be there too.
        """
        inverse_gain = vectors["inverse_gain"]
        rows, columns = ((span.stop - span.start) * self.cell_px for span in region)
        image = np.empty((1, rows, columns, 3), np.uint8)
        for window in self.windows("synthesis", region, DECODER_HALO):
            latents = self.networks.reconstruct(
                cut(residuals, window.whole, self.cell_latents).astype(np.float32),
                cut(hyper_latents, window.whole, 1).astype(np.float32),
                vectors["gain"],
                inverse_gain,
            )
            # The means are right here; what lies beyond is their halo.
            near = Window(window.core, widened(window.core, self.grid, SYNTHESIS_HALO))
            part = self.networks.synthesize(
                cut(latents, relative(near.whole, window.whole), self.cell_latents),
                inverse_gain,
                vectors["block_scale"],
            )
            cut(image, relative(window.core, region), self.cell_px)[...] = cut(
                part, near.inner, self.cell_px
            )
        return image[0]
