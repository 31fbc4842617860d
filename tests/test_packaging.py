"""The wheel: what is in it, and that it works away from the checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from PIL import Image

import codec
from codec.networks.bundle import ARRAYS, CONFIG, GRAPHS
from codec.networks.shipped import HEAD_DIGESTS, SHIPPED

ROOT = Path(__file__).parent.parent
SOURCES = ("pyproject.toml", "README.md", "LICENSE")


def pip(*arguments: object) -> None:
    """Run pip, its output on standard error only when it fails."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    result = subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def isolation() -> list[str]:
    """Build with the environment's setuptools if it is new enough, else with a fresh
    one from the package registry.
    """
    try:
        new_enough = int(version("setuptools").split(".")[0]) >= 77
    except PackageNotFoundError:
        new_enough = False
    return ["--no-build-isolation"] if new_enough else []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy, so that the checkout stays clean."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(
        ROOT / "codec", source / "codec", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in SOURCES:
        shutil.copy(ROOT / name, source / name)
    pip("wheel", "--no-deps", *isolation(), source, "-w", folder / "out")
    (path,) = (folder / "out").iterdir()
    return path


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory) -> Path:
    """The wheel installed in a folder of its own."""
    folder = tmp_path_factory.mktemp("installed") / "site"
    pip("install", "--no-deps", "--target", folder, wheel)
    return folder


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
    found = {name for name in names if name.startswith("codec/models/")}
    assert found == models | heads
    assert {"codec/FORMAT.md", "codec/py.typed"} <= names
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


def test_the_installed_package_encodes_and_decodes_elsewhere(site, tmp_path):
    Image.new("RGB", (70, 40), "teal").save(tmp_path / "photo.png")
    environment = os.environ | {"PYTHONPATH": str(site)}

    def python(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    place = python("-c", "import codec; print(codec.__file__)").strip()
    assert Path(place).is_relative_to(site)
    python("-m", "codec", "encode", "photo.png")
    python("-m", "codec", "decode", "photo.aec", "-o", "back.png")
    with Image.open(tmp_path / "back.png") as image:
        assert image.size == (70, 40)
    assert "70 x 40" in python("-m", "codec", "info", "photo.aec")
