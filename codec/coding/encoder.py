"""Picture -> file, at one quality.

picture -> analysis -> latents -> hyper-analysis -> hyper-latents, integers
hyper-latents -> integer scale network -> table index
latents, hyper-latents -> mean and context -> residuals = round(latents - mean)
hyper-latents, residuals, table index -> payloads -> file
"""

import itertools
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from codec.coding.extras import extra_chunks
from codec.coding.layering import Layering
from codec.coding.symbols import encode_tile
from codec.coding.tiles import grid_of, tile_cells
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


def header_of(picture: Picture, bundle: Bundle) -> Header:
    """The header of a picture's file, but for the quality."""
    height, width = picture.rgb.shape[:2]
    digest = bundle.digest[:DIGEST_BYTES]
    return Header(bundle.model_id, digest, 0, TILE_LOG2, width, height)


class Encoder:
    """Makes files of one picture, at any quality.

    Latents are refined if there is a `refinement`. With `keep_latents` the picture is
    analyzed once for all files, and all its latents are in memory. Where there is a
    `layering`, networks have what it does not cover.
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
        self.picture, self.bundle = picture, networks.bundle
        self.layering = layering
        self.refinement, self.keep_latents = refinement, keep_latents
        self.header = header_of(picture, self.bundle)
        grid = grid_of(self.header, self.bundle.stride_px)
        self.networks = WindowedNetworks(networks, grid, progress, self.idle(grid))
        self.rgb = layering.beneath() if layering else picture.rgb
        self.latents = self.networks.analyze(self.rgb)
        self.chunks = extra_chunks(picture)
        self.files: dict[tuple[int, float], bytes] = {}

    @property
    def covered(self) -> Collection[int]:
        """Numbers of the tiles that a layer covers."""
        return self.layering.whole if self.layering else ()

    def idle(self, grid: tuple[int, int]) -> NDArray[np.bool_]:
        """The cells of those tiles, [rows, columns]."""
        idle = np.zeros(grid, bool)
        cells = itertools.product(*tile_cells(self.header, self.bundle.stride_px))
        for number, place in enumerate(cells):
            idle[place] = number in self.covered
        return idle

    def file(self, code: int, rate_share: float = RATE_SHARE) -> bytes:
        """The file of a quality code.

        `rate_share`, that of `rounding_by_table`, has no effect with refinement.
        """
        key = code, rate_share
        if key not in self.files:
            tiles = self.layered(code, self.tiles(code, rate_share))
            header = replace(self.header, quality_code=code)
            self.files[key] = pack(header, tiles, self.chunks)
        return self.files[key]

    def layered(self, code: int, tiles: Sequence[bytes]) -> list[bytes | LayerTile]:
        """The payloads of tiles, with the layers of those that have one."""
        error_bits = self.bundle.bits_per_error(code)
        layer = self.layering.coded(code, error_bits) if self.layering else {}
        return [
            replace(layer[n], network=tile) if n in layer else tile
            for n, tile in enumerate(tiles)
        ]

    def tiles(self, code: int, rate_share: float) -> list[bytes]:
        """What the networks make of every tile."""
        if len(self.covered) == self.header.tile_count:
            return [b""] * self.header.tile_count
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
        return self.payloads(code, symbols, temporary)

    def table_index(self, hyper_latents: Rows, code: int) -> Rows:
        """Table index of every residual, tile by tile: tiles do not depend on each
        other.
        """
        networks = self.networks.networks
        rows, columns = tile_cells(self.header, self.bundle.stride_px)
        offset = self.bundle.index_offset(code)

        def make(band: slice) -> list[NDArray[np.uint8]]:
            tiles = [
                networks.table_index(part, offset)
                for column in columns
                for part in hyper_latents[band, column]
            ]
            return [np.concatenate(tiles, axis=2)]

        return Rows(rows, [self.bundle.latents_per_cell], make)

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

    def payloads(
        self, code: int, symbols: Sequence[Rows], temporary: Sequence[Rows]
    ) -> list[bytes]:
        """Payloads of the tiles in raster order. Rows of `temporary` are dropped as
        soon as no tile needs them.
        """
        rows, columns = tile_cells(self.header, self.bundle.stride_px)
        payloads: list[bytes] = []
        for row in rows:
            for column in columns:
                tile = (part for stage in symbols for part in stage[row, column])
                covered = len(payloads) in self.covered
                payloads.append(
                    b"" if covered else encode_tile(self.bundle, code, *tile)
                )
            for stage in temporary:
                stage.forget(row.stop - self.bundle.halos.decoder)
        return payloads
