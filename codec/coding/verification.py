"""Whether a file is whole, without decoding it."""

from dataclasses import dataclass

from codec.errors import FormatError
from codec.file.container import Container

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
    count, faults = container.header.tile_count, list[str]()
    for number in range(len(container.spans)):
        try:
            if number < count:
                container.tile(number)
            else:
                container.payload(number)
        except FormatError as error:
            faults.append(str(error))
    if not faults:
        container.metadata()
        return Verified(count, len(container.spans) - count, container.size_bytes)
    more = len(faults) - FAULTS_NAMED
    named = faults[:FAULTS_NAMED] + [f"and {more} more"] * (more > 0)
    raise FormatError("; ".join(named))
