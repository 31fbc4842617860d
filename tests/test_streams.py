"""Names that a terminal would obey, streams that are closed, and what a process may
lack.
"""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import aecodec, complaints, fails, is_refused, names, succeeds
from pictures import picture
from PIL import Image

import codec
from codec.app.feature_files import table
from codec.app.reporting import printable

pytestmark = [
    pytest.mark.usefixtures("folder"),
    pytest.mark.skipif(os.name != "posix", reason="names and descriptors of POSIX"),
]
BYTES = os.fsdecode(b"na\xefve.png")
NAMES = {
    "escape": "a\x1b]0;title\x07.png",
    "line ends": "a\r\nb.png",
    "C1 control": "a\x9b31m.png",
    "right to left": "a\u202egnp.exe.png",
    "line separator": "a\u2028b.png",
    "no UTF-8": BYTES,
}


def shell(command: str, **options: object) -> subprocess.CompletedProcess:
    """A call by a shell, as `aecodec` is the program."""
    root = str(Path(codec.__file__).parent.parent)
    environment = os.environ | {"PYTHONPATH": root} | options.pop("env", {})
    program = f"aecodec() {{ '{sys.executable}' -m codec \"$@\"; }}; "
    call = ["sh", "-c", program + command]
    return subprocess.run(
        call, capture_output=True, env=environment, check=False, **options
    )


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_no_name_reaches_a_terminal_as_it_is(name):
    try:
        Path("photo.png").rename(name)
    except OSError:
        pytest.skip("no such names here")
    shown = succeeds("encode", name, "-o", "photo.aec").stderr
    Path("out").mkdir()
    coded = f"{name}.aec"
    Path("photo.aec").rename(coded)
    lines = [
        shown,
        succeeds("info", coded).stdout,
        succeeds("features", coded, "--query", coded).stdout,
        fails("encode", name, "-o", f"{name}/x"),
        succeeds("info", name).stdout,
        is_refused("encode", "-r", name, "-o", "out"),
        is_refused("encode", "photo.png", "--strip", name),
        is_refused(name),
        is_refused("serve", name),
    ]
    for line in lines:
        assert all(part.isprintable() for part in line.split("\n"))
        line.encode()


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_names_in_trees_are_escaped(name):
    Path("in").mkdir()
    try:
        Path("in", name).write_bytes(b"no picture")
    except OSError:
        pytest.skip("no such names here")
    (line,) = complaints("encode", "-r", "in", "-o", "out", "-j", 1)
    assert printable(name) in line
    assert line.isprintable()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_names_that_an_encoding_lacks_are_escaped(encoding, coded):
    Path("photo.aec").rename("für.aec")
    environment = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    result = shell("aecodec info *.aec; aecodec info fü*", env=environment)
    expected = "für.aec: " if encoding != "ascii" else "f\\xfcr.aec: "
    assert result.stdout.decode(encoding).startswith(expected)


def test_a_table_holds_names_of_all_kinds(coded):
    written = ["=1+1.aec", "+1.aec", "-1.aec", "@a.aec", "\t=1.aec", "a,b\n.aec"]
    for name in [*written, BYTES]:
        Path(name).write_bytes(coded)
    paths = [*written, BYTES]
    succeeds("features", "-o", "table.csv", "--", *paths)
    with open("table.csv", encoding="utf-8", newline="") as file:
        first = [row[0] for row in csv.reader(file)][1:]
    assert not any(cell.startswith(tuple("=+-@\t\r\n")) for cell in first)
    for cell in first[:-1]:
        assert Path(cell).is_file()
    assert first[-1] == "na\\xefve.png"


def test_a_table_of_numpy_keeps_names(coded):
    Path(BYTES).write_bytes(coded)
    succeeds("features", BYTES, "-o", "table.npz")
    assert table("x.csv", {"=": [1.0]}).splitlines()[1] == b"./=,1.0"


CLOSED = ["2>&-", "<&-", ">&-", "<&- 2>&-", "<&- >&- 2>&-"]


