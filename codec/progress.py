"""How callers learn of the progress of long work."""

from collections.abc import Callable

Progress = Callable[[float], None]  # called with the share that is done, 1 in the end


def no_progress(share: float) -> None:
    """For callers that do not want to know."""
