"""The graphs as LiteRT runs them; above all that the integer network is exact."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import integer_scale_network as reference
import numpy as np
import pytest
from pictures import picture
from PIL import Image

import codec
from codec.errors import CodecError
from codec.file.header import QUALITY_CODE_MAX
from codec.machine import native_stderr_silenced
from codec.networks import runtime
from codec.networks.bundle import (
    CONFIG,
    DESCRIPTOR_STEP,
    EXACT,
    read_bundle,
)
from codec.networks.runtime import Graph, Networks

ROOT = Path(codec.__file__).parent.parent


@pytest.fixture(scope="module")
def layers(bundle):
    return reference.read_layers(bundle.graph("scales"))


def hyper_latents(bundle, rows, columns, spread, seed=0):
    """Random integers in [-spread, spread]."""
    random = np.random.default_rng(seed)
    shape = (rows, columns, bundle.hyper_channels)
    return random.integers(-spread, spread + 1, shape)


@pytest.mark.parametrize("spread", [0, 1, 8, 127])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 5), (4, 3)])
def test_table_indices_are_bit_identical_to_integer_arithmetic(
    bundle, layers, rows, columns, spread
):
    hyper = hyper_latents(bundle, rows, columns, spread, seed=spread)
    entry = hyper[None].astype(np.float32)
    for offset in (0, 1, 13, bundle.index_offset_max):
        expected = reference.table_index(layers, hyper, offset)
        for threads in (1, 2):
            index = Networks(bundle, threads).table_index(entry, offset)
            assert index.dtype == np.uint8
            assert np.array_equal(index[0], expected)


def test_table_indices_of_a_whole_tile_are_bit_identical(bundle, layers):
    hyper = hyper_latents(bundle, 16, 16, bundle.hyper_limit)
    expected = reference.table_index(layers, hyper, 20)
    for threads in (1, 2):
        entry = hyper[None].astype(np.float32)
        assert np.array_equal(
            Networks(bundle, threads).table_index(entry, 20)[0], expected
        )


@pytest.mark.parametrize("sign", [1, -1])
def test_table_indices_are_exact_for_the_largest_sums(bundle, layers, sign):
    """Hyper-latents at their limits, with the signs of one filter of layer 0."""
    kernel, _ = layers[0]
    for filter_number in (0, 101, 383):
        hyper = np.where(kernel[..., filter_number] < 0, -1, 1) * (
            sign * bundle.hyper_limit
        )
        expected = reference.table_index(layers, hyper, bundle.index_offset_max)
        entry = hyper[None].astype(np.float32)
        index = Networks(bundle, 2).table_index(entry, bundle.index_offset_max)
        assert np.array_equal(index[0], expected)


def test_the_indices_use_a_good_part_of_their_range(layers, bundle):
    """Or the tests above would compare constants."""
    hyper = hyper_latents(bundle, 4, 4, bundle.hyper_limit)
    assert len(np.unique(reference.table_index(layers, hyper, 10))) > 20


def test_every_partial_sum_is_exact_in_float32(bundle, layers):
    sums = reference.largest_sums(layers, bundle.index_offset_max)
    assert max(sums) < reference.EXACT_LIMIT
    assert bundle.hyper_limit == reference.HYPER_LIMIT


def test_table_indices_stay_within_the_residual_tables(bundle):
    assert len(bundle.residual_tables.length) == reference.LIMITS[-1] + 1


def test_residuals_and_reconstruction_agree(bundle):
    """The difference to the mean is rounded; what is rebuilt is within half a step."""
    random = np.random.default_rng(1)
    networks, vectors = Networks(bundle), bundle.vectors(QUALITY_CODE_MAX // 2)
    gains = vectors["gain"], vectors["inverse_gain"]
    shape = (1, 8, 12, bundle.latent_channels)
    latents = (4 * random.standard_normal(shape)).astype(np.float32)
    hyper = hyper_latents(bundle, 2, 3, 5)[None].astype(np.float32)
    rounding = np.full(shape, 0.5, np.float32)
    residuals, _ = networks.quantize(latents, hyper, rounding, *gains)
    assert np.array_equal(residuals, np.round(residuals))
    rebuilt = networks.reconstruct(residuals, hyper, *gains)
    assert np.abs(rebuilt - latents).max() < 0.51


def test_a_low_rounding_leaves_no_residual(bundle):
    random = np.random.default_rng(2)
    networks, vectors = Networks(bundle), bundle.vectors(0)
    gains = vectors["gain"], vectors["inverse_gain"]
    shape = (1, 4, 4, bundle.latent_channels)
    latents = (9 * random.standard_normal(shape)).astype(np.float32)
    hyper = np.zeros((1, 1, 1, bundle.hyper_channels), np.float32)
    rounding = np.full(shape, -(2.0**20), np.float32)
    assert not networks.quantize(latents, hyper, rounding, *gains)[0].any()


def test_hyper_latents_are_integers_within_their_limit(bundle):
    random = np.random.default_rng(3)
    shape = (1, 8, 8, bundle.latent_channels)
    latents = (1000 * random.standard_normal(shape)).astype(np.float32)
    gain = bundle.vectors(QUALITY_CODE_MAX)["gain"]
    hyper = Networks(bundle).hyper_analyze(latents, gain)
    assert hyper.shape == (1, 2, 2, bundle.hyper_channels)
    assert np.array_equal(hyper, np.round(hyper))
    assert np.abs(hyper).max() <= bundle.hyper_limit


def test_shapes_may_change_from_call_to_call(bundle):
    networks = Networks(bundle)
    for rows, columns in ((1, 1), (3, 2), (1, 1), (2, 5)):
        image = np.zeros((1, 64 * rows, 64 * columns, 3), np.uint8)
        assert networks.analyze(image).shape[1:3] == (4 * rows, 4 * columns)


def test_threads_that_ask_together_load_a_graph_once(bundle, monkeypatch):
    made, path = [], bundle.graph("scales")
    real = runtime.Graph.load

    def load(graph, *arguments):
        made.append(graph)
        real(graph, *arguments)

    monkeypatch.setattr(runtime.Graph, "load", load)
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: runtime.load_graph(path, 3), range(16)))
    assert len(found) == 1
    assert len(made) <= 1


def test_a_graph_works_after_a_call_that_failed(bundle):
    graph = Graph(bundle.graph("analysis"), 1)  # not the shared one
    image = np.full((1, 64, 64, 3), 99, np.uint8)
    expected = graph(EXACT, image=image)["latents"]
    with pytest.raises(CodecError, match="inference failed"):
        graph(EXACT, image=np.zeros((1, 64, 0, 3), np.uint8))
    assert np.array_equal(graph(EXACT, image=image)["latents"], expected)


def output_of(script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    call = [sys.executable, "-c", script, *arguments]
    return subprocess.run(call, capture_output=True, check=True, text=True, timeout=300)


@pytest.mark.parametrize("command", ["encode", "decode", "features"])
def test_native_messages_do_not_leak_into_those_of_the_command_line(command, folder):
    Path("photo.aec").write_bytes(codec.encode(Image.open("photo.png"), effort=1))
    arguments = {
        "encode": ["encode", "photo.png", "-e", "1", "-o", "-"],
        "decode": ["decode", "photo.aec", "-o", "-"],
        "features": ["features", "photo.aec", "-o", "new.npz"],
    }[command]
    call = [sys.executable, "-m", "codec", *arguments]
    result = subprocess.run(call, capture_output=True, check=True, cwd=folder)
    assert b"INFO" not in result.stderr
    assert b"TensorFlow" not in result.stderr


LOUD = """
import os, sys, threading
import codec, numpy as np
codec.decode  # imported
stopped, lines = threading.Event(), 0
def speak():
    global lines
    while not stopped.wait(0.001):
        os.write(2, b"heard\\n")
        lines += 1
