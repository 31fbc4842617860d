"""Picture -> file and back: the whole data path, encoder and decoder under each other.

encode  picture -> analysis -> y -> hyper-analysis -> z -> round
        z -> integer scale network -> table index
        y, z -> mean and context -> r = round(y - mean)
        z, r, table index -> payloads -> file
decode  file -> payloads -> z -> integer scale network -> table index -> r
        r, z -> mean and context -> y_hat -> synthesis -> picture
"""

import dataclasses
import itertools
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codec.entropy.coder import SymbolDecoder, encode_symbols
from codec.entropy.tables import RESIDUAL_LIMIT
from codec.errors import FormatError, UsageError
from codec.file.chunks import (
    ALPHA_CHUNK,
    GRAY_CHUNK,
    METADATA_CHUNKS,
    METADATA_MAX_BYTES,
    METADATA_NAMES,
    inflate,
)
from codec.file.container import Container, pack
from codec.file.header import DIGEST_BYTES, Header
from codec.limits import check_field
from codec.networks.bundle import Bundle
from codec.networks.quantization import RATE_SHARE, rounding_by_table
from codec.networks.refinement import Refinement, refine
from codec.networks.runtime import Networks
from codec.networks.windows import (
    DECODER_HALO,
    MEAN_HALO,
    Output,
    Rows,
    Spans,
    WindowedNetworks,
    cut,
    overlap,
    widened,
)
from codec.picture.alpha import pack_alpha, unpack_alpha
from codec.picture.metadata import INFO_KEYS, info_value
from codec.picture.padding import padded_size
from codec.picture.reading import Picture
from codec.progress import Progress, untold

TILE_LOG2 = 10
Region = tuple[int, int, int, int]  # left, top, width, height, in pixels
Array = NDArray[Any]


def tile_spans(header: Header) -> tuple[list[slice], list[slice]]:
    """Rows and columns of pixels of the rows and columns of tiles."""
    rows, columns = (
        [
            slice(start, min(start + header.tile_px, size))
            for start in range(0, size, header.tile_px)
        ]
        for size in (header.height, header.width)
    )
    return rows, columns


def tile_cells(header: Header, bundle: Bundle) -> tuple[list[slice], list[slice]]:
    """Rows and columns of cells of the rows and columns of tiles."""
    rows, columns = (
        [cells_of(span.start, span.stop - span.start, bundle) for span in spans]
        for spans in tile_spans(header)
    )
    return rows, columns


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
    """Files of one picture at any quality.

    Latents get a `refinement` if any.
    With `keep_latents` a picture is analyzed once for all its files, and takes memory
    for all its latents.
    """

    def __init__(
        self,
        picture: Picture,
        networks: Networks,
        refinement: Refinement | None,
        keep_latents: bool,
        progress: Progress = untold,
    ) -> None:
        self.picture, self.bundle = picture, networks.bundle
        self.refinement = refinement
        self.keep_latents = keep_latents
        height, width = picture.rgb.shape[:2]
        self.header = Header(
            self.bundle.model_id,
            self.bundle.digest[:DIGEST_BYTES],
            0,
            TILE_LOG2,
            width,
            height,
        )
        self.networks = WindowedNetworks(
            networks, grid_of(self.header, self.bundle), progress
        )
        self.latents = self.networks.analyze(picture.rgb)
        self.chunks = extra_chunks(picture)

    def file(self, code: int, rate_share: float = RATE_SHARE) -> bytes:
        """The file of a quality code; `rate_share`, that of `rounding_by_table`, has no
        effect with refinement.
        """
        bundle = self.bundle
        if self.networks.steps_done:  # this is not the first file
            self.networks.restart()
        tables = bundle.residual_tables, bundle.skip_below
        header = dataclasses.replace(self.header, quality_code=code)
        rows, columns = tile_cells(header, bundle)
        vectors = bundle.vectors(code)
        latents = self.latents
        hyper_latents = self.networks.hyper_analyze(latents, vectors["gain"])
        table_index = self.table_index(hyper_latents, header)
        used = [hyper_latents, table_index]
        if not self.keep_latents:
            used.append(latents)
        rounding = rounding_by_table(*tables, rate_share)
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
            used.append(latents)
            rounding = rounding_by_table(*tables, 0)
        residuals = self.networks.quantize(
            latents, hyper_latents, table_index, rounding, vectors
        )
        used.append(residuals)
        payloads = []
        for row in rows:
            for column in columns:
                tile = (
                    part
                    for stage in (hyper_latents, table_index, residuals)
                    for part in stage[row, column]
                )
                payloads.append(self.payload(code, *tile))
            for stage in used:
                stage.forget(row.stop - DECODER_HALO)
        return pack(header, payloads, self.chunks)

    def table_index(self, hyper_latents: Rows, header: Header) -> Rows:
        """Table index of every residual; tiles know nothing of each other."""
        rows, columns = tile_cells(header, self.bundle)
        offset = self.bundle.index_offset(header.quality_code)

        def make(band: slice) -> list[NDArray[np.uint8]]:
            network = self.networks.networks.table_index
            tiles = [
                network(part, offset)
                for column in columns
                for part in hyper_latents[band, column]
            ]
            return [np.concatenate(tiles, axis=2)]

        return Rows(rows, [self.networks.cell_latents], make)

    def payload(
        self,
        code: int,
        hyper_latents: NDArray[np.float32],
        table_index: NDArray[np.uint8],
        residuals: NDArray[np.int16],
    ) -> bytes:
        """The symbols of a tile, coded."""
        mask = table_index >= self.bundle.skip_below
        hyper_part = (
            hyper_latents.astype(np.int32).ravel(),
            channel_index(hyper_latents),
            self.bundle.hyper_tables_of(code),
        )
        residual_part = (
            residuals[mask].astype(np.int32),
            table_index[mask],
            self.bundle.residual_tables,
        )
        return encode_symbols([hyper_part, residual_part])


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
    networks: Networks,
    region: Region,
    output: Output,
    mode: str,
    damage: dict[int, str] | None = None,
    progress: Progress = untold,
) -> Image.Image:
    """`decode_bands` as one picture of mode RGB or L."""
    stride = networks.bundle.stride_px
    size = [output.sides(side, stride) for side in region[2:]]
    image, top = Image.new(mode, size), 0
    for band in decode_bands(container, networks, region, output, damage, progress):
        image.paste(Image.fromarray(band), (0, top))
        top += len(band)
    return image