@pytest.mark.parametrize("closed", CLOSED)
def test_closed_streams_change_nothing(closed):
    expected = codec.encode(Image.open("photo.png"))
    result = shell(f"aecodec encode photo.png {closed}")
    assert result.returncode == 0
    assert Path("photo.aec").read_bytes() == expected
    Path("in").mkdir()
    Path("photo.png").rename("in/photo.png")
    assert shell(f"aecodec encode -r in -o out {closed}").returncode == 0
    assert Path("out/photo.png.aec").read_bytes() == expected


def test_what_needs_a_stream_that_is_closed_says_so(coded):
    for command, stream in (
        ("encode - -o new.aec <&-", "-: standard input"),
        ("encode photo.png -o - >&-", "photo.png: standard output"),
        ("info photo.aec >&-", "photo.aec: standard output"),
        ("info --json photo.aec >&-", "photo.aec: standard output"),
    ):
        result = shell(f"aecodec {command}")
        assert result.returncode == 1
        assert result.stderr.decode() == f"aecodec: {stream} is closed\n"
    assert names() == ["photo.aec", "photo.png"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_reports_that_cannot_be_written_change_nothing(coded):
    result = shell("aecodec encode photo.png -o new.aec 2>/dev/full")
    assert result.returncode == 0
    assert Path("new.aec").read_bytes() == coded
    assert shell("aecodec encode none.png 2>/dev/full").returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize(
    "call",
    [
        *("verify photo.aec >/dev/full", "verify photo.aec >&-"),
        *("info photo.aec >/dev/full", "info photo.aec >&-", "--help >/dev/full"),
    ],
)
def test_what_cannot_be_said_is_a_failure_in_one_line(call, coded):
    result = shell(f"aecodec {call}")
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1, result.stderr


UNGUARDED = """
from codec.app.cli import main
main(["encode", "-r", "in", "-o", "out"])
"""


def test_a_script_without_a_main_guard_works():
    Path("in").mkdir()
    Path("photo.png").rename("in/photo.png")
    Path("script.py").write_text(UNGUARDED)
    result = shell(f"'{sys.executable}' script.py")
    assert result.returncode == 0, result.stderr
    assert result.stderr.count(b"1 done") == 1
    Path("out/photo.png.aec").unlink()
    result = shell(f"'{sys.executable}' - < script.py")
    assert result.returncode == 0, result.stderr
    assert names("out") == ["photo.png.aec"]


NO_SEMAPHORES = """
import _multiprocessing

class SemLock:
    SEM_VALUE_MAX = 1

    def __init__(self, *arguments):
        raise {error}

_multiprocessing.SemLock = SemLock
"""


@pytest.mark.parametrize(
    "error", ["FileNotFoundError(2, 'No /dev/shm')", "OSError(30, 'Read-only')"]
)
def test_no_semaphores_are_needed(error):
    Path("in").mkdir()
    for number in range(3):
        image = Image.fromarray(picture(9, 12, number))
        image.save(f"in/{number}.png")
    Path("script.py").write_text(NO_SEMAPHORES.format(error=error) + UNGUARDED)
    result = shell(f"'{sys.executable}' script.py")
    assert result.returncode == 0, result.stderr
    assert len(names("out")) == 3


def test_an_error_nobody_foresaw_is_one_line_without_debug(monkeypatch, coded):
    def info(data):
        raise ZeroDivisionError("division by zero\nand more")

    monkeypatch.setattr(codec, "read_info", info)
    assert fails("info", "photo.aec") == (
        "aecodec: photo.aec: ZeroDivisionError: division by zero"
    )
    for call in (("--debug", "info"), ("info", "--debug")):
        result = aecodec(*call, "photo.aec")
        assert result.exit_code == 1
        assert "Traceback" in result.stderr
        assert "in info" in result.stderr


def test_an_error_outside_of_all_files_is_one_line(monkeypatch):
    def refuse(*arguments):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("codec.app.batch.ThreadPoolExecutor", refuse)
    assert fails("encode", "photo.png") == (
        "aecodec: RuntimeError: can't start new thread"
    )
