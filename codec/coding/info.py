"""What a file says of itself, without decoding it."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from codec.errors import FormatError
from codec.file.chunks import ALPHA_CHUNK, GRAY_CHUNK, LAYERED_CHUNK, METADATA_CHUNKS
from codec.file.container import Container, FileBytes, unpack
from codec.file.header import FORMAT_VERSION
from codec.file.layer import LOSSY, LayerTile
from codec.limits import NO_LIMIT
from codec.networks.shipped import model_name
from codec.options import quality_of
from codec.picture.exif import orientation_of


@dataclass(frozen=True)
class Info:
    """What a file says of itself."""

    width: int
    height: int
    mode: str  # as Pillow's: L, LA, RGB or RGBA
    metadata: tuple[str, ...]  # of METADATA_CHUNKS, those in the file
    quality: float
    model_id: int
    model: str
    bundle_digest: str  # first bytes of it, hex
    format_version: int
    tiles: int
    drawn_tiles: int  # those with a layer
    exact_tiles: int  # those that a lossless layer covers
    size_bytes: int
    orientation: (
        int  # 1 to 8, as in the EXIF data; from 5 on, sides swap when it is shown
    )

    @property
    def rate_bpp(self) -> float:
        """File size in bits per pixel."""
        return 8 * self.size_bytes / (self.width * self.height)


def read_info(data: FileBytes | Path | str, *, whole: bool = True) -> Info:
    """What an .aec file says of itself, given its bytes or its name; decodes nothing.
    Raises OSError if the file cannot be read, and FormatError; unless `whole`, only for
    damage in the header.
    """
    container = unpack(data, max_pixels=NO_LIMIT, whole=whole)
    missing = container.size_bytes - len(container.data)
    if whole and missing > 0:
        raise FormatError(f"file is cut off: {missing} bytes missing")
    header = container.header
    layers = list(layers_of(container))
    colors = "L" if container.has(GRAY_CHUNK) else "RGB"
    return Info(
        width=header.width,
        height=header.height,
        mode=colors + ("A" if container.has(ALPHA_CHUNK) else ""),
        metadata=tuple(k for k, v in METADATA_CHUNKS.items() if container.has(v)),
        quality=quality_of(header.quality_code),
        model_id=header.model_id,
        model=model_name(header.model_id),
        bundle_digest=header.bundle_digest.hex(),
        format_version=FORMAT_VERSION,
        tiles=header.tile_count,
        drawn_tiles=len(layers),
        exact_tiles=sum(tile.covers and tile.kind != LOSSY for tile in layers),
        size_bytes=container.size_bytes,
        orientation=orientation_in(container),
    )


def orientation_in(container: Container) -> int:
    """1 if it is not told, or damaged."""
    with suppress(FormatError):
        return orientation_of(container.metadata().get("exif", b""))
    return 1


def layers_of(container: Container) -> Iterator[LayerTile]:
    """The layers of tiles, but for damaged ones."""
    for number, (chunk_id, *_) in enumerate(container.spans):
        if chunk_id == LAYERED_CHUNK:
            with suppress(FormatError):
                tile = container.tile(number)
                assert isinstance(tile, LayerTile)
                yield tile
