"""The integers of a tile <-> its payload, and the integers of all tiles.

The integer scale network makes the table index of every residual of the hyper-latents,
so hyper-latents come first.
"""

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codec.coding.tiles import all_cells, tile_cells
from codec.entropy.coder import SymbolDecoder, encode_symbols
from codec.entropy.tables import RESIDUAL_LIMIT
from codec.errors import FormatError
from codec.file.container import Container
from codec.file.layer import LayerTile
from codec.networks.bundle import Bundle
from codec.networks.rows import Rows
from codec.networks.runtime import Networks
from codec.networks.windows import Spans, cut, overlap


def channel_index(hyper_latents: NDArray[Any]) -> NDArray[np.uint8]:
    """The table of each hyper-latent, which is its channel. Symbols are in the order of
    rows, columns, channels.
    """
    channels = np.arange(hyper_latents.shape[-1], dtype=np.uint8)
    return np.broadcast_to(channels, hyper_latents.shape).ravel()


def encode_tile(
    bundle: Bundle,
    code: int,
    hyper_latents: NDArray[np.float32],
    table_index: NDArray[np.uint8],
    residuals: NDArray[np.int16],
) -> bytes:
    """The payload of a tile; `code` is that of the quality."""
    coded = table_index >= bundle.skip_below
    hyper_part = (
        hyper_latents.astype(np.int32).ravel(),
        channel_index(hyper_latents),
        bundle.hyper_tables_of(code),
    )
    residual_part = (
        residuals[coded].astype(np.int32),
        table_index[coded],
        bundle.residual_tables,
    )
    return encode_symbols([hyper_part, residual_part])


def decode_tile(
    networks: Networks,
    code: int,
    payload: bytes,
    hyper_latents: NDArray[np.int32],
    residuals: NDArray[np.int16],
) -> None:
    """Write a tile into `hyper_latents` and `residuals`, which are zeros so far.
    FormatError if the payload is wrong.
    """
    bundle = networks.bundle
    decoder = SymbolDecoder(payload)
    hyper_latents[...] = decoder.decode(
        channel_index(hyper_latents), bundle.hyper_tables_of(code)
    ).reshape(hyper_latents.shape)
    if np.abs(hyper_latents).max() > bundle.hyper_limit:
        raise FormatError("hyper-latents out of range")
    offset = bundle.index_offset(code)
    table_index = networks.table_index(hyper_latents.astype(np.float32), offset)
    coded = table_index >= bundle.skip_below
    values = decoder.decode(table_index[coded], bundle.residual_tables)
    if np.abs(values).max(initial=0) > RESIDUAL_LIMIT:
        raise FormatError("residuals out of range")
    residuals[coded] = values
    decoder.finish()


def symbol_rows(
    container: Container,
    networks: Networks,
    cells: Spans,
    damage: dict[int, str] | None = None,
) -> Rows:
    """(hyper-latents int32 [1, H/64, W/64, K], residuals int16 [1, H/16, W/16, C], or
    int8 where they fit), the same on every machine, of the columns of tiles that
    `cells` are in. Tiles outside `cells`, and those that a layer covers, are zeros.
    Rows of tiles are decoded while networks work on the rows above.

    FormatError names a damaged tile. If `damage` is given, damaged tiles are zeros
    instead, and what is wrong is put there by their number in raster order.
    """
    header, bundle = container.header, networks.bundle
    rows, columns = tile_cells(header, bundle.stride_px)
    numbers = {
        (row.start, column.start): number
        for number, (row, column) in enumerate(itertools.product(rows, columns))
        if overlap(row, cells[0]) and overlap(column, cells[1])
    }
    rows = [row for row in rows if row.start < cells[0].stop]
    columns = [column for column in columns if overlap(column, cells[1])]
    first = columns[0].start
    payloads = {}  # all checked before any allocation
    for number in numbers.values():
        try:
            tile = container.tile(number)
        except FormatError as error:
            note(damage, number, error)
            continue
        if not isinstance(tile, LayerTile):
            payloads[number] = tile
        elif not tile.covers:
            payloads[number] = tile.network
    unit = bundle.latents_per_cell

    def make(row: slice) -> tuple[NDArray[np.int32], NDArray[Any]]:
        height, width = row.stop - row.start, columns[-1].stop - first
        hyper_latents = np.zeros((1, height, width, bundle.hyper_channels), np.int32)
        shape = 1, height * unit, width * unit, bundle.latent_channels
        residuals = np.zeros(shape, np.int16)
        for column in columns:
            number = numbers.get((row.start, column.start))
            if number not in payloads:
                continue
            here = slice(0, height), slice(column.start - first, column.stop - first)
            tile = cut(hyper_latents, here, 1), cut(residuals, here, unit)
            try:
                decode_tile(networks, header.quality_code, payloads[number], *tile)
            except FormatError as error:
                for part in tile:
                    part[...] = 0
                note(damage, number, container.damaged(number, error))
        return hyper_latents, narrowed(residuals)

    return Rows(rows, [1, unit], make, ThreadPoolExecutor(1), first)


def narrowed(residuals: NDArray[np.int16]) -> NDArray[Any]:
    """In int8 if they fit, as nearly all do: the most that decoding keeps of wide
    pictures, besides the pixels.
    """
    small = np.iinfo(np.int8)
    fit = small.min <= residuals.min() and residuals.max() <= small.max
    return residuals.astype(np.int8) if fit else residuals


def note(damage: dict[int, str] | None, number: int, error: FormatError) -> None:
    """Put what is wrong with a tile into `damage`, or raise it if that is None."""
    if damage is None:
        raise error from None
    damage[number] = str(error)


def decode_symbols(
    container: Container, networks: Networks
) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """The symbols of the whole picture, as of `symbol_rows`."""
    cells = all_cells(container.header, networks.bundle.stride_px)
    hyper_latents, residuals = symbol_rows(container, networks, cells)[cells]
    return hyper_latents, residuals


def tile_symbols(
    container: Container, networks: Networks
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint8]]]:
    """(hyper-latents [1, h, w, K], coded residuals [n], their table index [n]) of every
    tile, in raster order.
    """
    header, bundle = container.header, networks.bundle
    hyper_latents, residuals = decode_symbols(container, networks)
    offset = bundle.index_offset(header.quality_code)
    for tile in itertools.product(*tile_cells(header, bundle.stride_px)):
        hyper = cut(hyper_latents, tile, 1)
        residual = cut(residuals, tile, bundle.latents_per_cell)
        index = networks.table_index(hyper.astype(np.float32), offset)
        coded = index >= bundle.skip_below
        yield hyper, residual[coded].astype(np.int32), index[coded]
