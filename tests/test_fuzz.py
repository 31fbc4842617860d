"""The fuzz targets, without the fuzzer."""

import sys
from importlib import import_module

import numpy as np
import pytest
from make_golden import GOLDEN, MALFORMED

sys.path.insert(0, str(GOLDEN.parent.parent / "fuzz"))

import fuzz_decoder
from fuzz import TARGETS
from fuzz_decoder import outcome, repaired

DATA = (GOLDEN / "65x33-q50.aec").read_bytes()


@pytest.fixture(autouse=True)
def salvage_all(monkeypatch):
    monkeypatch.setattr(fuzz_decoder, "SALVAGED", 1)


def test_an_intact_file_needs_no_repair():
    for path in GOLDEN.glob("*.aec"):
        assert repaired(path.read_bytes()) == path.read_bytes()


def test_damage_behind_the_checksums_is_reached_after_repair():
    damaged = bytearray(DATA)
    damaged[-8] ^= 1
    assert outcome(bytes(damaged)) == "refused, salvaged"
    assert outcome(repaired(bytes(damaged))) in ("decoded", "refused, salvaged")
    assert repaired(DATA[:-9])[: len(DATA) - 9] == DATA[:-9]
    assert len(repaired(DATA + b"123")) == len(DATA)


@pytest.mark.parametrize("path", sorted(MALFORMED.glob("*")), ids=lambda p: p.stem)
def test_malformed_files_are_refused_or_salvaged(path):
    assert outcome(path.read_bytes()) != "decoded"


def test_random_mutations_end_as_documented():
    random = np.random.default_rng(3)
    found = set()
    for _ in range(100):
        damaged = bytearray(DATA)
        for position in random.integers(5, len(DATA), 3):
            damaged[position] = random.integers(256)
        found.add(outcome(repaired(bytes(damaged))))
    assert {"refused, not salvaged", "refused, salvaged", "decoded"} == found


# What seeds and their mutations give; that of files is tested above.
OUTCOMES = {
    "pictures": {"read", "refused"},
    "archives": {"converted", "refused"},
    "models": {"read", "refused"},
}


@pytest.mark.parametrize("name", OUTCOMES)
def test_targets_end_as_documented(name, monkeypatch):
    module, variable, _ = TARGETS[name]
    target = getattr(import_module(module), variable)
    random, seeds = np.random.default_rng(4), target.seeds()
    found = set()
    for number in range(100):
        data = bytearray(seeds[number % len(seeds)])
        for position in random.integers(0, max(len(data), 1), 3) if data else ():
            data[position] = random.integers(256)
        found.add(target.outcome(target.repaired(bytes(data))))
    assert found >= OUTCOMES[name]


def test_a_model_that_is_read_codes_a_picture(monkeypatch):
    import fuzz_models

    monkeypatch.setattr(fuzz_models, "CODED", 1)
    assert fuzz_models.outcome(b"") == "read, codes"
