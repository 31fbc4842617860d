"""How callers learn of the progress of long work."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

BAR_FORMAT = "{desc} {percentage:3.0f} % {bar} {remaining} left"
Progress = Callable[[float], None]  # called with the share that is done, 1 in the end


def no_progress(share: float) -> None:
    """For callers that do not want to know."""


@contextmanager
def bar(name: str, delay_s: float = 0) -> Iterator[Progress]:
    """Show a bar with the time left, in notebooks as one of theirs, if the work takes
    longer than `delay_s`. The bar is gone in the end.
    """
    from tqdm.auto import tqdm  # takes time to import

    with tqdm(
        total=1,
        delay=delay_s,
        mininterval=0,
        smoothing=0,  # the time left is told by all that was done so far
        leave=False,
        desc=name,
        bar_format=BAR_FORMAT,
    ) as shown:
        yield lambda share: shown.update(share - shown.n) and None


@contextmanager
def told(progress: Progress | bool, name: str) -> Iterator[Progress]:
    """What is called with the progress: what is given; a bar for True."""
    if not isinstance(progress, bool):
        yield progress
    elif progress:
        with bar(name) as shown:
            yield shown
    else:
        yield no_progress


class Stages:
    """The progress of work in stages, told as one that rises from 0 to 1."""

    def __init__(self, progress: Progress) -> None:
        self.progress: Progress = progress
        self.start: float = 0
        self.stop: float = 0
        self.told: float = 0

    def begin(self, share: float) -> None:
        """Begin a stage that is this share of all that is left to do."""
        self.start = self.stop
        self.stop += share * (1 - self.stop)

    def __call__(self, share: float) -> None:
        """Of the stage, this share is done."""
        done = self.start + share * (self.stop - self.start)
        if done > self.told:
            self.told = done
            self.progress(done)

    def finish(self) -> None:
        """Nothing is left to do."""
        self.begin(1)
        self(1)