def decode_bands(
    container: Container,
    networks: Networks,
    region: Region,
    output: Output,
    damage: dict[int, str] | None = None,
    progress: Progress = untold,
) -> Iterator[NDArray[np.uint8]]:
    """A region of the picture as an `output` makes it, colors [rows, W, 3] from top to
    bottom, from the tiles around it; of a smaller output, the whole picture only.

    FormatError names a damaged tile, unless `damage` is given: then it is zeros, and
    noted there by its number in raster order.
    """
    bundle = networks.bundle
    grid = grid_of(container.header, bundle)
    left, top, width, height = region
    cells = cells_of(top, height, bundle), cells_of(left, width, bundle)
    halo = MEAN_HALO + output.halo
    symbols = symbol_rows(container, networks, widened(cells, grid, halo), damage)
    vectors = bundle.vectors(container.header.quality_code)
    windowed = WindowedNetworks(networks, grid, progress)
    image = windowed.synthesize(symbols, vectors, cells, output)
    left, top, width, height = (output.sides(n, bundle.stride_px) for n in region)
    first_column = left - cells[1].start * output.cell_px
    all_columns = slice(0, cells[1].stop - cells[1].start)

    def colors(band: slice) -> NDArray[np.uint8]:
        (rows,) = image[band, all_columns]
        image.forget(band.stop)
        symbols.forget(band.stop - halo)
        start = band.start * output.cell_px - top
        columns = slice(first_column, first_column + width)
        return rows[0, max(0, -start) : height - start, columns]

    return map(colors, image.bands)


def decode_latents(
    container: Container, networks: Networks, progress: Progress = untold
) -> Iterator[NDArray[np.float32]]:
    """Latents in image units, [1, rows, W/16, C] from top to bottom, of the picture
    extended to whole cells. FormatError names a damaged tile.
    """
    bundle = networks.bundle
    rows, columns = (slice(0, size) for size in grid_of(container.header, bundle))
    symbols = symbol_rows(container, networks, (rows, columns))
    windowed = WindowedNetworks(networks, (rows.stop, columns.stop), progress)
    vectors = bundle.vectors(container.header.quality_code)
    latents = windowed.reconstruct(symbols, vectors)
    for band in latents.bands:
        (part,) = latents[band, columns]
        latents.forget(band.stop)
        symbols.forget(band.stop - MEAN_HALO)
        yield part


def whole(container: Container) -> Region:
    """All of the picture."""
    return 0, 0, container.header.width, container.header.height


