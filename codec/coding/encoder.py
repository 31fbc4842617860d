"""Picture -> file, at one quality.

picture -> analysis -> latents -> hyper-analysis -> hyper-latents, integers
hyper-latents -> integer scale network -> table index
latents, hyper-latents -> mean and context -> residuals = round(latents - mean)
hyper-latents, residuals, table index -> payloads -> file
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from codec.coding.extras import extra_chunks
from codec.coding.symbols import encode_tile
from codec.coding.tiles import grid_of, tile_cells
from codec.file.container import pack
from codec.file.header import DIGEST_BYTES, Header
from codec.networks.quantization import RATE_SHARE, rounding_by_table
from codec.networks.refinement import Refinement, refine
from codec.networks.rows import Rows
from codec.networks.runtime import Networks
from codec.networks.windowed import WindowedNetworks
from codec.picture.reading import Picture
from codec.progress import Progress, no_progress

TILE_LOG2 = 10


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
    ) -> None:
        self.picture, self.bundle = picture, networks.bundle
        self.refinement, self.keep_latents = refinement, keep_latents
        height, width = picture.rgb.shape[:2]
        digest = self.bundle.digest[:DIGEST_BYTES]
        self.header = Header(self.bundle.model_id, digest, 0, TILE_LOG2, width, height)
        grid = grid_of(self.header, self.bundle.stride_px)
        self.networks = WindowedNetworks(networks, grid, progress)
        self.latents = self.networks.analyze(picture.rgb)
        self.chunks = extra_chunks(picture)

    def file(self, code: int, rate_share: float = RATE_SHARE) -> bytes:
        """The file of a quality code.

        `rate_share`, that of `rounding_by_table`, has no effect with refinement.
        """
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
        header = replace(self.header, quality_code=code)
        return pack(header, self.payloads(code, symbols, temporary), self.chunks)

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
            self.picture.rgb,
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
        payloads = []
        for row in rows:
            for column in columns:
                tile = (part for stage in symbols for part in stage[row, column])
                payloads.append(encode_tile(self.bundle, code, *tile))
            for stage in temporary:
                stage.forget(row.stop - self.bundle.halos.decoder)
        return payloads
