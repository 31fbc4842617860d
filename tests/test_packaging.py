"""Sdist and wheel: what is in them, and that the wheel works where nothing else is."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from make_golden import GOLDEN
from PIL import Image

import codec
from codec.networks.bundle import ARRAYS, CONFIG, GRAPHS
from codec.networks.fingerprints import PROJECTION
from codec.networks.shipped import (
    DEFAULT_MODEL_ID,
    HEAD_DIGESTS,
    OBJECTIVE_DIGESTS,
    SHIPPED,
)
from codec.web.site import FILES, PAGES

ROOT = Path(__file__).parent.parent
GALLERY = ROOT / "codec" / "app" / "service" / "pages"
SAID = {"CHANGELOG.md", "LICENSE", "MANIFEST.in", "README.md", "pyproject.toml"}
UNWANTED = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH"}


def run(*command: object, folder: Path | None = None) -> str:
    """All that a command says; with bytecode, or the build warns of having none."""
    environment = {k: v for k, v in os.environ.items() if k not in UNWANTED}
    result = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, Path, str]:
    """(sdist, the wheel that was made of it, what the build said), from a copy, so that
    the checkout stays clean.
    """
    folder = tmp_path_factory.mktemp("built")
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    names = [".git", *(name.rstrip("/") for name in ignored)]
    shutil.copytree(ROOT, folder / "source", ignore=shutil.ignore_patterns(*names))
    options = ("--no-isolation", "--outdir", folder / "out", folder / "source")
    said = run(sys.executable, "-m", "build", *options)
    (sdist,) = (folder / "out").glob("*.tar.gz")
    (wheel,) = (folder / "out").glob("*.whl")
    return sdist, wheel, said


@pytest.fixture(scope="module")
def wheel(built) -> Path:
    return built[1]


@pytest.fixture(scope="module")
def programs(wheel, tmp_path_factory) -> Path:
    """Folder of the programs of an environment with the wheel, and what it needs from
    the package registry, alone.
    """
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    run(sys.executable, "-m", "pip", "--python", folder, "install", "-q", wheel)
    return folder / ("Scripts" if os.name == "nt" else "bin")


def test_the_build_warns_of_nothing(built):
    assert "warning" not in built[2].lower()


def test_the_sdist_is_the_package_and_what_it_says_of_itself(built):
    with tarfile.open(built[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    made = {name for name in names if ".egg-info" in name}
    made |= {"", "PKG-INFO", "setup.cfg"}
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "codec").rglob("*")
        if "__pycache__" not in path.parts
        # Runs and their weights are of the checkout alone.
        and not any(map(path.match, ("training/RUNS.md", "training/*.npz")))
    }
    assert names - made == {"codec", *package, *SAID}


def test_the_wheel_is_named_after_the_package_and_fits_every_platform(wheel):
    assert wheel.name == f"aecodec-{codec.__version__}-py3-none-any.whl"


def test_the_wheel_holds_models_format_and_license(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    files = [CONFIG, ARRAYS, *(f"{graph}.tflite" for graph in GRAPHS)]
    models = {f"codec/models/{m}/{file}" for m, _ in SHIPPED.values() for file in files}
    heads = {
        f"codec/models/heads-{model_id}/{head}.tflite"
        for model_id, shipped in HEAD_DIGESTS.items()
        for head in shipped
    }
    projection = f"codec/models/search-{DEFAULT_MODEL_ID}/{PROJECTION}"
    found = {name for name in names if name.startswith("codec/models/")}
    objectives = {
        f"codec/models/objectives/{tune}.tflite" for tune in OBJECTIVE_DIGESTS
    }
    assert found == models | heads | objectives | {projection}
    assert {"codec/FORMAT.md", "codec/py.typed"} <= names
    sent = [path for folder in (FILES, PAGES, GALLERY) for path in folder.iterdir()]
    assert {path.relative_to(ROOT).as_posix() for path in sent} <= names
    assert any(name.endswith("LICENSE") for name in names)


def test_the_wheel_holds_every_module_and_no_tests(wheel):
    names = {n for n in zipfile.ZipFile(wheel).namelist() if n.endswith(".py")}
    assert names == {
        path.relative_to(ROOT).as_posix() for path in (ROOT / "codec").rglob("*.py")
    }


def test_the_wheel_installs_the_command(wheel):
    archive = zipfile.ZipFile(wheel)
    (name,) = (n for n in archive.namelist() if n.endswith("entry_points.txt"))
    assert "aecodec = codec.app.cli:main" in archive.read(name).decode().splitlines()


def test_an_empty_environment_encodes_and_decodes(programs, tmp_path):
    aecodec, python = programs / "aecodec", programs / "python"
    Image.new("RGB", (70, 40), "teal").save(tmp_path / "photo.png")
    run(aecodec, "encode", "photo.png", folder=tmp_path)
    run(aecodec, "decode", "photo.aec", "-o", "back.png", folder=tmp_path)
    with Image.open(tmp_path / "back.png") as image:
        assert image.size == (70, 40)
    assert "70 x 40" in run(aecodec, "info", "photo.aec", folder=tmp_path)
    place = run(python, "-c", "import codec; print(codec.__file__)", folder=tmp_path)
    assert Path(place.strip()).is_relative_to(programs.parent)


def test_an_empty_environment_decodes_as_it_should_and_has_no_framework(
    programs, tmp_path
):
    file = GOLDEN / "96x70-q50.aec"
    options = "-o", "golden.png", "--precision", "exact"
    run(programs / "aecodec", "decode", file, *options, folder=tmp_path)
    with (
        Image.open(tmp_path / "golden.png") as image,
        Image.open(file.with_suffix(".png")) as expected,
    ):
        difference = np.asarray(image, int) - np.asarray(expected, int)
    assert np.abs(difference).max() <= 1
    find = "import importlib.util as u; print(*map(u.find_spec, {!r}))"
    found = run(programs / "python", "-c", find.format(["keras", "tensorflow"]))
    assert found.split() == ["None", "None"]


def test_the_container_file_copies_what_is_there_and_runs_without_rights():
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    names = re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE)
    for name in " ".join(names).split():
        assert (ROOT / name).exists()
        assert f"!{name}" in allowed
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert len(set(bases)) == 1
    assert not bases[0].endswith(":latest")
    assert re.search(r"^USER (\d+)", text, re.MULTILINE)[1] != "0"
    # The user has no home, and the root is read-only.
    run_by = (ROOT / "docs" / "container.md").read_text(encoding="utf-8")
    (writable,) = re.findall(r"--tmpfs (\S+)", run_by)
    assert re.search(rf"^ENV .*\bXDG_CACHE_HOME={writable}$", text, re.MULTILINE)
