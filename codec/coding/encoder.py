"""Picture -> file, at one quality.

picture -> analysis -> latents -> hyper-analysis -> hyper-latents, integers
hyper-latents -> integer scale network -> table index
latents, hyper-latents -> mean and context -> residuals = round(latents - mean)
hyper-latents, residuals, table index -> payloads -> file
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from codec.coding.extras import extra_chunks
from codec.coding.layering import Layering
from codec.coding.symbols import encode_tile
from codec.coding.tiles import STRIP_PX, cells_of, cells_of_tiles, grid_of, tile_cells
from codec.file.container import pack
from codec.file.header import DIGEST_BYTES, Header
from codec.file.layer import LayerTile
from codec.networks.bundle import Bundle
from codec.networks.quantization import RATE_SHARE, rounding_by_table
from codec.networks.refinement import Refinement, refine
from codec.networks.rows import Rows
from codec.networks.runtime import Networks
from codec.networks.windowed import WindowedNetworks
from codec.picture.reading import Picture
from codec.progress import Progress, no_progress

TILE_LOG2 = 10
# What a strip has on both sides besides its own: the table index of a tile depends on
# all of the tile, and the mean on the index of the tile beside it.
MARGIN_PX = 2 << TILE_LOG2


def header_of(picture: Picture, bundle: Bundle) -> Header:
    """The header of a picture's file, but for the quality."""
    height, width = picture.rgb.shape[:2]
    digest = bundle.digest[:DIGEST_BYTES]
    return Header(bundle.model_id, digest, 0, TILE_LOG2, width, height)


class Encoder:
    """Makes files of one picture, at any quality.

    Latents are refined if there is a `refinement`. With `keep_latents` the picture is
    analyzed once for all files, and all its latents are in memory.
    """

    def __init__(
        self,
        picture: Picture,
        networks: Networks,
        refinement: Refinement | None,
        keep_latents: bool,
        progress: Progress = no_progress,
        layering: Layering | None = None,
    ) -> None:
        self.picture, self.networks, self.refinement = picture, networks, refinement
        self.progress = progress
        self.layering, self.files = layering, dict[tuple[int, float], bytes]()
        self.header = header_of(picture, networks.bundle)
        self.chunks = extra_chunks(picture)
        beneath = layering.beneath() if layering else picture.rgb
        stride_px = networks.bundle.stride_px
        idle = cells_of_tiles(self.header, stride_px, self.covered)
        width = self.header.width
        # Refined latents depend on what is refined with them, so that is all at once.
        starts = [0] if refinement else range(0, width, STRIP_PX)

        def strip(number: int, start: int) -> Strip:
            def told(share: float) -> None:
                progress((number + share) / len(starts))

            stop = width if refinement else min(start + STRIP_PX, width)
            near = slice(max(0, start - MARGIN_PX), min(stop + MARGIN_PX, width))
            header = replace(self.header, width=near.stop - near.start)
            inner = slice(start - near.start, stop - near.start)
            cells = idle[:, cells_of(near.start, near.stop - near.start, stride_px)]
            return Strip(
                *(beneath[:, near], cells, header, inner, networks),
                *(refinement, keep_latents, told),
            )

        self.strips = [strip(*item) for item in enumerate(starts)]

    def without_refinement(self) -> "Encoder":
        """The same, quicker, for larger files."""
        return Encoder(self.picture, self.networks, None, True, layering=self.layering)

    @property
    def covered(self) -> Collection[int]:
        """Numbers of the tiles that a layer covers."""
        return self.layering.whole if self.layering else ()

    @property
    def is_all_covered(self) -> bool:
        """Whether there is nothing left for the networks."""
        return len(self.covered) == self.header.tile_count

    def file(self, code: int, rate_share: float = RATE_SHARE) -> bytes:
        """The file of a quality code.

        `rate_share`, that of `rounding_by_table`, has no effect with refinement.
        """
        key = code, rate_share
        if key not in self.files:
            payloads = self.payloads(code, rate_share)
            layer = self.layering.coded(code, self.progress) if self.layering else {}
            tiles: list[bytes | LayerTile] = [
                replace(layer[n], network=payload) if n in layer else payload
                for n, payload in enumerate(payloads)
            ]
            header = replace(self.header, quality_code=code)
            self.files[key] = pack(header, tiles, self.chunks)
        return self.files[key]

    def payloads(self, code: int, rate_share: float) -> list[bytes]:
        """What the networks make of every tile, nothing of those that are covered."""
        if self.is_all_covered:
            return [b""] * self.header.tile_count
        parts = [strip.payloads(code, rate_share) for strip in self.strips]
        rows = zip(*parts, strict=True)
        return [payload for row in rows for part in row for payload in part]


