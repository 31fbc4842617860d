"""Whether a file is whole, without decoding it."""

from dataclasses import dataclass

from codec.errors import FormatError
from codec.file.chunks import ALPHA_CHUNK
from codec.file.container import Container
from codec.picture.alpha import check_alpha
from codec.picture.metadata import info_value

FAULTS_NAMED = 3


@dataclass(frozen=True)
class Verified:
    """What was found to be whole."""

    tiles: int
    chunks: int  # besides tiles: alpha, metadata and others
    size_bytes: int


def verify_container(container: Container) -> Verified:
    """Test the checksums of all tiles and chunks, and what can be told of them without
    decoding a pixel. FormatError names what is damaged.
    """
    count, named, more = container.header.tile_count, list[str](), 0
    for number in range(len(container.spans)):
        try:
            if number < count:
                container.tile(number)
            else:
                container.payload(number)
        except FormatError as error:
            if len(named) < FAULTS_NAMED:
                named.append(str(error))
            else:
                more += 1
    if named:
        raise FormatError("; ".join(named + [f"and {more} more"] * (more > 0)))
    for name, value in container.metadata().items():
        info_value(name, value)
    header = container.header
    for number, (chunk_id, *_) in enumerate(container.spans):
        if chunk_id == ALPHA_CHUNK:
            check_alpha(container.payload(number), header.width, header.height)
    return Verified(count, len(container.spans) - count, container.size_bytes)
