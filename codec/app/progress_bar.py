"""A bar on standard error that shows the progress of long work."""

import contextlib
import sys
from collections.abc import Iterator

from codec.progress import Progress, no_progress

DELAY_S = 1  # before there is a bar


@contextlib.contextmanager
def progress_bar(name: str) -> Iterator[Progress]:
    """Show a bar, if standard error is a terminal and the work takes longer than
    `DELAY_S`. The bar is gone in the end.
    """
    if not sys.stderr.isatty():
        yield no_progress
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
