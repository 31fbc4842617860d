"""What a file holds besides the tiles: whether it is gray, alpha, and metadata."""

import zlib

from PIL import Image

from codec.coding.tiles import whole
from codec.errors import FormatError, UsageError
from codec.file.chunks import (
    ALPHA_CHUNK,
    GRAY_CHUNK,
    METADATA_CHUNKS,
    METADATA_NAMES,
    NEUTRAL_CHUNK,
    inflate,
)
from codec.file.container import Container
from codec.limits import METADATA_MAX_BYTES, check_field
from codec.options import Region
from codec.picture.alpha import pack_alpha, unpack_alpha
from codec.picture.exif import forget_the_whole
from codec.picture.metadata import INFO_KEYS, info_value
from codec.picture.reading import Picture


def extra_chunks(picture: Picture) -> list[tuple[int, bytes]]:
    """The chunks besides the tiles; UsageError for metadata that are too large."""
    chunks = [(GRAY_CHUNK, b"")] if picture.gray else []
    if picture.neutral:
        chunks.append((NEUTRAL_CHUNK, b""))
    if picture.alpha is not None:
        chunks.append((ALPHA_CHUNK, pack_alpha(picture.alpha)))
    size_bytes = sum(map(len, picture.metadata.values()))
    check_field("bytes of metadata", size_bytes, 0, METADATA_MAX_BYTES, UsageError)
    for name, chunk_id in METADATA_CHUNKS.items():
        value = picture.metadata.get(name)
        if value is not None:
            chunks.append((chunk_id, zlib.compress(value, 9)))
    return chunks


def add_extras(
    image: Image.Image,
    container: Container,
    region: Region,
    faults: list[str] | None = None,
    factor: int = 1,
) -> None:
    """Add alpha, and metadata in `info`, to the decoded colors of `region`. These are
    `factor` times smaller, or of any size if they were enlarged.

    FormatError for damage. If `faults` is given, what is damaged is left out instead,
    and named there.
    """
    room_bytes = METADATA_MAX_BYTES
    for number in range(container.header.tile_count, len(container.spans)):
        try:
            room_bytes -= add_extra(
                image, container, number, region, factor, room_bytes
            )
        except FormatError as error:
            if faults is None:
                raise
            faults.append(f"{error}; left out")
    header = container.header
    if image.size != (header.width, header.height) or region != whole(header):
        forget_the_whole(image.info)


def add_extra(
    image: Image.Image,
    container: Container,
    number: int,
    region: Region,
    factor: int,
    room_bytes: int,
) -> int:
    """As `add_extras`, of one chunk; how long it is, if it is metadata."""
    header, chunk_id = container.header, container.spans[number][0]
    payload = container.payload(number)
    if chunk_id == ALPHA_CHUNK:
        left, top, width, height = region
        alpha = unpack_alpha(payload, header.width, header.height)
        plane = Image.fromarray(alpha)
        if factor > 1:  # the whole picture, smaller
            plane = plane.reduce(factor).resize(image.size)
        else:
            box = left, top, left + width, top + height
            plane = plane.resize(image.size, box=box)
        image.putalpha(plane)
    elif chunk_id in METADATA_NAMES:
        name = METADATA_NAMES[chunk_id]
        data = inflate(payload, name, room_bytes)
        image.info[INFO_KEYS[name]] = info_value(name, data)
        return len(data)
    return 0
