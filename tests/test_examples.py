"""Every example of the README and of docs/ is run: blocks of `python` as they stand,
blocks of `sh` line by line. A line that nothing here runs is a failure. Of some,
and of commands in other documents, the command and its options are looked at.
"""

import re
import shlex
import shutil
import subprocess
import sys
import tarfile
from fnmatch import fnmatch
from pathlib import Path

import click
import numpy as np
import pytest
from command_line import names, succeeds
from parts import PARTS
from pictures import picture
from PIL import Image, ImageFilter

import codec
from codec.app.cli import main
from codec.networks.adaptation import pack_model
from codec.networks.shipped import DEFAULT_MODEL_ID, load_bundle

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OTHERS = [ROOT / name for name in ("SECURITY.md", "benchmarks/README.md")]
# They have tests of their own, and take long, wait, or change the user's desktop.
NOT_RUN = ("adapt", "corpus", "desktop", "serve", "view")
IN_PIPELINES = {"torch", "tensorflow", "webdataset"}  # by test_pipelines.py
RUNS_AECODEC = """set -eo pipefail; aecodec() { %s -m codec "$@"; }; """
COMMAND = r"^    ((?:aecodec|bin/|pip |python -m (?:benchmarks|codec)).*)$"


def blocks(path, language):
    text = path.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def named(path, lines):
    return [pytest.param(line, id=f"{path.name}: {line}") for line in lines]


LINES = [
    parameter
    for path in PAGES
    for block in blocks(path, "sh")
    for parameter in named(path, block.splitlines())
]
MENTIONED = [
    parameter
    for path in (*PAGES, *OTHERS)
    for parameter in named(path, re.findall(COMMAND, path.read_text(), re.M))
]
PYTHON = [
    pytest.param(block, id=f"{path.name}, {number}")
    for path in PAGES
    for number, block in enumerate(blocks(path, "python"))
    if not IN_PIPELINES & set(re.findall(r"\w+", block))
]


@pytest.fixture(scope="session")
def inputs(tmp_path_factory):
    """A folder with all that examples read."""
    folder = tmp_path_factory.mktemp("inputs")
    for name in ("photos", "coded"):
        (folder / name).mkdir()
    for number in range(3):
        image = Image.fromarray(picture(64, 96, number))
        pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(0.5)))
        Image.fromarray(pixels).save(folder / "photos" / f"{number}.jpg")
        data = codec.encode(pixels, content="photo")
        (folder / "coded" / f"{number}.aec").write_bytes(data)
    (folder / "photo.aec").write_bytes(data)
    for name, colors in (("psnr", pixels), ("gray", pixels[..., 0])):
        data = codec.encode(colors, tune="psnr", content="photo")
        (folder / f"{name}.aec").write_bytes(data)
    model = folder / "scans.aecm"
    model.write_bytes(pack_model(load_bundle(DEFAULT_MODEL_ID), {}))
    data = codec.encode(pixels, bundle=codec.read_model(model), content="photo")
    (folder / "scan.aec").write_bytes(data)
    for name in ("photo.png", "photo.jpg", "screen.png", "scan.png"):
        Image.fromarray(pixels).save(folder / name)
    with tarfile.open(folder / "shard.tar", "w") as shard:
        shard.add(folder / "photo.jpg", "0001.jpg")
    return folder


def provide(inputs, words):
    """Copy what `words` name to the current folder, but for the output."""
    for before, word in zip(["", *words], words, strict=False):
        for name in names(inputs) if before != "-o" else ():
            if fnmatch(name, word.partition("/")[0]):
                copy = shutil.copytree if (inputs / name).is_dir() else shutil.copy
                copy(inputs / name, name)


def expanded(words):
    matches = (sorted(Path().glob(word)) if "*" in word else [word] for word in words)
    return [match for found in matches for match in found]


def check_options(command, words):
    """That there is such a command, with such options."""
    while isinstance(command, click.Group):
        name, *words = words
        command = command.commands[name]
    command.make_parser(click.Context(command)).parse_args(list(words))


def check_extras(words):
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for extra in re.findall(r"\w+", "".join(re.findall(r"\[(.*?)\]", " ".join(words)))):
        assert re.search(rf"^{extra} = \[", project, re.M), extra


def check_command(program, words):
    """Without running it."""
    if program == "pip":
        check_extras(words)
    elif program == "bin/test":
        assert set(words) <= {"style", *PARTS}
    elif words[:2] == ["-m", "benchmarks"]:
        pytest.importorskip("matplotlib")
        from benchmarks.__main__ import main as benchmarks

        check_options(benchmarks, words[2:])
    elif words[:2] == ["-m", "codec.training"]:
        pytest.importorskip("keras")
        from codec.training.__main__ import main as training

        check_options(training, words[2:])
    else:
        assert program in ("aecodec", "bin/aecodec")
        check_options(main, words)


def ask(inputs, words):
    """What curl would, of a service in this process."""
    pytest.importorskip("starlette")
    from starlette.testclient import TestClient

    from codec.app.service.limits import Limits
    from codec.app.service.routes import application

    *options, url = words
    path = url.removeprefix("http://127.0.0.1:8000")
    provide(inputs, ["photo.aec"])
    limits = Limits(max_pixels=2**20, upload_bytes=2**20, jobs=1, timeout_s=60)
    with TestClient(application(Path(), True, limits)) as client:
        if options:
            option, name = options
            assert option == "-T"
            answer = client.put(path, content=(inputs / name).read_bytes())
        else:
            answer = client.get(path)
    assert answer.is_success, answer.text


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_the_shell_runs(line, inputs, tmp_path, monkeypatch):
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    program, *words = shlex.split(line, comments=True)
    if "|" in words:
        provide(inputs, words[: words.index("|")])
        script = RUNS_AECODEC % shlex.quote(sys.executable) + line
        subprocess.run(["bash", "-c", script], check=True)
    elif program == "curl":
        ask(inputs, words)
    elif program != "aecodec" or words[0] in NOT_RUN:
        check_command(program, words)
    else:
        provide(inputs, words)
        succeeds(*expanded(words))


@pytest.mark.parametrize("line", MENTIONED)
def test_a_command_of_a_document_exists(line):
    if not line.startswith("pip"):
        line = re.sub(r"[\[\]]|\.\.\.", "", line)  # of what may be left out
    program, *words = shlex.split(line, comments=True)
    check_command(program, words)


@pytest.mark.parametrize("block", PYTHON)
def test_a_block_of_python_runs(block, inputs, tmp_path, monkeypatch, registered):
    shutil.copytree(inputs, tmp_path / "inputs")
    monkeypatch.chdir(tmp_path / "inputs")
    exec(block, {})


def test_a_line_that_is_wrong_is_found():
    for line in ("aecodec encode a.png --none", "aecodec none", "pip install .[none]"):
        program, *words = line.split()
        with pytest.raises((AssertionError, KeyError, click.NoSuchOption)):
            check_command(program, words)