class Strip:
    """Makes the payloads of the `inner` columns, in pixels, of a picture that is not
    too wide; the others are as far as networks see. The `idle` cells are of tiles that
    a layer covers.
    """

    def __init__(
        self,
        rgb: NDArray[np.uint8],
        idle: NDArray[np.bool_],
        header: Header,
        inner: slice,
        networks: Networks,
        refinement: Refinement | None,
        keep_latents: bool,
        progress: Progress,
    ) -> None:
        self.rgb, self.idle, self.header, self.inner = rgb, idle, header, inner
        self.refinement, self.keep_latents = refinement, keep_latents
        self.bundle = networks.bundle
        grid = grid_of(header, self.bundle.stride_px)
        self.networks = WindowedNetworks(networks, grid, progress, idle)
        self.latents = self.networks.analyze(rgb)

    def payloads(self, code: int, rate_share: float) -> list[list[bytes]]:
        """Those of every row of tiles at a quality code, from left to right."""
        bundle, networks = self.bundle, self.networks
        if networks.steps_done:  # there was a file before
            networks.restart()
        vectors = bundle.vectors(code)
        hyper_latents = networks.hyper_analyze(self.latents, vectors["gain"])
        table_index = self.table_index(hyper_latents, code)
        latents, rounding = self.refined(code, hyper_latents, table_index, rate_share)
        residuals = networks.quantize(
            latents, hyper_latents, table_index, rounding, vectors
        )
        symbols = [hyper_latents, table_index, residuals]
        temporary = [*symbols, latents, self.latents]
        if self.keep_latents:
            temporary = [rows for rows in temporary if rows is not self.latents]
        return list(self.coded(code, symbols, temporary))

    def table_index(self, hyper_latents: Rows, code: int) -> Rows:
        """Table index of every residual, tile by tile: tiles do not depend on each
        other.
        """
        networks = self.networks.networks
        rows, columns = tile_cells(self.header, self.bundle.stride_px)
        offset = self.bundle.index_offset(code)
        unit, channels = self.bundle.latents_per_cell, self.bundle.latent_channels

        def tile(row: slice, column: slice) -> NDArray[np.uint8]:
            (part,) = hyper_latents[row, column]
            if self.idle[row.start, column.start]:  # nothing of it is coded
                height, width = (unit * side for side in part.shape[1:3])
                return np.zeros((1, height, width, channels), np.uint8)
            return networks.table_index(part, offset)

        def make(band: slice) -> list[NDArray[np.uint8]]:
            return [np.concatenate([tile(band, c) for c in columns], axis=2)]

        return Rows(rows, [unit], make)

    def refined(
        self, code: int, hyper_latents: Rows, table_index: Rows, rate_share: float
    ) -> tuple[Rows, NDArray[np.float32]]:
        """(latents, how their residuals are rounded, by table index)."""
        tables = self.bundle.residual_tables, self.bundle.skip_below
        rounding = rounding_by_table(*tables, rate_share)
        if not self.refinement:
            return self.latents, rounding
        latents = refine(
            self.networks,
            code,
            self.rgb,
            self.latents,
            hyper_latents,
            table_index,
            rounding,
            self.refinement,
        )
        return latents, rounding_by_table(*tables, 0)

    def coded(
        self, code: int, symbols: Sequence[Rows], temporary: Sequence[Rows]
    ) -> Iterator[list[bytes]]:
        """The payloads of every row of tiles. Rows of `temporary` are dropped as soon
        as no tile needs them.
        """
        rows, columns = tile_cells(self.header, self.bundle.stride_px)
        side = self.header.tile_px
        first, last = self.inner.start // side, -(-self.inner.stop // side)
        for row in rows:
            payloads = []
            for column in columns[first:last]:
                if self.idle[row.start, column.start]:
                    payloads.append(b"")
                    continue
                tile = (part for stage in symbols for part in stage[row, column])
                payloads.append(encode_tile(self.bundle, code, *tile))
            yield payloads
            needed = 0 if row is rows[-1] else self.bundle.halos.decoder
            for stage in temporary:
                stage.forget(row.stop - needed)
