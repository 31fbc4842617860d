"""Progress of long work, told to whoever wants to show it."""

from collections.abc import Callable

Progress = Callable[[float], None]  # called with the share that is done, up to 1


def untold(share: float) -> None:
    """The `Progress` that nobody looks at."""
