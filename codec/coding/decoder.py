"""File -> picture.

file -> payloads -> hyper-latents -> integer scale network -> table index -> residuals
hyper-latents, residuals -> mean and context -> latents = mean + residuals
latents -> synthesis, or another output -> picture
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codec.coding.symbols import symbol_rows
from codec.coding.tiles import Region, all_cells, cells_of, grid_of
from codec.file.container import Container
from codec.networks.outputs import Output
from codec.networks.runtime import Networks
from codec.networks.windowed import WindowedNetworks
from codec.networks.windows import widened
from codec.progress import Progress, untold


def decode_colors(
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
    `damage` is as for `symbol_rows`.
    """
    bundle = networks.bundle
    stride = bundle.stride_px
    grid = grid_of(container.header, stride)
    left, top, width, height = region
    cells = cells_of(top, height, stride), cells_of(left, width, stride)
    halo = bundle.halos.mean + output.halo
    symbols = symbol_rows(container, networks, widened(cells, grid, halo), damage)
    vectors = bundle.vectors(container.header.quality_code)
    windowed = WindowedNetworks(networks, grid, progress)
    image = windowed.synthesize(symbols, vectors, cells, output)
    left, top, width, height = (output.sides(n, stride) for n in region)
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
    rows, columns = all_cells(container.header, bundle.stride_px)
    symbols = symbol_rows(container, networks, (rows, columns))
    windowed = WindowedNetworks(networks, (rows.stop, columns.stop), progress)
    vectors = bundle.vectors(container.header.quality_code)
    latents = windowed.reconstruct(symbols, vectors)
    for band in latents.bands:
        (part,) = latents[band, columns]
        latents.forget(band.stop)
        symbols.forget(band.stop - bundle.halos.mean)
        yield part
