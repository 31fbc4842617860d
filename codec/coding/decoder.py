"""File -> picture.

file -> payloads -> hyper-latents -> integer scale network -> table index -> residuals
hyper-latents, residuals -> mean and context -> latents = mean + residuals
latents -> synthesis, or another output -> picture
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codec.coding.extras import add_extras
from codec.coding.layers import Layer
from codec.coding.symbols import symbol_rows
from codec.coding.tiles import (
    STRIP_PX,
    all_cells,
    cells_of,
    cells_of_tiles,
    grid_of,
    whole,
)
from codec.errors import FormatError, UsageError
from codec.file.chunks import GRAY_CHUNK, NEUTRAL_CHUNK
from codec.file.container import Container
from codec.file.header import DIGEST_BYTES, Header
from codec.limits import check_size
from codec.networks.bundle import EXACT, Bundle
from codec.networks.heads import COLORIZE, head_of
from codec.networks.outputs import Output, preview_of, synthesis_of
from codec.networks.runtime import Networks
from codec.networks.shipped import load_bundle
from codec.networks.windowed import WindowedNetworks
from codec.networks.windows import widened
from codec.options import AUTO, DecodeOptions, Region
from codec.picture.metadata import INFO_KEYS
from codec.progress import Progress, no_progress

PASTED_PX = 256  # rows of pixels that become a part of the picture at once


def decode_picture(
    container: Container,
    networks: Networks,
    options: DecodeOptions,
    progress: Progress = no_progress,
) -> Image.Image:
    """The picture as the options ask for it, with alpha, and metadata in its `info`."""
    region = whole(container.header)
    if options.region is not None:
        region = region_within(container.header, options.region)
    output = wanted_output(networks, options)
    stride = networks.bundle.stride_px
    width, height = (output.sides(side, stride) for side in region[2:])
    check_size(width, height, options.max_pixels, FormatError)  # it may be enlarged
    made_up = options.head == COLORIZE
    if made_up and not is_gray(container):
        raise UsageError("the picture has colors already")
    image = decode_colors(
        container, networks, region, output, None, progress, made_up=made_up
    )
    factor = round(1 / options.scale)
    if factor > 1:
        image = image.reduce(factor // networks.bundle.preview_factor)
    add_extras(image, container, region, factor=factor)
    if made_up and container.has(GRAY_CHUNK):
        image.info.pop(INFO_KEYS["icc"], None)  # of gray samples
    return image


def networks_of(container: Container, options: DecodeOptions) -> Networks:
    """The networks that a file was made for; FormatError if they are not there."""
    bundle = options.bundle or load_bundle(container.header.model_id)
    check_bundle(container.header, bundle)
    precision = EXACT if options.head else options.precision
    synthesis = None if precision == AUTO else precision
    return Networks(bundle, options.threads, synthesis=synthesis)


def check_bundle(header: Header, bundle: Bundle) -> None:
    """FormatError if a file was made with another bundle."""
    expected, found = header.bundle_digest, bundle.digest[:DIGEST_BYTES]
    if expected != found:
        raise FormatError(
            f"file was made with another model {header.model_id}, perhaps an adapted "
            f"one, whose .aecm file --model names (bundle {expected.hex()}, here "
            f"{found.hex()})"
        )


def wanted_output(networks: Networks, options: DecodeOptions) -> Output:
    """What makes the pixels. UsageError if the model has no such head."""
    if options.head is not None:
        return head_of(networks, options.head)
    return synthesis_of(networks) if options.scale == 1 else preview_of(networks)


def is_gray(container: Container) -> bool:
    """Whether the picture is, of one channel or of three."""
    return container.has(GRAY_CHUNK) or container.has(NEUTRAL_CHUNK)


def region_within(header: Header, region: Region) -> Region:
    """The region; UsageError if it is empty or not within the picture."""
    left, top, width, height = region
    if (
        min(left, top) < 0
        or min(width, height) < 1
        or left + width > header.width
        or top + height > header.height
    ):
        raise UsageError(
            f"region {left},{top},{width},{height} is empty or not within the picture "
            f"of {header.width} x {header.height} pixels"
        )
    return left, top, width, height


def decode_colors(
    container: Container,
    networks: Networks,
    region: Region,
    output: Output,
    damage: dict[int, str] | None = None,
    progress: Progress = no_progress,
    made_up: bool = False,
) -> Image.Image:
    """`decode_bands` as one picture of mode RGB or L. A gray picture is gray, unless
    its colors are made up.
    """
    gray = is_gray(container) and not made_up
    mode = "L" if gray and container.has(GRAY_CHUNK) else "RGB"
    stride = networks.bundle.stride_px
    image = Image.new(mode, [output.sides(side, stride) for side in region[2:]])
    parts = strips(region)
    for number, part in enumerate(parts):

        def told(share: float, number: int = number) -> None:
            progress((number + share) / len(parts))

        left, top = output.sides(part[0] - region[0], stride), 0
        for band in decode_bands(container, networks, part, output, damage, told):
            for start in range(0, len(band), PASTED_PX):  # Pillow copies them twice
                colors = Image.fromarray(band[start : start + PASTED_PX])
                image.paste(colors.convert("L") if gray else colors, (left, top))
                top += colors.height
    return image


def strips(region: Region) -> list[Region]:
    """The region from left to right, in parts that are not too wide."""
    left, top, width, height = region
    return [
        (left + start, top, min(STRIP_PX, width - start), height)
        for start in range(0, width, STRIP_PX)
    ]


def decode_bands(
    container: Container,
    networks: Networks,
    region: Region,
    output: Output,
    damage: dict[int, str] | None = None,
    progress: Progress = no_progress,
) -> Iterator[NDArray[np.uint8]]:
    """A region of the picture as `output` makes it: colors [rows, W, 3] from top to
    bottom. Only the tiles around the region are decoded. Of a smaller output, the
    region is the whole picture. `damage` is as for `symbol_rows`.
    """
    layer = Layer(container, region, damage)
    stride = networks.bundle.stride_px
    factor = stride // output.cell_px
    if layer.covers and factor:
        return layer.over(layer.blank(factor, progress), factor)
    idle = cells_of_tiles(container.header, stride, layer.whole)
    bands = network_bands(container, networks, region, output, idle, damage, progress)
    return layer.over(bands, factor) if layer.tiles else bands


def network_bands(
    container: Container,
    networks: Networks,
    region: Region,
    output: Output,
    idle: NDArray[np.bool_],
    damage: dict[int, str] | None,
    progress: Progress,
) -> Iterator[NDArray[np.uint8]]:
    """As `decode_bands`, without the layer, which covers the `idle` cells."""
    bundle = networks.bundle
    stride = bundle.stride_px
    grid = grid_of(container.header, stride)
    left, top, width, height = region
    cells = cells_of(top, height, stride), cells_of(left, width, stride)
    halo = bundle.halos.mean + output.halo
    symbols = symbol_rows(container, networks, widened(cells, grid, halo), damage)
    vectors = bundle.vectors(container.header.quality_code)
    windowed = WindowedNetworks(networks, grid, progress, idle)
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
    container: Container, networks: Networks, progress: Progress = no_progress
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
