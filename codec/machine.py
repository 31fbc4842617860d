"""What this process may use of the machine, and what native code may print."""

import contextlib
import os
import threading
from collections.abc import Iterator

STDERR_LOCK = threading.Lock()


def cpu_count() -> int:
    """Cores that this process may use."""
    return (
        len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1
    )


@contextlib.contextmanager
def native_stderr_silenced() -> Iterator[None]:
    """Leave out what native code prints on standard error. Only for programs, and
    before they start threads: what others print in the meantime is lost.
    """
    with STDERR_LOCK:
        saved, sink = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            os.close(sink)
