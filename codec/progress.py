"""Progress of long work, told to whoever wants to show it."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

DELAY_S = 1  # without a bar

# Called with the name of the stage and the share of it that is done, 0 to 1.
Progress = Callable[[str, float], None]


def untold(stage: str, share: float) -> None:
    """The `Progress` that nobody looks at."""


def tracked(items: Sequence[T], stage: str, progress: Progress) -> Iterator[T]:
    """The items, with the share of them that is done told before and after each."""
    for done, item in enumerate(items):
        progress(stage, done / len(items))
        yield item
    progress(stage, 1.0)


@contextlib.contextmanager
def progress_bar(name: str) -> Iterator[Progress]:
    """A bar on standard error, if that is a terminal, from `DELAY_S` on
    until the end.
    """
    if not sys.stderr.isatty():
        yield untold
        return
    from tqdm import tqdm  # takes time to import

    with tqdm(
        total=1,
        delay=DELAY_S,
        mininterval=0,
        leave=False,
        bar_format="{desc} {percentage:3.0f} % {bar}",
    ) as bar:

        def show(stage: str, share: float) -> None:
            bar.set_description_str(f"{name}: {stage}", refresh=False)
            bar.update(share - bar.n)

        yield show
