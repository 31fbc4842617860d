"""Packages that only some commands need."""

from collections.abc import Iterator
from contextlib import contextmanager

from codec.errors import UsageError
from codec.machine import native_stderr_silenced


@contextmanager
def needs_extra(doing: str, extra: str, also: str = "") -> Iterator[None]:
    """Make a package that is missing, or does not go with another, a UsageError that
    says how to install it.
    """
    try:
        with native_stderr_silenced():  # NumPy prints a traceback for each misfit
            yield
    except Exception as error:  # misfits raise anything, such as SystemError
        why, *_ = str(error).splitlines() or [type(error).__name__]
        raise UsageError(
            f"{doing} needs the extra `{extra}`{also}: "
            f"pip install 'aecodec[{extra}]' ({why})"
        ) from None
