"""Fixtures that several modules share."""

import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import ORIGINAL
from numpy.typing import NDArray
from pictures import picture
from PIL import Image

import codec
from codec import pillow_plugin
from codec.networks.bundle import Bundle
from codec.networks.shipped import DEFAULT_MODEL_ID, TUNES, load_bundle


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    """The default model."""
    return load_bundle(DEFAULT_MODEL_ID)


@pytest.fixture(scope="session")
def refinable() -> Bundle:
    """The shipped model whose synthesis has the signature `gradient`."""
    return load_bundle(TUNES["psnr"].model_id)


@pytest.fixture(scope="session")
def small_picture() -> NDArray[np.uint8]:
    """uint8 [90, 120, 3]."""
    return picture(90, 120)


@pytest.fixture(scope="session")
def small_file(small_picture: NDArray[np.uint8]) -> bytes:
    """`small_picture` as an .aec file of one tile."""
    return codec.encode(small_picture, quality=50)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with photo.png, the current one."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(ORIGINAL).save("photo.png")
    return tmp_path


@pytest.fixture
def coded(folder: Path) -> bytes:
    """photo.aec, as `encode` writes it."""
    data = codec.encode(ORIGINAL)
    Path("photo.aec").write_bytes(data)
    return data


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The command `aecodec`, in a folder whose name shells have to quote."""
    program = tmp_path / "100% of $my `programs`" / "aecodec"
    program.parent.mkdir()
    root = Path(codec.__file__).parent.parent
    environment = f"PYTHONPATH={shlex.quote(str(root))}"
    python = shlex.quote(sys.executable)
    program.write_text(f'#!/bin/sh\n{environment} exec {python} -m codec "$@"\n')
    program.chmod(0o755)
    return program


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow reads and writes .aec files, in this test alone."""
    Image.init()
    for name in ("ID", "OPEN", "SAVE", "EXTENSION", "MIME"):
        monkeypatch.setattr(Image, name, getattr(Image, name).copy())
    pillow_plugin.register()
