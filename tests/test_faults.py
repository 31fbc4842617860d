"""What may go wrong around the codec: disks, folders, signals, files that change."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest
from command_line import aecodec, fails, is_refused, names, succeeds
from pictures import picture
from PIL import Image

import codec
from codec.app import conversion, files
from codec.networks import shipped

fcntl = pytest.importorskip("fcntl")
resource = pytest.importorskip("resource")
termios = pytest.importorskip("termios")
pytestmark = pytest.mark.usefixtures("folder")
SLOW = ("--tune", "psnr", "-e", "9")
DEFAULT = shipped.model_name(shipped.DEFAULT_MODEL_ID)


def test_an_existing_output_is_kept_without_force(coded):
    Path("photo.aec").write_bytes(b"mine")
    line = fails("encode", "photo.png")
    assert line == (
        "aecodec: photo.png: photo.aec exists; "
        "-o names another output, --force replaces it"
    )
    assert Path("photo.aec").read_bytes() == b"mine"
    for option in ("--force", "-f"):
        succeeds("encode", "photo.png", option)
        assert Path("photo.aec").read_bytes() == coded


@pytest.mark.parametrize("output", ["no/such/folder/out.aec", "photo.png/out.aec"])
def test_an_output_where_nothing_can_be_written_gives_one_line(output):
    line = fails("encode", "photo.png", "-o", output)
    assert re.search("No such file or directory|Not a directory", line)
    assert names() == ["photo.png"]


def test_an_output_where_nothing_can_be_written_is_named():
    assert "no/such/folder" in fails("encode", "photo.png", "-o", "no/such/folder/x")


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0,
    reason="root may write into every folder",
)
def test_a_folder_without_write_permission_gives_one_line():
    Path("locked").mkdir(mode=0o500)
    assert "Permission denied" in fails("encode", "photo.png", "-o", "locked")
    assert names("locked") == []


def test_a_disk_that_fails_leaves_nothing_behind(monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    line = fails("encode", "photo.png")
    assert line.endswith("No space left on device")
    assert names() == ["photo.png"]


def test_a_folder_in_place_of_the_output_is_never_replaced():
    Path("photo.aec").mkdir()
    assert "photo.aec exists" in fails("encode", "photo.png")
    fails("encode", "photo.png", "--force")
    assert names() == ["photo.aec", "photo.png"]


def test_a_link_stays_and_what_it_points_to_is_replaced():
    Path("real.aec").write_bytes(b"old")
    Path("link.aec").symlink_to("real.aec")
    succeeds("encode", "photo.png", "-o", "link.aec", "--force")
    assert Path("link.aec").is_symlink()
    assert codec.read_info(Path("real.aec").read_bytes()).width == 60


def test_an_input_is_never_replaced_by_its_own_output():
    before = Path("photo.png").read_bytes()
    is_refused("encode", "photo.png", "-o", "photo.png", "--force")
    assert Path("photo.png").read_bytes() == before


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_second_signal_ends_a_process_that_waits_for_its_input(folder):
    command = [sys.executable, "-m", "codec", "encode", "-", "photo.png", "-o", "out/"]
    process = subprocess.Popen(
        command, cwd=folder, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdin.write(b"x")
    process.stdin.flush()
    while waits_to_be_read(process.stdin):
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    while catches(process, signal.SIGTERM):  # the first one is not seen to yet
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == -signal.SIGTERM


def catches(process: "subprocess.Popen[bytes]", number: int) -> bool:
    """Whether a process has a handler for a signal."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (number - 1) & 1)


def waits_to_be_read(pipe: IO[bytes]) -> bool:
    return any(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_several_files_are_stopped_where_they_are(folder):
    for seed in range(5):
        Image.fromarray(picture(1500, 1500, seed)).save(f"{seed}.png")
    inputs = [f"{seed}.png" for seed in range(5)]
    command = [sys.executable, "-m", "codec", "encode", *inputs, *SLOW]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(5)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert errors.decode() == "aecodec: stopped by SIGTERM\n"
    assert names() == [*inputs, "photo.png"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_process_says_so_and_leaves_no_file(folder, number):
    Image.fromarray(picture(1500, 1500)).save("large.png")
    Path("large.aec").write_bytes(b"old")
    command = [sys.executable, "-m", "codec", "encode", "large.png", *SLOW, "-f"]

    def unignore() -> None:  # as it is for who runs the tests in the background
        signal.signal(number, signal.SIG_DFL)

    process = subprocess.Popen(
        command, cwd=folder, stderr=subprocess.PIPE, preexec_fn=unignore
    )
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(4)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert errors.decode() == f"aecodec: stopped by {number.name}\n"
    assert names() == ["large.aec", "large.png", "photo.png"]
    assert Path("large.aec").read_bytes() == b"old"


def test_signals_are_as_before_after_a_call():
    before = signal.getsignal(signal.SIGINT)
    succeeds("encode", "photo.png")
    assert signal.getsignal(signal.SIGINT) is before


def limited(folder: Path, size: int, *arguments: str) -> subprocess.CompletedProcess:
    """A call in a process that may write no file of more than `size` bytes, as if the
    disk were full.
    """

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return subprocess.run(
        [sys.executable, "-B", "-m", "codec", *arguments],
        cwd=folder,
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_disk_that_is_full_keeps_the_old_file(folder, coded):
    before = Path("photo.aec").read_bytes()
    result = limited(folder, 100, "encode", "photo.png", "-q", "90", "-f")
    assert result.returncode == 1
    assert result.stderr.startswith("aecodec: photo.png: cannot write photo.aec: ")
    assert len(result.stderr.splitlines()) == 1
    assert names() == ["photo.aec", "photo.png"]
    assert Path("photo.aec").read_bytes() == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_device_gives_one_line():
    line = fails("encode", "photo.png", "-o", "/dev/full")
    assert line.endswith("cannot write /dev/full: No space left on device")
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "codec", "encode", "photo.png", "-o", "-"]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE)
    assert result.returncode == 1
    assert b"No space left on device" in result.stderr
    assert b"Traceback" not in result.stderr


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="no /dev/stdout")
def test_a_pipe_that_is_named_takes_the_file(coded):
    command = [sys.executable, "-m", "codec", "encode", "photo.png", "-o"]
    result = subprocess.run([*command, "/dev/stdout"], stdout=subprocess.PIPE)
    assert result.returncode == 0
    assert result.stdout == coded


