"""Calls of the command line in processes of their own, and what they take."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import codec

# The peak is read by the process itself: what the system tells of one that has ended is
# at least what the process that started it had.
SCRIPT = """
import sys
from pathlib import Path
from codec.app.cli import main
try:
    main(sys.argv[1:])
except SystemExit as stop:
    status = Path("/proc/self/status").read_text()
    print(status.partition("VmHWM:")[2].split()[0])
    sys.exit(stop.code)
"""


@dataclass(frozen=True)
class Ended:
    """A call: its exit code, what it says on standard error, the peak of its resident
    memory, and its time with the start of Python.
    """

    exit_code: int
    line: str
    peak_mib: float
    seconds: float


def measured(*arguments: str, folder: str | Path = ".") -> Ended:
    """What becomes of a call of `aecodec` in a folder; on Linux."""
    path = str(Path(codec.__file__).parent.parent)
    start = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path},
        check=False,
    )
    seconds = time.perf_counter() - start
    peak_kib = int(result.stdout.split()[-1])
    return Ended(result.returncode, result.stderr.strip(), peak_kib / 1024, seconds)
