"""The same picture with the same options: the same bytes, however it is computed."""

from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context

import numpy as np
import pytest
from pictures import picture

import codec
from codec import machine

SIZES = ((40, 60), (90, 120), (300, 400), (64, 1100), (130, 70), (1, 1))


def encoded(seed: int, effort: int = 4) -> bytes:
    image = picture(*SIZES[seed % len(SIZES)], seed)
    return codec.encode(image, tune="psnr", effort=effort)


def decoded(data: bytes) -> bytes:
    return codec.decode(data).tobytes()


@pytest.mark.parametrize("effort", [1, 4, 7])
def test_files_do_not_depend_on_the_number_of_threads(monkeypatch, effort):
    files = set()
    for threads in (1, 2, 3, 8):
        monkeypatch.setattr(machine, "cpu_count", lambda threads=threads: threads)
        files.add(encoded(2, effort))
    assert len(files) == 1


@pytest.mark.parametrize(
    "workers",
    [
        ThreadPoolExecutor,
        partial(ProcessPoolExecutor, mp_context=get_context("spawn")),
    ],
    ids=["threads", "processes"],
)
def test_concurrent_calls_give_what_single_ones_do(workers):
    seeds = range(12)
    files = [encoded(seed) for seed in seeds]
    pictures = [decoded(data) for data in files]
    pool: Executor
    with workers(4) as pool:
        assert list(pool.map(encoded, seeds)) == files
        assert list(pool.map(decoded, files)) == pictures


def test_arrays_of_any_memory_layout_give_the_same_file():
    image = picture(70, 90)
    data = codec.encode(image)
    padded = np.zeros((80, 200, 3), np.uint8)
    padded[3:73, 5:185:2] = image
    for other in (
        np.asfortranarray(image),
        padded[3:73, 5:185:2],
        image[::-1].copy()[::-1],
    ):
        assert codec.encode(other) == data