def test_an_ignored_signal_stays_ignored(folder):
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from codec.app import cli, conversion\n"
        "real = conversion.encode_and_tell\n"
        "conversion.encode_and_tell = lambda *a, **b: ("
        "signal.raise_signal(signal.SIGINT), real(*a, **b))[1]\n"
        "cli.main(['encode', 'photo.png'])\n"
    )
    result = subprocess.run([sys.executable, "-c", script], stderr=subprocess.PIPE)
    assert result.returncode == 0, result.stderr
    assert codec.decode("photo.aec").mode == "RGB"


def test_an_input_that_vanishes_gives_one_line_and_the_others_are_done(monkeypatch):
    for name in ("b.png", "c.png", "d.png"):
        Path(name).write_bytes(Path("photo.png").read_bytes())
    Path("photo.png").rename("a.png")
    real = conversion.encode_and_tell

    def encode(*arguments, **options):
        Path("c.png").unlink(missing_ok=True)  # while others are coded
        return real(*arguments, **options)

    monkeypatch.setattr(conversion, "encode_and_tell", encode)
    result = aecodec("encode", "a.png", "b.png", "c.png", "d.png")
    assert result.exit_code == 1
    *_, line, last = result.stderr.splitlines()
    assert line == "aecodec: c.png: No such file or directory"
    assert last.startswith("d.png -> d.aec: ")
    assert names() == ["a.aec", "a.png", "b.aec", "b.png", "d.aec", "d.png"]


def test_an_input_that_is_replaced_meanwhile_is_coded_as_it_was(monkeypatch, coded):
    real = conversion.encode_and_tell

    def encode(*arguments, **options):
        Path("photo.png").write_bytes(b"")
        return real(*arguments, **options)

    monkeypatch.setattr(conversion, "encode_and_tell", encode)
    succeeds("encode", "photo.png", "-o", "other.aec")
    assert Path("other.aec").read_bytes() == coded


def test_an_output_that_appears_meanwhile_is_kept(monkeypatch):
    real = conversion.encode_and_tell

    def encode(*arguments, **options):
        Path("photo.aec").write_bytes(b"somebody's")
        return real(*arguments, **options)

    monkeypatch.setattr(conversion, "encode_and_tell", encode)
    assert "photo.aec exists" in fails("encode", "photo.png")
    assert Path("photo.aec").read_bytes() == b"somebody's"
    assert names() == ["photo.aec", "photo.png"]


@pytest.mark.parametrize("name", ["/dev/zero", "sparse.png", "-"])
def test_an_input_without_end_is_refused(monkeypatch, name):
    monkeypatch.setattr(files, "INPUT_MAX_BYTES", 10**7)
    if name == "sparse.png":
        with open(name, "wb") as file:
            file.truncate(10**12)
    line = fails("encode", name, "-o", "out.aec", stdin=bytes(2 * 10**7))
    assert line == f"aecodec: {name}: larger than 10000000 bytes"


def test_a_lack_of_memory_says_so(folder):
    Image.fromarray(picture(2000, 2000)).save("large.png")
    for limit in (2**28, 400 * 2**20, 600 * 2**20):

        def limited(limit=limit) -> None:
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

        command = [sys.executable, "-m", "codec", "encode", "large.png"]
        result = subprocess.run(
            command, capture_output=True, text=True, preexec_fn=limited, check=False
        )
        if "aecodec: " not in result.stderr:
            continue  # not enough to start
        (line,) = result.stderr.splitlines()
        assert "not enough memory" in line or "Cannot allocate memory" in line
        assert result.returncode == 1
        assert not Path("large.aec").exists()


@pytest.mark.parametrize("lost", ["preview.tflite", "config.json", ""])
def test_a_model_that_is_missing_is_one_line(monkeypatch, folder, coded, lost):
    models = folder / "models"
    shutil.copytree(shipped.MODELS / DEFAULT, models / DEFAULT)
    if lost:
        (models / DEFAULT / lost).unlink()
    else:
        shutil.rmtree(models / DEFAULT)
    monkeypatch.setattr(shipped, "MODELS", models)
    shipped.read_released.cache_clear()
    for call in (("encode", "photo.png"), ("decode", "photo.aec")):
        line = fails(*call, "-f", "-o", "out")
        assert f"model {DEFAULT} is not installed whole" in line
    assert "No such file" in fails("encode", "photo.png", "--model", "none.aecm")
