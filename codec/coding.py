"""Picture -> file and back: the whole data path, encoder and decoder under each other.

encode  picture -> analysis -> y -> hyper-analysis -> z -> round
        z -> integer scale network -> table index
        y, z -> mean and context -> r = round(y - mean)
        z, r, table index -> payloads -> file
decode  file -> payloads -> z -> integer scale network -> table index -> r
        r, z -> mean and context -> y_hat -> synthesis -> picture
"""

import dataclasses
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codec.bundle import Bundle
from codec.container import (
    ALPHA_CHUNK,
    DIGEST_BYTES,
    GRAY_CHUNK,
    METADATA_CHUNKS,
    METADATA_MAX_BYTES,
    METADATA_NAMES,
    Container,
    Header,
    check_field,
    inflate,
    pack,
)
from codec.entropy.coder import SymbolDecoder, encode_symbols
from codec.entropy.tables import RESIDUAL_LIMIT
from codec.errors import FormatError, UsageError
from codec.image import Picture, pack_alpha, padded_size, unpack_alpha
from codec.progress import Progress, tracked, untold
from codec.quantization import rounding_by_table
from codec.refinement import refine
from codec.runtime import Networks
from codec.windows import DECODER_HALO, Spans, WindowedNetworks, widened

TILE_LOG2 = 10
Region = tuple[int, int, int, int]  # left, top, width, height, in pixels


def tile_spans(header: Header) -> list[Spans]:
    """Rows and columns of pixels of every tile, in raster order."""
    rows, columns = header.tile_grid
    side = header.tile_px
    return [
        (slice(row * side, (row + 1) * side), slice(col * side, (col + 1) * side))
        for row in range(rows)
        for col in range(columns)
    ]


@dataclass(frozen=True)
class TileCells:
    """Where a tile lies: slices of the hyper-latents and of the coded latents [1, rows,
    columns, channels].
    """

    hyper: tuple[slice, slice, slice]
    latents: tuple[slice, slice, slice]


