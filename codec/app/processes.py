"""Processes that do tasks of one kind, one after another, and can be ended.

What kind, and then the tasks, go to a process pickled, on its standard input; replies
come back on its standard output, in a form that runs no code here. So a process needs
nothing of the program that starts it: no semaphores, which live in /dev/shm, and no
main module that can be imported again.
"""

import contextlib
import os
import pickle
import signal
import sys
from collections.abc import Callable
from typing import IO, Any

from codec.app.own_process import own_process, start_engine_silently

# It finds its modules where the program that starts it does.
BOOT = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from codec.app.processes import serve; serve()"
)
# Isolated, or modules in the current folder would come before Python's own.
COMMAND = (sys.executable, "-I", "-c", BOOT)
DIED = "the process that worked on it died; not enough memory?"

Do = Callable[[Any, IO[bytes]], None]  # (task, where replies are written)


def introduction(do: Do) -> bytes:
    """What a process is sent before its tasks."""
    return pickle.dumps(sys.path) + pickle.dumps(do)


def serve() -> None:
    """What a process does until nobody has a task for it."""
    tasks, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # native code may print, which is no reply
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's business
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        start_engine_silently()
        gone = contextlib.suppress(EOFError, BrokenPipeError)  # the parent
        with own_process(), gone:
            do = pickle.load(tasks)
            while True:
                do(pickle.load(tasks), replies)
                replies.flush()
    except SystemExit as stop:  # without the threads that are at work
        os._exit(int(str(stop.code)))
