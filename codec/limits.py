"""How large a picture may be, and its metadata. Tested before memory is taken."""

import math
import operator
from typing import Any

from codec.errors import UsageError

SIDE_MAX_PX = 2**24 - 1
EXTENSION_PX = 64  # pictures are extended to multiples of this
TEXTS_MAX = 4096  # of one picture, a keyword each
METADATA_MAX_BYTES = 2**24  # of all kinds together, before compression
MAX_PIXELS = 2**28  # default limit, on the extended picture
NO_LIMIT = (SIDE_MAX_PX + EXTENSION_PX) ** 2  # the extended picture of any header


def check_field(
    name: str, value: int, low: int, high: int, error: type[Exception]
) -> None:
    """Raise `error` if the value is not from `low` to `high`."""
    if not low <= value <= high:
        raise error(f"{name} is {value}; expected {low} to {high}")


def check_whole(name: str, value: Any, low: int, high: float = math.inf) -> None:
    """UsageError if the value is no whole number from `low` to `high`."""
    try:
        if low <= operator.index(value) <= high:
            return
    except TypeError:
        pass
    range_ = f"{low} on" if high == math.inf else f"{low} to {high}"
    raise UsageError(f"{name} is {value!r}; expected a whole number from {range_}")


def check_size(
    width: int, height: int, max_pixels: int, error: type[Exception]
) -> None:
    """Raise `error` if the picture, extended to whole cells as it is in memory, has
    more than `max_pixels` pixels; UsageError for a limit that is none.
    """
    check_whole("max_pixels", max_pixels, 1)
    rows, columns = (-(-side // EXTENSION_PX) for side in (height, width))
    if rows * columns * EXTENSION_PX**2 > max_pixels:
        raise error(
            f"image of {width} x {height} pixels is over the limit of {max_pixels} "
            f"(sides count in steps of {EXTENSION_PX})"
        )