def tile_cells(header: Header, bundle: Bundle) -> list[TileCells]:
    """The tiles in raster order, in cells of the extended picture."""

    def cells(spans: Spans, cell_px: int) -> tuple[slice, slice, slice]:
        rows, columns = (
            slice(span.start // cell_px, span.stop // cell_px) for span in spans
        )
        return slice(None), rows, columns

    return [
        TileCells(cells(spans, bundle.stride_px), cells(spans, bundle.latent_px))
        for spans in tile_spans(header)
    ]


def grid_of(header: Header, bundle: Bundle) -> tuple[int, int]:
    """Rows and columns of cells of the extended picture."""
    rows, columns = (
        padded_size(size, bundle.stride_px) // bundle.stride_px
        for size in (header.height, header.width)
    )
    return rows, columns


def channel_index(hyper_latents: NDArray[Any]) -> NDArray[np.uint8]:
    """Table of each hyper-latent: its channel. Symbols run by row, column, channel."""
    channels = np.arange(hyper_latents.shape[-1], dtype=np.uint8)
    return np.broadcast_to(channels, hyper_latents.shape).ravel()


class Encoder:
    """Files of one picture at any quality; it is analyzed once.

    `refinement` is the number of iterations, `rate_share` that of `rounding_by_table`.
    """

    def __init__(
        self,
        picture: Picture,
        bundle: Bundle,
        rate_share: float,
        refinement: int,
        progress: Progress = untold,
    ) -> None:
        self.picture, self.bundle = picture, bundle
        self.rate_share, self.refinement = rate_share, refinement
        height, width = picture.rgb.shape[:2]
        self.header = Header(
            bundle.model_id, bundle.digest[:DIGEST_BYTES], 0, TILE_LOG2, width, height
        )
        self.networks = WindowedNetworks(
            Networks(bundle), grid_of(self.header, bundle), progress
        )
        self.latents = self.networks.analyze(picture.rgb)
        self.chunks = extra_chunks(picture)

    def file(self, code: int, rate_share: float | None = None) -> bytes:
        """The file of a quality code; another `rate_share` than usual has no effect
        with refinement.
        """
        bundle = self.bundle
        header = dataclasses.replace(self.header, quality_code=code)
        vectors = bundle.vectors(code)
        hyper_latents = self.networks.hyper_analyze(self.latents, vectors["gain"])
        tiles = tile_cells(header, bundle)
        table_index = np.empty(self.latents.shape, np.uint8)
        for tile in tiles:
            table_index[tile.latents] = self.networks.networks.table_index(
                hyper_latents[tile.hyper], bundle.index_offset(code)
            )
        rounding = rounding_by_table(
            bundle.residual_tables,
            bundle.skip_below,
            self.rate_share if rate_share is None else rate_share,
        )
        latents = self.latents
        if self.refinement:
            latents = refine(
                self.networks,
                code,
                self.picture.rgb,
                latents,
                hyper_latents,
                table_index,
                rounding,
                self.refinement,
            )
            rounding = rounding_by_table(bundle.residual_tables, bundle.skip_below, 0)
        residuals = self.networks.quantize(
            latents, hyper_latents, table_index, rounding, vectors
        )
        payloads = []
        for tile in tracked(tiles, "entropy coding", self.networks.progress):
            hyper, index = hyper_latents[tile.hyper], table_index[tile.latents]
            mask = index >= bundle.skip_below
            hyper_part = (
                hyper.astype(np.int32).ravel(),
                channel_index(hyper),
                bundle.hyper_tables_of(code),
            )
            residual_part = (
                residuals[tile.latents][mask].astype(np.int32),
                index[mask],
                bundle.residual_tables,
            )
            payloads.append(encode_symbols([hyper_part, residual_part]))
        return pack(header, payloads, self.chunks)


def extra_chunks(picture: Picture) -> list[tuple[int, bytes]]:
    """All that a file holds besides the tiles; UsageError if it is too large for it."""
    chunks = [(GRAY_CHUNK, b"")] if picture.gray else []
    if picture.alpha is not None:
        chunks.append((ALPHA_CHUNK, pack_alpha(picture.alpha)))
    for name, chunk_id in METADATA_CHUNKS.items():
        value = picture.metadata.get(name)
        if value is not None:
            check_field(
                f"bytes of {name}", len(value), 0, METADATA_MAX_BYTES, UsageError
            )
            chunks.append((chunk_id, zlib.compress(value, 9)))
    return chunks


def decode_picture(
    container: Container,
    bundle: Bundle,
    region: Region,
    damage: dict[int, str] | None = None,
    progress: Progress = untold,
) -> NDArray[np.uint8]:
    """Colors uint8 [H, W, 3] of a region of the picture, from the tiles around it.

    FormatError names a damaged tile, unless `damage` is given: then it is zeros, and
    noted there by its number in raster order.
    """
    left, top, width, height = region
    grid = grid_of(container.header, bundle)
    cells = cells_of(top, height, bundle), cells_of(left, width, bundle)
    networks = Networks(bundle)
    hyper_latents, residuals = decode_symbols(
        container, networks, widened(cells, grid, DECODER_HALO), damage, progress
    )
    vectors = bundle.vectors(container.header.quality_code)
    image = WindowedNetworks(networks, grid, progress).synthesize(
        residuals, hyper_latents, vectors, cells
    )
    rows, columns = (
        slice(start - span.start * bundle.stride_px, None)
        for start, span in zip((top, left), cells, strict=True)
    )
    return image[rows, columns][:height, :width]


def whole(container: Container) -> Region:
    """All of the picture."""
    return 0, 0, container.header.width, container.header.height


def cells_of(start_px: int, size_px: int, bundle: Bundle) -> slice:
    """The cells that pixels from `start_px` on lie in, along one side."""
    stride = bundle.stride_px
    return slice(start_px // stride, padded_size(start_px + size_px, stride) // stride)


def decode_symbols(
    container: Container,
    networks: Networks,
    cells: Spans | None = None,
    damage: dict[int, str] | None = None,
    progress: Progress = untold,
) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
    """(hyper-latents [1, H/64, W/64, K], residuals [1, H/16, W/16, C]): the same
    integers on every machine. Tiles outside `cells` stay zero, and take no memory.
    """
    header, bundle = container.header, networks.bundle
    tiles = [
        (number, tile)
        for number, tile in enumerate(tile_cells(header, bundle))
        if cells is None or all(map(overlap, tile.hyper[1:], cells))
    ]
    payloads = {}  # all checked before any allocation
    for number, _ in tiles:
        try:
            payloads[number] = container.payload(number)
        except FormatError as error:
            note(damage, number, error)
    rows, columns = grid_of(header, bundle)
    hyper_latents = np.zeros((1, rows, columns, bundle.hyper_channels), np.int32)
    unit = bundle.stride_px // bundle.latent_px
    shape = 1, rows * unit, columns * unit, bundle.latent_channels
    residuals = np.zeros(shape, np.int16)
    for number, tile in tracked(tiles, "entropy decoding", progress):
        if number not in payloads:
            continue
        try:
            decode_tile(
                payloads[number],
                header.quality_code,
                hyper_latents[tile.hyper],
                residuals[tile.latents],
                networks,
            )
        except FormatError as error:
            hyper_latents[tile.hyper], residuals[tile.latents] = 0, 0
            what = f"tile {number + 1} of {header.tile_count} is damaged"
            note(damage, number, FormatError(f"{what}: {error}"))
    return hyper_latents, residuals


def overlap(one: slice, other: slice) -> bool:
    return bool(one.start < other.stop and other.start < one.stop)


def note(damage: dict[int, str] | None, number: int, error: FormatError) -> None:
    """Note what is wrong with a tile, or raise it."""
    if damage is None:
        raise error from None
    damage[number] = str(error)


def decode_tile(
    payload: bytes,
    code: int,
    hyper: NDArray[np.int32],
    residuals: NDArray[np.int16],
    networks: Networks,
) -> None:
    """Fill in the hyper-latents and the residuals of a tile."""
    bundle = networks.bundle
    decoder = SymbolDecoder(payload)
    hyper[...] = decoder.decode(
        channel_index(hyper), bundle.hyper_tables_of(code)
    ).reshape(hyper.shape)
    if np.abs(hyper).max() > bundle.hyper_limit:
        raise FormatError("hyper-latents out of range")
    index = networks.table_index(hyper.astype(np.float32), bundle.index_offset(code))
    mask = index >= bundle.skip_below
    values = decoder.decode(index[mask], bundle.residual_tables)
    if np.abs(values).max(initial=0) > RESIDUAL_LIMIT:
        raise FormatError("residuals out of range")
    residuals[mask] = values
    decoder.finish()


def read_extras(
    container: Container,
    rgb: NDArray[np.uint8],
    region: Region,
    faults: list[str] | None = None,
) -> Picture:
    """The picture of the decoded colors of `region` and all else in the file.

    FormatError for damage, unless `faults` is given: then what is damaged is left out,
    and noted there.
    """
    header = container.header
    left, top, width, height = region
    picture = Picture(rgb, gray=container.has(GRAY_CHUNK))

    def read(number: int, chunk_id: int) -> None:
        payload = container.payload(number)
        if chunk_id == ALPHA_CHUNK:
            alpha = unpack_alpha(payload, header.width, header.height)
            picture.alpha = alpha[top : top + height, left : left + width]
        elif chunk_id in METADATA_NAMES:
            name = METADATA_NAMES[chunk_id]
            picture.metadata[name] = inflate(payload, name)
        elif chunk_id == GRAY_CHUNK and payload:
            raise FormatError("chunk of a gray picture is not empty")

    for number in range(header.tile_count, len(container.spans)):
        try:
            read(number, container.spans[number][0])
        except FormatError as error:
            if faults is None:
                raise
            faults.append(f"{error}; left out")
    return picture
