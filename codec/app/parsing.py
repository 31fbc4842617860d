"""Options that are written as text."""

import re

from codec.errors import UsageError
from codec.options import Region

FACTORS = {"": 1, "k": 1000, "m": 1000**2, "ki": 1024, "mi": 1024**2}
SIZE = re.compile(r"(\d{1,12}(?:\.\d{0,12})?)([km]?|[km]i)b?", re.IGNORECASE)
REGION = re.compile(r"\d{1,9}(,\d{1,9}){3}", re.ASCII)


def size_in(text: str) -> int:
    """Bytes, with k or M for thousands and millions, Ki or Mi for powers of 1024, then
    perhaps B; UsageError for other text.
    """
    match = SIZE.fullmatch(text)
    if not match:
        raise UsageError("expected a size such as 80000, 80k or 1.5M")
    return round(float(match[1]) * FACTORS[match[2].lower()])


def region_in(text: str) -> Region:
    """left,top,width,height; UsageError for other text."""
    if not REGION.fullmatch(text):
        raise UsageError("expected left,top,width,height in pixels")
    left, top, width, height = map(int, text.split(","))
    return left, top, width, height
