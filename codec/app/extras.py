"""Packages that only some commands need."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
            f"{doing} needs the extra `{extra}`{also}: {installing(extra)} ({why})"
        ) from None


def installing(extra: str) -> str:
    """The command that installs an extra: into a checkout's environment, where that is
    what runs.
    """
    checkout = Path(__file__).parents[2]
    if (checkout / "pyproject.toml").exists():
        return f"{sys.executable} -m pip install -e '{checkout}[{extra}]'"
    return f"pip install 'aecodec[{extra}]'"
