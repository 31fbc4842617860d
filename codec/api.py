"""Image -> bytes and back: the whole data path, encode and decode under each other.

encode  image -> analysis -> y -> hyper-analysis -> z -> round
        z -> integer scale network -> table index
        y, z -> mean and context -> r = round(y - mean)
        z, r, table index -> payloads -> file
decode  file -> payloads -> z -> integer scale network -> table index -> r
        r, z -> mean and context -> y_hat -> synthesis -> image
"""

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codec.bundle import DEFAULT_MODEL_ID, Bundle, load_bundle, model_name
from codec.container import (
    DIGEST_BYTES,
    FORMAT_VERSION,
    MAX_PIXELS,
    QUALITY_CODE_MAX,
    SIDE_MAX_PX,
    Container,
    Header,
    check_field,
    check_size,
    pack,
    unpack,
)
from codec.entropy.coder import SymbolDecoder, encode_symbols
from codec.errors import FormatError, UsageError
from codec.image import pad, padded_size, to_rgb
from codec.quantization import RATE_SHARE, rounding_by_table
from codec.refinement import refine
from codec.runtime import Networks

QUALITY_MIN, QUALITY_MAX, QUALITY_DEFAULT = 1, 100, 60
EFFORT_MIN, EFFORT_MAX, EFFORT_DEFAULT = 1, 9, 4
EFFORT_OF_RDOQ = 4  # lower ones round plainly
REFINEMENTS = {7: 10, 8: 25, 9: 60}  # iterations by effort
TILE_LOG2 = 10


@dataclass(frozen=True)
class Info:
    """What a file says of itself."""

    width: int
    height: int
    quality: float
    model_id: int
    model: str
    bundle_digest: str  # first bytes of it, hex
    format_version: int
    tiles: int
    size_bytes: int

    @property
    def rate_bpp(self) -> float:
        """File size in bits per pixel."""
        return 8 * self.size_bytes / (self.width * self.height)


def quality_code(quality: float) -> int:
    """The header's integer for a quality of 1 to 100; UsageError outside."""
    if not isinstance(quality, Real):
        raise UsageError(f"quality is {quality!r}; expected a number")
    if not QUALITY_MIN <= quality <= QUALITY_MAX:
        raise UsageError(
            f"quality is {quality}; expected {QUALITY_MIN} to {QUALITY_MAX}"
        )
    return round(
        (quality - QUALITY_MIN) / (QUALITY_MAX - QUALITY_MIN) * QUALITY_CODE_MAX
    )


@dataclass(frozen=True)
class TileCells:
    """Where a tile lies: slices of the hyper-latents and of the coded latents [1, rows,
    columns, channels].
    """

    hyper: tuple[slice, slice, slice]
    latents: tuple[slice, slice, slice]


def tile_cells(header: Header, bundle: Bundle) -> list[TileCells]:
    """The tiles in raster order, in cells of the extended picture."""
    rows, columns = header.tile_grid

    def cells(row: int, column: int, cell_px: int) -> tuple[slice, slice, slice]:
        side = header.tile_px // cell_px
        top, left = row * side, column * side
        return slice(None), slice(top, top + side), slice(left, left + side)

    return [
        TileCells(
            cells(row, column, bundle.stride_px), cells(row, column, bundle.latent_px)
        )
        for row in range(rows)
        for column in range(columns)
    ]


def channel_index(hyper_latents: NDArray[Any]) -> NDArray[np.uint8]:
    """Table of each hyper-latent: its channel. Symbols run by row, column, channel."""
    channels = np.arange(hyper_latents.shape[-1], dtype=np.uint8)
    return np.broadcast_to(channels, hyper_latents.shape).ravel()


def encode(
    image: Image.Image | NDArray[np.uint8],
    *,
    quality: float = QUALITY_DEFAULT,
    effort: int = EFFORT_DEFAULT,
    max_pixels: int = MAX_PIXELS,
    bundle: Bundle | None = None,
) -> bytes:
    """The image as an .aec file.

    `image` is a Pillow image or uint8 [H, W] or [H, W, 3]; `quality` 1 to 100, larger
    is better and need not be whole; `effort` 1 (rounds plainly) to 9 (slowest, smallest
    files), see the README; `bundle` another model than the shipped one. Raises
    UsageError for anything else, and for more than `max_pixels` pixels.
    """
    code = quality_code(quality)
    if effort not in range(EFFORT_MIN, EFFORT_MAX + 1):
        raise UsageError(
            f"effort is {effort!r}; expected a whole number from "
            f"{EFFORT_MIN} to {EFFORT_MAX}"
        )
    rgb, _ = to_rgb(image)
    height, width = rgb.shape[:2]
    check_field("longest side", max(width, height), 1, SIDE_MAX_PX, UsageError)
    check_size(width, height, max_pixels, UsageError)
    bundle = bundle or load_bundle(DEFAULT_MODEL_ID)
    header = Header(
        bundle.model_id, bundle.digest[:DIGEST_BYTES], code, TILE_LOG2, width, height
    )
    networks, vectors = Networks(bundle), bundle.vectors(code)
    gain, inverse_gain = vectors["gain"], vectors["inverse_gain"]

    picture = pad(rgb, bundle.stride_px)[None]
    latents = networks.analyze(picture)
    latents, hyper_latents = networks.hyper_analyze(latents, gain)
    tiles = tile_cells(header, bundle)
    table_index = np.empty(latents.shape, np.uint8)
    for tile in tiles:
        index = networks.table_index(
            hyper_latents[tile.hyper], bundle.index_offset(code)
        )
        table_index[tile.latents] = index
    rounding = rounding_by_table(
        bundle.residual_tables,
        bundle.skip_below,
        RATE_SHARE if effort >= EFFORT_OF_RDOQ else 0,
    )
    residuals, _ = networks.quantize(
        latents, hyper_latents, rounding[table_index], gain, inverse_gain
    )
    if effort in REFINEMENTS:
        residuals = refine(
            networks,
            code,
            picture,
            latents,
            hyper_latents,
            table_index,
            residuals,
            REFINEMENTS[effort],
        )
    residuals = residuals.astype(np.int32)

    payloads = []
    for tile in tiles:
        hyper, index = hyper_latents[tile.hyper], table_index[tile.latents]
        mask = index >= bundle.skip_below
        hyper_part = (
            hyper.astype(np.int32).ravel(),
            channel_index(hyper),
            bundle.hyper_tables_of(code),
        )
        residual_part = (
            residuals[tile.latents][mask],
            index[mask],
            bundle.residual_tables,
        )
        payloads.append(encode_symbols([hyper_part, residual_part]))
    return pack(header, payloads)


