"""Files of released versions decode for ever: the same integers, the same picture."""

import json

import numpy as np
import pytest
from make_golden import CASES, GOLDEN, GOLDEN_JSON, LARGEST_BYTES, symbols_sha256
from PIL import Image

import codec
from codec.file.container import unpack

NAMES = sorted(path.stem for path in GOLDEN.glob("*.aec"))


def test_the_golden_files_are_all_there():
    """An empty folder would let the tests below pass without looking at anything."""
    assert len(NAMES) == len(CASES)
    assert sorted(json.loads(GOLDEN_JSON.read_text())) == NAMES
    assert sorted(path.stem for path in GOLDEN.glob("*.png")) == NAMES


def test_the_golden_files_are_small():
    assert sum(path.stat().st_size for path in GOLDEN.iterdir()) <= LARGEST_BYTES


def test_one_golden_file_has_several_tiles():
    tiles = [codec.read_info((GOLDEN / f"{n}.aec").read_bytes()).tiles for n in NAMES]
    assert max(tiles) > 1


@pytest.mark.parametrize("name", NAMES)
def test_the_symbols_of_a_golden_file_are_exactly_the_same(name):
    container = unpack((GOLDEN / f"{name}.aec").read_bytes())
    assert symbols_sha256(container) == json.loads(GOLDEN_JSON.read_text())[name]


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_of_a_golden_file_is_the_same_within_one_gray_level(name):
    decoded = codec.decode((GOLDEN / f"{name}.aec").read_bytes(), precision="exact")
    with Image.open(GOLDEN / f"{name}.png") as expected:
        assert decoded.size == expected.size
        assert decoded.mode == expected.mode
        difference = np.asarray(decoded, int) - np.asarray(expected, int)
    assert np.abs(difference).max() <= 1


def test_the_metadata_of_a_golden_file_are_the_same():
    name = "alpha-and-metadata"
    decoded = codec.decode((GOLDEN / f"{name}.aec").read_bytes())
    assert decoded.info == CASES[name][0].info
