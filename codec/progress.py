"""Progress of long work, told to whoever wants to show it."""

import contextlib
import sys
from collections.abc import Callable, Iterator

DELAY_S = 1  # without a bar

Progress = Callable[[float], None]  # called with the share that is done, up to 1


def untold(share: float) -> None:
    """The `Progress` that nobody looks at."""


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
        desc=name,
        bar_format="{desc} {percentage:3.0f} % {bar}",
    ) as bar:
        yield lambda share: bar.update(share - bar.n) and None