def cells_of(start_px: int, size_px: int, bundle: Bundle) -> slice:
    """The cells that pixels from `start_px` on lie in, along one side."""
    stride = bundle.stride_px
    return slice(start_px // stride, padded_size(start_px + size_px, stride) // stride)


def symbol_rows(
    container: Container,
    networks: Networks,
    cells: Spans,
    damage: dict[int, str] | None = None,
) -> Rows:
    """(hyper-latents int32 [1, H/64, W/64, K], residuals int16 [1, H/16, W/16, C]): the
    same integers on every machine. Tiles outside `cells` stay zero. Of large pictures,
    tiles are decoded while networks work on those above.
    """
    header, bundle = container.header, networks.bundle
    rows, columns = tile_cells(header, bundle)
    numbers = {
        (row.start, column.start): number
        for number, (row, column) in enumerate(itertools.product(rows, columns))
        if overlap(row, cells[0]) and overlap(column, cells[1])
    }
    payloads = {}  # all checked before any allocation
    for number in numbers.values():
        try:
            payloads[number] = container.payload(number)
        except FormatError as error:
            note(damage, number, error)
    unit = bundle.stride_px // bundle.latent_px

    def make(row: slice) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
        height, width = row.stop - row.start, columns[-1].stop
        hyper_latents = np.zeros((1, height, width, bundle.hyper_channels), np.int32)
        shape = 1, height * unit, width * unit, bundle.latent_channels
        residuals = np.zeros(shape, np.int16)
        for column in columns:
            number = numbers.get((row.start, column.start))
            if number not in payloads:
                continue
            here = slice(0, height), column
            tile = cut(hyper_latents, here, 1), cut(residuals, here, unit)
            try:
                decode_tile(payloads[number], header.quality_code, *tile, networks)
            except FormatError as error:
                for part in tile:
                    part[...] = 0
                what = f"tile {number + 1} of {header.tile_count} is damaged"
                note(damage, number, FormatError(f"{what}: {error}"))
        return hyper_latents, residuals

    return Rows(rows, [1, unit], make, ThreadPoolExecutor(1))


def tile_symbols(
    container: Container, networks: Networks
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint8]]]:
    """(hyper-latents [1, h, w, K], coded residuals [n], their table index [n]) of the
    tiles in raster order.
    """
    header, bundle = container.header, networks.bundle
    hyper_latents, residuals = decode_symbols(container, networks)
    unit = bundle.stride_px // bundle.latent_px
    offset = bundle.index_offset(header.quality_code)
    for tile in itertools.product(*tile_cells(header, bundle)):
        hyper, residual = cut(hyper_latents, tile, 1), cut(residuals, tile, unit)
        index = networks.table_index(hyper.astype(np.float32), offset)
        mask = index >= bundle.skip_below
        yield hyper, residual[mask].astype(np.int32), index[mask]


def decode_symbols(
    container: Container, networks: Networks
) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
    """All of `symbol_rows` at once."""
    rows, columns = (slice(0, n) for n in grid_of(container.header, networks.bundle))
    spans = rows, columns
    hyper_latents, residuals = symbol_rows(container, networks, spans)[spans]
    return hyper_latents, residuals


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


def add_extras(
    image: Image.Image,
    container: Container,
    region: Region,
    faults: list[str] | None = None,
    factor: int = 1,
) -> None:
    """Give the decoded colors of `region`, `factor` times smaller or enlarged, all else
    that is in the file: alpha, and metadata in `info`.

    FormatError for damage, unless `faults` is given: then what is damaged is left out,
    and noted there.
    """
    header = container.header
    left, top, width, height = region

    def add(number: int, chunk_id: int) -> None:
        payload = container.payload(number)
        if chunk_id == ALPHA_CHUNK:
            alpha = unpack_alpha(payload, header.width, header.height)
            plane = Image.fromarray(alpha[top : top + height, left : left + width])
            image.putalpha(plane.reduce(factor).resize(image.size))
        elif chunk_id in METADATA_NAMES:
            name = METADATA_NAMES[chunk_id]
            image.info[INFO_KEYS[name]] = info_value(name, inflate(payload, name))
        elif chunk_id == GRAY_CHUNK and payload:
            raise FormatError("chunk of a gray picture is not empty")

    for number in range(header.tile_count, len(container.spans)):
        try:
            add(number, container.spans[number][0])
        except FormatError as error:
            if faults is None:
                raise
            faults.append(f"{error}; left out")