def decode(
    data: bytes, *, max_pixels: int = MAX_PIXELS, bundle: Bundle | None = None
) -> Image.Image:
    """The picture in an .aec file, mode RGB.

    Raises FormatError for anything that is not a whole, undamaged file of a known
    model, or that has more than `max_pixels` pixels.
    """
    container = unpack(checked_bytes(data), max_pixels=max_pixels)
    header, bundle = container.header, bundle_of(container, bundle)
    networks, vectors = Networks(bundle), bundle.vectors(header.quality_code)
    gain, inverse_gain = vectors["gain"], vectors["inverse_gain"]
    hyper_latents, residuals = decode_symbols(container, bundle, networks)
    latents = networks.reconstruct(
        residuals.astype(np.float32),
        hyper_latents.astype(np.float32),
        gain,
        inverse_gain,
    )
    image = networks.synthesize(latents, inverse_gain, vectors["block_scale"])
    return Image.fromarray(image[0, : header.height, : header.width])


def checked_bytes(data: bytes) -> bytes:
    """`data`, or UsageError for anything but the bytes of a file, such as its name."""
    if not isinstance(data, bytes | bytearray | memoryview):
        raise UsageError(f"data is {type(data).__name__}; expected the file's bytes")
    return bytes(data)


def bundle_of(container: Container, bundle: Bundle | None = None) -> Bundle:
    """The shipped bundle that the header names, or `bundle`; FormatError if it is not
    the one of the file.
    """
    header = container.header
    bundle = bundle or load_bundle(header.model_id)
    if header.bundle_digest != bundle.digest[:DIGEST_BYTES]:
        found, expected = bundle.digest[:DIGEST_BYTES].hex(), header.bundle_digest.hex()
        raise FormatError(
            f"file was made with another model {header.model_id} "
            f"(bundle {expected}, here {found})"
        )
    return bundle


def decode_symbols(
    container: Container, bundle: Bundle, networks: Networks
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(hyper-latents [1, H/64, W/64, K], residuals [1, H/16, W/16, C]): the same
    integers on every machine.
    """
    header = container.header
    tiles = tile_cells(header, bundle)
    payloads = container.payloads()[: len(tiles)]  # all checked before any allocation
    height, width = (
        padded_size(size, bundle.stride_px) for size in (header.height, header.width)
    )
    cells = (
        1,
        height // bundle.stride_px,
        width // bundle.stride_px,
        bundle.hyper_channels,
    )
    hyper_latents = np.zeros(cells, np.int32)
    cells = (
        1,
        height // bundle.latent_px,
        width // bundle.latent_px,
        bundle.latent_channels,
    )
    residuals = np.zeros(cells, np.int32)
    for number, (tile, payload) in enumerate(zip(tiles, payloads, strict=True)):
        try:
            decoder = SymbolDecoder(payload)
            hyper = hyper_latents[tile.hyper]
            hyper[...] = decoder.decode(
                channel_index(hyper), bundle.hyper_tables_of(header.quality_code)
            ).reshape(hyper.shape)
            if np.abs(hyper).max() > bundle.hyper_limit:
                raise FormatError("hyper-latents out of range")
            index = networks.table_index(
                hyper.astype(np.float32), bundle.index_offset(header.quality_code)
            )
            mask = index >= bundle.skip_below
            residuals[tile.latents][mask] = decoder.decode(
                index[mask], bundle.residual_tables
            )
            decoder.finish()
        except FormatError as error:
            raise FormatError(
                f"tile {number + 1} of {header.tile_count} is damaged: {error}"
            ) from None
    return hyper_latents, residuals


def read_info(data: bytes) -> Info:
    """What an .aec file says of itself; decodes nothing. Raises FormatError, also for a
    file that is cut off.
    """
    container = unpack(checked_bytes(data), max_pixels=(SIDE_MAX_PX + 1) ** 2)
    if len(data) < container.size_bytes:
        raise FormatError(
            f"file is cut off: {container.size_bytes - len(data)} bytes missing"
        )
    header, span = container.header, QUALITY_MAX - QUALITY_MIN
    return Info(
        width=header.width,
        height=header.height,
        quality=round(QUALITY_MIN + header.quality_code / QUALITY_CODE_MAX * span, 2),
        model_id=header.model_id,
        model=model_name(header.model_id),
        bundle_digest=header.bundle_digest.hex(),
        format_version=FORMAT_VERSION,
        tiles=header.tile_count,
        size_bytes=container.size_bytes,
    )
