"""Make the checkout's virtual environment `.venv/` when it is missing or out of date,
then hand over to it.

Standard library only: this runs on a bare machine with Python and pip.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "installed.txt"  # what the environment was made for: one line per extra
SCRIPTS = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = SCRIPTS / "python"


def ensure(*extras: str) -> None:
    """Install the package with `extras` into `.venv/`, unless that is done already."""
    if sys.version_info < (3, 10):  # noqa: UP036
        sys.exit(
            f"aecodec needs Python 3.10 or newer; this is {sys.version.split()[0]}"
        )
    digest = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    made = STAMP.exists() and (PYTHON.exists() or PYTHON.with_suffix(".exe").exists())
    done = STAMP.read_text().split() if made else []
    if digest in done and set(extras) <= set(done):
        return
    wanted = sorted({*extras, *done[1:]})
    if not made:
        say(f"setting up {VENV} (first run)")
        run(sys.executable, "-m", "venv", "--clear", str(VENV))
    requirement = str(ROOT) + (f"[{','.join(wanted)}]" if wanted else "")
    pip = (str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check")
    install(*pip, "--editable", requirement)
    STAMP.write_text("\n".join([digest, *wanted]) + "\n")


def install(*command: str) -> None:
    """Run pip, which has much to say: of that, the packages are counted, and the rest
    is shown if it fails.
    """
    said, packages = [], 0
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as pip:
        assert pip.stdout
        for line in pip.stdout:
            said.append(line)
            packages += line.startswith("Collecting ")
            if sys.stderr and sys.stderr.isatty():
                text = f"\raecodec: installing, {packages} packages found"
                print(text, end="", file=sys.stderr, flush=True)
    if sys.stderr and sys.stderr.isatty():
        print(file=sys.stderr)
    if pip.returncode:
        sys.exit("".join(said) + f"aecodec: failed: {' '.join(command)}")


def say(message: str) -> None:
    if sys.stderr:  # or it would be printed on standard output
        print(f"aecodec: {message}", file=sys.stderr, flush=True)


def run(*command: str) -> None:
    """Run a command, output on standard error; exit with one line if it fails."""
    output = sys.stderr or subprocess.DEVNULL
    if subprocess.run(command, stdout=output, check=False).returncode:
        sys.exit(f"aecodec: failed: {' '.join(command)}")


def replace_process(*command: str) -> None:
    """Go on as `command`, keeping the exit status."""
    if os.name == "nt":
        sys.exit(subprocess.run(command, check=False).returncode)
    os.execv(command[0], command)
