"""Bars on standard error that show the progress of long work, and the time left."""

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from codec.app.reporting import QUIET, asked
from codec.progress import Progress, bar, no_progress

T = TypeVar("T")
DELAY_S = 1  # before there is a bar
FILES_FORMAT = "{n_fmt} of {total_fmt} files {bar} {remaining} left"


def is_shown() -> bool:
    """Whether standard error is a terminal, and --quiet was not given."""
    return sys.stderr.isatty() and not asked(QUIET)


@contextlib.contextmanager
def progress_bar(name: str, shown: bool) -> Iterator[Progress]:
    """Show a bar, if the work takes longer than `DELAY_S`."""
    if not shown:
        yield no_progress
        return
    with bar(name, DELAY_S) as tell:
        yield tell


@contextlib.contextmanager
def files_bar(count: int) -> Iterator[Callable[[], None]]:
    """Show a bar of so many files, if it `is_shown`; yields what is called after each.
    It is gone in the end.
    """
    if not is_shown() or count < 2:
        yield lambda: None
        return
    from tqdm import tqdm  # takes time to import

    with tqdm(total=count, smoothing=0, leave=False, bar_format=FILES_FORMAT) as shown:
        yield lambda: shown.update() and None


def counted(items: Iterable[T], count: int) -> Iterator[T]:
    """The items, of `count` files, with the bar of `files_bar`."""
    with files_bar(count) as advance:
        for item in items:
            yield item
            advance()
