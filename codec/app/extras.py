"""Packages that only some commands need."""

from collections.abc import Iterator
from contextlib import contextmanager

from codec.errors import UsageError


@contextmanager
def needs_extra(doing: str, extra: str, also: str = "") -> Iterator[None]:
    """Make a missing package a UsageError that says how to install it."""
    try:
        yield
    except ImportError as error:
        raise UsageError(
            f"{doing} needs the extra `{extra}`{also}: "
            f"pip install 'aecodec[{extra}]' ({error})"
        ) from None
