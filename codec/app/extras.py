"""Packages that only some commands need."""

from collections.abc import Iterator
from contextlib import contextmanager

from codec.errors import UsageError


@contextmanager
def needed(doing: str, extra: str, also: str = "") -> Iterator[None]:
    """A missing package as a UsageError that says how to get it."""
    try:
        yield
    except ImportError as error:
        raise UsageError(
            f"{doing} needs the extra `{extra}`{also}: "
            f"pip install 'aecodec[{extra}]' ({error})"
        ) from None
