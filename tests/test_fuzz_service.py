"""The fuzzing script for the service, without the fuzzer."""

import sys

import pytest
from make_golden import GOLDEN

pytest.importorskip("starlette")
sys.path.insert(0, str(GOLDEN.parent.parent / "fuzz"))

from fuzz_service import REQUESTS, Service, folder, mutated

from codec.app.service.work import Work


@pytest.fixture
def service(monkeypatch):
    monkeypatch.setattr(Work, "in_process", Work.in_process)  # put back afterwards
    with folder() as root:
        yield Service(root)


def test_requests_to_begin_with_are_answered_as_they_are_meant(service):
    found = [service.outcome(data) for data in REQUESTS]
    assert found == [200, 307, 200, 304, 200, 200, 201]


def test_random_mutations_are_answered_and_nothing_is_lost(service):
    found = set()
    for seed in range(600):
        found.add(service.outcome(mutated(REQUESTS[seed % len(REQUESTS)], seed)))
    assert {200, 201, 304, 307, 400, 404, 405} <= found


def test_what_must_not_happen_is_noticed(service):
    secret = (service.root.parent / "secret.aec").read_bytes()
    (service.root / "photo.aec").write_bytes(secret)
    with pytest.raises(AssertionError):
        service.outcome(b"GET /photo.aec?format=aec HTTP/1.1\n\n")