thread = threading.Thread(target=speak)
thread.start()
data = codec.encode(np.zeros((8, 8), np.uint8), threads=1)
for threads in (1, 2, 3):
    codec.decode(data, threads=threads)
stopped.set()
thread.join()
print(lines)
"""


def test_no_line_of_another_thread_is_lost_while_graphs_are_loaded():
    result = output_of(LOUD)
    assert result.stderr.count("heard\n") == int(result.stdout) > 0


UNCHANGED = """
import logging, os, warnings
from PIL import Image
import numpy as np

def state():
    handlers = list(logging.getLogger("PIL").handlers)
    environment = dict(os.environ)
    return Image.MAX_IMAGE_PIXELS, list(warnings.filters), handlers, environment

before = state()
import codec
from codec.picture.reading import picture_in
data = codec.encode(np.zeros((8, 8, 3), np.uint8))
codec.decode(data).save("picture.png")
picture_in(open("picture.png", "rb").read(), 2**20, ())
print(state() == before)
"""


def test_the_state_of_the_process_stays_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert output_of(UNCHANGED).stdout == "True\n"


FORKED = """
import multiprocessing, os, sys, threading
import codec, numpy as np

image = np.arange(3 * 200 * 100, dtype=np.uint8).reshape(200, 100, 3)
when = sys.argv[1]
context = multiprocessing.get_context("fork")

