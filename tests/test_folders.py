"""Trees of files: `--recursive`."""

import ctypes
import itertools
import os
import re
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import fails, is_refused, names, pixels, succeeds
from odd_files import IMAGE
from pictures import picture
from PIL import Image

import codec
from codec.app import folders, processes, workers
from codec.app.cli import main
from codec.app.conversion import Converted
from codec.errors import CodecError, UsageError
from codec.picture.ssimulacra2 import ssimulacra2
from codec.progress import Progress

pytestmark = pytest.mark.usefixtures("tree")


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """photos/ with three pictures in two folders, and a text."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("a.png", "deep/b.jpg", "deep/er/c.PNG")):
        path = Path("photos", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(40, 60, seed)).save(path)
    Path("photos/deep/notes.txt").write_text("no picture")


def aecodec(*arguments: object) -> subprocess.CompletedProcess:
    """A process of its own: workers start from it."""
    call = [sys.executable, "-m", "codec", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(Path(codec.__file__).parent.parent)}
    return subprocess.run(
        call, capture_output=True, text=True, env=environment, check=False
    )


def files(folder: str) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix()
        for path in Path(folder).rglob("*")
        if path.is_file()
    )


def test_every_picture_of_a_tree_has_the_score_that_is_asked_for():
    score = ("--ssimulacra2", 60)
    assert aecodec("encode", "-r", "photos", "-o", "coded", *score).returncode == 0
    for name in ("a.png", "deep/b.jpg", "deep/er/c.PNG"):
        pair = (pixels(f"photos/{name}"), codec.decode(Path("coded", f"{name}.aec")))
        assert ssimulacra2(*map(np.asarray, pair)) >= 60


def test_a_tree_is_mirrored_there_and_back():
    result = aecodec("encode", "-r", "photos", "-o", "coded", "-q", 30, "--jobs", 2)
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    assert re.fullmatch(
        r"photos -> coded: 3 done, 0\.0\d+ MB to 0\.00\d+ MB \(\d+\.\d %\); "
        r"1 of other kinds left out\n",
        result.stderr,
    )
    assert files("coded") == ["a.png.aec", "deep/b.jpg.aec", "deep/er/c.PNG.aec"]
    data = Path("coded/deep/er/c.PNG.aec").read_bytes()
    assert data == codec.encode(picture(40, 60, 2), quality=30)
    result = aecodec("decode", "-r", "coded", "-o", "back", "--scale", "1/2")
    assert result.returncode == 0, result.stderr
    assert files("back") == ["a.png", "deep/b.jpg.png", "deep/er/c.PNG"]
    assert np.array_equal(
        pixels("back/deep/er/c.PNG"), np.asarray(codec.decode(data, scale=1 / 2))
    )


def convert(source: str, target: str, progress: Progress) -> Converted:
    """Stands for a conversion; what it is to do is in the file."""
    text = Path(source).read_text()
    if text == "slow":
        time.sleep(1)
    if text == "fail":
        raise UsageError("cannot be coded")
    if text == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if text == "crash":
        ctypes.string_at(0)
    if text == "exit":
        os._exit(0)
    if text == "hang":
        time.sleep(300)
    if text == "hang in C":  # where no handler of a signal is called
        any(itertools.repeat(False))
    if text == "loop":
        while True:
            pass
    if text == "bug":
        return [][1]
    if text == "print":
        os.write(1, b"what native code has to say\n")
    if text == "pictures":
        for _ in range(4):
            progress(0)
            time.sleep(0.5)
    if text.startswith("shard"):
        done = [len(list(made_of(word, progress))) for word in text.split()[1:]]
        text = f"{sum(done)} of {len(done)}"
    Path(target).write_text(text + " done")
    return Converted("", ["a thing"] * (text == "loss"), len(text))


def made_of(word: str, progress: Progress) -> Iterator[str]:
    """What a picture in a tar file is converted to, if it is not left out."""
    try:
        progress(0)
    except CodecError:
        return
    if word == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "hang":
        time.sleep(300)
    yield word


def converted(texts: dict[str, str], **options: float) -> folders.Summary:
    """Of a tree of files with these texts."""
    for name, text in texts.items():
        path = Path("in", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    Path("out").mkdir(exist_ok=True)
    return folders.convert_tree(
        *(Path("in"), Path("out"), lambda threads: convert),
        *(lambda name: name.replace(".in", ".out"), {".in"}, 2),
        **{"force": False, "update": False, **options},
    )


def test_what_is_newer_there_is_left_as_it_is_and_what_is_older_is_kept(capfd):
    assert converted({"1.in": "a", "x/2.in": "b", "x/3.in": "c"}).done == 3
    later = time.time() + 10
    os.utime("in/x/2.in", (later, later))
    Path("out/x/3.out").unlink()
    summary = converted({"4.in": "d"})
    assert (summary.done, summary.up_to_date) == (2, 1)
    older = "in/x/2.in: out/x/2.out exists and is older; --force replaces it"
    assert summary.failures == [older]
    assert capfd.readouterr().err == f"aecodec: {older}\n"
    summary = converted({}, update=True)
    assert (summary.done, summary.up_to_date) == (1, 3)
    assert converted({}, force=True).done == 4


def test_an_empty_output_is_no_output():
    converted({"1.in": "a"})
    Path("out/1.out").write_text("")
    assert converted({}, update=True).done == 1
    assert Path("out/1.out").read_text() == "a done"


def test_a_picture_that_has_changed_is_encoded_again():
    aecodec("encode", "-r", "photos", "-o", "coded")
    Image.fromarray(picture(20, 30)).save("photos/a.png")
    later = time.time() + 10
    os.utime("photos/a.png", (later, later))
    result = aecodec("encode", "-r", "photos", "-o", "coded")
    assert "1 done" in result.stderr and "2 up to date" in result.stderr
    assert codec.read_info(Path("coded/a.png.aec").read_bytes()).width == 30


def test_originals_are_not_replaced_by_what_became_of_them():
    aecodec("encode", "-r", "photos", "-o", "photos", "-q", 1)
    before = Path("photos/a.png").read_bytes()
    older = Path("photos/a.png.aec").stat().st_mtime - 10
    os.utime("photos/a.png", (older, older))
    result = aecodec("decode", "-r", "photos", "-o", "photos")
    assert result.returncode == 1
    assert "photos/a.png exists and is older; --force replaces it" in result.stderr
    assert Path("photos/a.png").read_bytes() == before


def test_what_is_no_file_is_no_input(capfd):
    Path("in").mkdir()
    Path("in/broken.in").symlink_to("nothing")
    os.mkfifo("in/pipe.in")
    summary = converted({"a.in": "a"})
    assert summary.done == 1
    assert summary.failures == ["in/broken.in: not a file", "in/pipe.in: not a file"]


def test_a_folder_that_cannot_be_read_is_a_failure(monkeypatch):
    def walk(folder, onerror):
        onerror(PermissionError(13, "Permission denied", "in/locked"))
        return iter([("in", [], ["a.in"])])

    monkeypatch.setattr(folders.os, "walk", walk)
    summary = converted({"a.in": "a"})
    assert (summary.done, summary.failures) == (1, ["in/locked: Permission denied"])


def test_a_file_that_fails_is_named_and_the_others_are_done(capfd):
    summary = converted({"1.in": "a", "2.in": "fail", "x/3.in": "b"})
    assert summary.done == 2
    assert summary.failures == ["in/2.in: cannot be coded"]
    assert capfd.readouterr().err == "aecodec: in/2.in: cannot be coded\n"
    assert files("out") == ["1.out", "x/3.out"]


def test_no_module_of_the_current_folder_runs_in_a_worker():
    for name in ("pickle", "struct", "json"):
        Path(f"{name}.py").write_text("open('ran', 'w')")
    assert converted({"1.in": "a"}).done == 1
    assert not Path("ran").exists()


def test_a_worker_that_dies_takes_no_other_file_with_it():
    texts = {f"{n}.in": "die" if n in (2, 5) else "slow" for n in range(7)}
    summary = converted(texts)
    assert summary.done == 5
    assert sorted(failure.split(":")[0] for failure in summary.failures) == [
        "in/2.in",
        "in/5.in",
    ]
    assert all("died" in failure for failure in summary.failures)


@pytest.mark.parametrize("fault", ["crash", "exit"])
def test_however_a_worker_ends_its_file_alone_fails(fault):
    summary = converted({"1.in": "a", "2.in": fault, "3.in": "b"})
    assert summary.done == 2
    assert summary.failures == [f"in/2.in: {processes.DIED}"]


@pytest.mark.parametrize("fault", ["hang", "hang in C", "loop"])
def test_what_takes_too_long_is_ended_and_the_others_are_done(monkeypatch, fault):
    monkeypatch.setattr(workers, "GRACE_S", 0.5)
    texts = {f"{n}.in": fault if n in (2, 5) else "a" for n in range(8)}
    summary = converted(texts, timeout_s=1)
    assert summary.done == 6
    assert sorted(summary.failures) == [
        f"in/{n}.in: ended, as it took more than 1 s; see --timeout" for n in (2, 5)
    ]


def test_the_time_is_of_a_picture_not_of_a_tar_file():
    assert converted({"1.in": "pictures"}, timeout_s=1.5).done == 1


def test_a_picture_that_ends_its_process_costs_a_tar_file_itself_alone():
    texts = {"1.in": "shard a die b hang c", "2.in": "a", "3.in": "shard" + " die" * 9}
    summary = converted(texts, timeout_s=1)
    assert summary.done == 2
    assert Path("out/1.out").read_text() == "3 of 5 done"
    assert summary.failures == [f"in/3.in: {workers.DIED}"]


def test_any_error_is_the_line_of_its_file():
    summary = converted({"1.in": "a", "2.in": "bug"})
    assert summary.done == 1
    assert summary.failures == ["in/2.in: IndexError: list index out of range"]


def test_what_native_code_prints_is_no_reply(capfd):
    assert converted({"1.in": "print"}).done == 1
    assert capfd.readouterr().out == ""


def test_a_tree_is_worked_on_as_single_files_are():
    """A worker owns its process: a line for each loss, and nothing of Pillow's or of
    the engine's.
    """
    entry = struct.pack("<HHII", 0x010F, 2, 9999, 5000)  # beyond the end
    exif = struct.pack("<4sIH", b"II*\0", 8, 1) + entry + bytes(4)
    IMAGE.save("photos/a.jpg", exif=b"Exif\0\0" + exif)
    result = aecodec("encode", "-r", "photos", "-o", "coded")
    assert result.returncode == 0
    (line,) = result.stderr.splitlines()
    assert line.startswith("photos -> coded: 4 done")


def test_a_list_with_a_timeout_is_converted_by_a_process_that_may_be_ended():
    call = ("encode", "photos/a.png", "none.png", "photos/deep/b.jpg", "-o", "out/")
    result = aecodec(*call, "--timeout", 600)
    assert result.returncode == 1
    assert files("out") == ["a.aec", "b.aec"]
    assert "aecodec: none.png: No such file or directory" in result.stderr
    slow = ("encode", "photos/a.png", "-o", "b.aec", "--tune", "psnr", "-e", 9)
    result = aecodec(*slow, "--timeout", 0.01)
    assert result.returncode == 1
    assert "photos/a.png: ended, as it took more than 0.01 s" in result.stderr
    assert not Path("b.aec").exists()
    assert "--timeout is for files" in is_refused("encode", "-", "--timeout", 1)


def test_pictures_whose_names_differ_in_the_suffix_do_not_become_the_same():
    Image.fromarray(picture(8, 9)).save("photos/a.bmp")
    assert aecodec("encode", "-r", "photos", "-o", "coded").returncode == 0
    widths = [
        codec.read_info(Path("coded", name).read_bytes()).width
        for name in ("a.bmp.aec", "a.png.aec")
    ]
    assert widths == [9, 60]


def test_two_files_of_the_same_output_do_not_overwrite_each_other():
    for name in ("a.aec", "a.png.aec"):
        Path("photos", name).write_bytes(codec.encode(picture(8, 9)))
    result = aecodec("decode", "-r", "photos", "-o", "out")
    assert result.returncode == 1
    first, *_ = result.stderr.splitlines()
    line = "photos/a.png.aec: photos/a.aec is written to out/a.png, too"
    assert first == f"aecodec: {line}"
    assert files("out") == ["a.png"]


TWINS = [("a.in", "A.in"), ("Maße.in", "Masse.in"), ("x/é.in", "x/e\u0301.in")]
TWINS += [("ab/1.in", "AB/1.in"), ("ﬁ.in", "fi.in")]


@pytest.mark.parametrize("twins", TWINS)
def test_names_that_a_file_system_tells_apart_are_two_files(twins):
    summary = converted(dict.fromkeys(twins, "a"))
    there = len(files("in"))  # 1 on a file system that takes them for one
    assert (summary.done, summary.failures) == (there, [])
    assert len(files("out")) == there


def test_names_that_the_file_system_of_the_output_takes_for_one_are_told(monkeypatch):
    monkeypatch.setattr(folders, "are_one_file", lambda folder, one, other: True)
    summary = converted({"a.in": "a", "A.in": "b"})
    if len(files("in")) == 2:
        assert summary.failures == ["in/a.in: in/A.in is written to out/a.out, too"]


def test_a_folder_that_cannot_be_made_is_named():
    Path("out").mkdir()
    Path("out/x").write_text("")
    summary = converted({"x/1.in": "a"})
    assert summary.failures == ["in/x/1.in: cannot make out/x: File exists"]


def test_losses_are_said_and_successes_are_not(capfd):
    converted({"1.in": "a", "2.in": "loss"})
    assert capfd.readouterr().err == "in/2.in: lost: a thing\n"


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_a_run_that_is_stopped_leaves_no_half_of_a_file_and_goes_on():
    for number in range(6):
        image = Image.fromarray(picture(400, 600, number))
        image.save(f"photos/{number}.png")
    call = [sys.executable, "-m", "codec", "encode", "-r", "photos", "-o", "coded"]
    call += ["--tune", "psnr", "-e", "8", "-j", "2"]
    environment = os.environ | {"PYTHONPATH": str(Path(codec.__file__).parent.parent)}
    process = subprocess.Popen(call, stderr=subprocess.PIPE, text=True, env=environment)
    end = time.monotonic() + 300
    while not list(Path().glob("coded/*.aec")):
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert said == "aecodec: stopped by SIGTERM\n"
    coded = files("coded")
    assert len(coded) <= 4  # and not all that waited
    assert all(name.endswith(".aec") for name in coded)
    for name in coded:
        codec.decode(Path("coded", name).read_bytes())
    again = aecodec("encode", "-r", "photos", "-o", "coded")
    assert again.returncode == 0
    assert f"{9 - len(coded)} done" in again.stderr
    assert len(files("coded")) == 9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("photos/a.png", "-o", "x.jpg"), "x.jpg is the name of a picture"),
        (("-r", "photos"), "needs a folder to write to"),
        (("-r", "photos", "-o", "-"), "needs a folder to write to"),
        (("-r", "photos/a.png", "-o", "x"), "photos/a.png is no folder"),
        (("-r", "photos", "photos", "-o", "x"), "takes one folder"),
        (("-r", "photos", "-o", ""), "'' is not the name of a file"),
        (("photos/a.png", "--jobs", "2"), "--jobs is for --recursive"),
        (("-r", "photos", "-o", "x", "--jobs", "0"), "--jobs"),
    ],
)
def test_wrong_usage_is_refused(arguments, message):
    assert message in is_refused("encode", *arguments)
    assert not Path("x").exists()


def test_an_output_folder_that_cannot_be_made_is_named():
    for more in ((), ("-n",)):
        line = fails("encode", "-r", "photos", "-o", "photos/a.png", *more)
        assert line.startswith("aecodec: cannot make photos/a.png: ")


def test_a_folder_without_anything_to_do_is_a_failure():
    line = fails("decode", "-r", "photos", "-o", "x")
    assert line == "aecodec: photos: no .aec files in it"
    Path("none").mkdir()
    assert fails("encode", "-r", "none", "-o", "x").endswith("no pictures in it")


def test_trees_are_decoded_to_the_format_that_is_named():
    Path("jpg").mkdir()
    Image.fromarray(picture(20, 30)).save("jpg/a.jpg")
    Image.fromarray(picture(20, 30)).save("jpg/b.png")
    succeeds("encode", "-r", "jpg", "-o", "coded")
    succeeds("decode", "-r", "coded", "-o", "back", "--format", "jpg", "-q", "50")
    assert names("back") == ["a.jpg", "b.png.jpg"]
    with Image.open("back/a.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (30, 20))
    assert "is for JPEG, WEBP, AVIF, MPO, PDF, not for PNG" in is_refused(
        "decode", "-r", "coded", "-o", "x", "-q", "50"
    )


def test_salvage_takes_single_files():
    Path("coded").mkdir()
    message = is_refused("decode", "-r", "coded", "-o", "x", "--salvage")
    assert "--salvage is for single files" in message


def test_both_commands_have_the_option():
    for command in ("encode", "decode"):
        names = {name for p in main.commands[command].params for name in p.opts}
        assert {"--recursive", "--jobs"} <= names
