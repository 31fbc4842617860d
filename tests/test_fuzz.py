"""The fuzzing script, without the fuzzer."""

import sys

import numpy as np
import pytest
from make_golden import GOLDEN, MALFORMED

sys.path.insert(0, str(GOLDEN.parent.parent / "fuzz"))

import fuzz_decode
from fuzz_decode import outcome, repaired

DATA = (GOLDEN / "65x33-q50.aec").read_bytes()


@pytest.fixture(autouse=True)
def salvage_all(monkeypatch):
    monkeypatch.setattr(fuzz_decode, "SALVAGED", 1)


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
