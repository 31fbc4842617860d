"""The graphs as LiteRT runs them; above all that the integer network is exact."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import asdict

import integer_scale_network as reference
import numpy as np
import pytest

from codec.errors import CodecError
from codec.file.header import QUALITY_CODE_MAX
from codec.machine import native_stderr_silenced
from codec.networks.bundle import CONFIG, EXACT, FIRST_HALOS, read_bundle
from codec.networks.runtime import Graph, Networks


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


def test_a_graph_works_after_a_call_that_failed(bundle):
    graph = Graph(bundle.graph("analysis"), 1)  # not the shared one
    image = np.full((1, 64, 64, 3), 99, np.uint8)
    expected = graph(EXACT, image=image)["latents"]
    with pytest.raises(CodecError, match="inference failed"):
        graph(EXACT, image=np.zeros((1, 64, 0, 3), np.uint8))
    assert np.array_equal(graph(EXACT, image=image)["latents"], expected)


def test_native_messages_do_not_leak_to_standard_error():
    script = (
        "import codec, numpy as np\n"
        "for size in (64, 64), (70, 130), (1, 1):\n"
        "    data = codec.encode(np.full(size, 77, np.uint8), quality=30)\n"
        "    codec.decode(data)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True
    )
    assert result.stderr == b""
    assert result.stdout == b""


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


def test_standard_error_works_after_the_engine_has_started():
    script = (
        "import codec, sys, numpy as np\n"
        "codec.encode(np.zeros((8, 8), np.uint8))\n"
        "print('heard', file=sys.stderr)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    assert result.stderr == "heard\n"


def test_a_bundle_may_say_how_far_its_networks_see(tmp_path, bundle):
    shutil.copytree(bundle.folder, tmp_path / "wide")
    halos = {"analysis": 3, "hyper_analysis": 2, "mean": 4, "synthesis": 2}
    config = json.loads((bundle.folder / CONFIG).read_text()) | {"halos": halos}
    (tmp_path / "wide" / CONFIG).write_text(json.dumps(config))
    assert asdict(read_bundle(tmp_path / "wide").halos) == halos
    assert bundle.halos == FIRST_HALOS