def work(data, expected):
    assert codec.decode(data, threads=2).tobytes() == expected
    codec.encode(image, threads=2)

def wait_for(child):
    child.start()
    child.join(60)
    print(child.exitcode)
    child.kill()

if when == "before":  # the first call of this process is in its child
    wait_for(context.Process(target=codec.encode, args=(image,)))
elif when == "loading":
    loading = threading.Thread(target=codec.encode, args=(image,))
    loading.start()
    children = [context.Process(target=codec.encode, args=(image,)) for _ in range(4)]
    for child in children:
        wait_for(child)
    loading.join()
else:
    data = codec.encode(image, threads=2)
    expected = codec.decode(data, threads=2).tobytes()
    stopped = threading.Event()

    def forever():
        while not stopped.is_set():
            codec.decode(data, threads=2)

    threads = [threading.Thread(target=forever) for _ in range(2)]
    if when == "during":
        for thread in threads:
            thread.start()
    for _ in range(3):
        wait_for(context.Process(target=work, args=(data, expected)))
    if when == "exit":  # orderly, of a child and of a child of it
        child = os.fork()
        if not child and not os.fork():
            work(data, expected)
            sys.exit()
        if not child:
            _, status = os.wait()
            sys.exit(status)
        print(os.waitpid(child, 0)[1])
    stopped.set()
    work(data, expected)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot fork here")
@pytest.mark.parametrize(
    ("when", "children"),
    [("before", 1), ("loading", 4), ("during", 3), ("after", 3), ("exit", 4)],
)
def test_forked_children_work(when, children):
    assert output_of(FORKED, when).stdout.split() == ["0"] * children


def test_any_number_of_threads_gives_the_same():
    pictures = [picture(70 + 9 * n, 90, seed=n) for n in range(4)]
    files = [codec.encode(p, effort=1) for p in pictures]
    decoded = [codec.decode(f).tobytes() for f in files]

    def both(n):
        file = codec.encode(pictures[n % 4], effort=1)
        return file, codec.decode(file).tobytes()

    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(both, range(32)))
    assert results == [(files[n % 4], decoded[n % 4]) for n in range(32)]


def test_standard_error_survives_two_threads_that_silence_it():
    before, first_is_in = os.fstat(2), threading.Event()

    def first():
        with native_stderr_silenced():
            first_is_in.set()
            time.sleep(0.1)

    def second():
        first_is_in.wait()
        with native_stderr_silenced():
            time.sleep(0.2)

    saved, threads = os.dup(2), [threading.Thread(target=f) for f in (first, second)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        after = os.fstat(2)
    finally:
        os.dup2(saved, 2)
        os.close(saved)
    assert (after.st_dev, after.st_ino) == (before.st_dev, before.st_ino)


def test_a_bundle_may_say_how_far_its_networks_see(tmp_path, bundle):
    shutil.copytree(bundle.folder, tmp_path / "wide")
    halos = {"analysis": 3, "hyper_analysis": 2, "mean": 4, "synthesis": 2}
    config = json.loads((bundle.folder / CONFIG).read_text()) | {"halos": halos}
    (tmp_path / "wide" / CONFIG).write_text(json.dumps(config))
    assert asdict(read_bundle(tmp_path / "wide").halos) == halos


def test_descriptors_take_steps_alike_whatever_the_units_of_latents(bundle):
    steps = np.exp(bundle.log_inverse_gain[-1])
    assert np.allclose(bundle.descriptor_scale * steps, DESCRIPTOR_STEP)
