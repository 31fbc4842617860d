"""A bar on standard error that shows the progress of long work."""

import contextlib
import sys
from collections.abc import Iterator

from codec.progress import Progress, untold

DELAY_S = 1  # without a bar


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
