"""Fixtures that several modules share."""

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import picture

import codec
from codec.bundle import DEFAULT_MODEL_ID, Bundle, load_bundle


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    """The shipped model."""
    return load_bundle(DEFAULT_MODEL_ID)


@pytest.fixture(scope="session")
def small_picture() -> NDArray[np.uint8]:
    """uint8 [90, 120, 3]."""
    return picture(90, 120)


@pytest.fixture(scope="session")
def small_file(small_picture: NDArray[np.uint8]) -> bytes:
    """`small_picture` as an .aec file of one tile."""
    return codec.encode(small_picture, quality=50)
