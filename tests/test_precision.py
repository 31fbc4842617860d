"""Residual branches in int8: the precision of decoding, the analysis of low efforts."""

import numpy as np
import pytest
from command_line import pixels, succeeds
from pictures import picture, psnr

import codec
from codec.networks import runtime
from codec.networks import windows as win
from codec.networks.bundle import EXACT, FAST
from codec.networks.shipped import TUNES, load_bundle
from codec.options import AUTO, quality_code


@pytest.mark.parametrize("tune", TUNES)
@pytest.mark.parametrize("quality", [10, 60, 95])
def test_a_fast_picture_is_nearly_the_exact_one(tune, quality):
    data = codec.encode(picture(192, 256), quality=quality, tune=tune)
    exact, fast, auto = (codec.decode(data, precision=p) for p in (EXACT, FAST, AUTO))
    assert psnr(fast, exact) > 40
    assert not np.array_equal(fast, exact)
    assert np.array_equal(auto, fast if tune == "visual" else exact)
    assert np.array_equal(auto, codec.decode(data))


@pytest.mark.parametrize("tune", TUNES)
def test_a_fast_analysis_gives_nearly_as_good_a_file(tune):
    image = picture(192, 256)
    fast, exact = (codec.encode(image, tune=tune, effort=effort) for effort in (3, 4))
    assert len(fast) == pytest.approx(len(exact), rel=0.06)
    assert psnr(codec.decode(fast), image) > psnr(codec.decode(exact), image) - 0.1


@pytest.mark.parametrize("tune", TUNES)
def test_fast_latents_are_nearly_the_exact_ones(tune):
    bundle = load_bundle(TUNES[tune].model_id)
    image = picture(256, 256)[None]
    fast, exact = (
        runtime.Networks(bundle, analysis=precision).analyze(image)
        for precision in (FAST, EXACT)
    )
    assert not np.array_equal(fast, exact)
    steps = (fast - exact) * bundle.vectors(quality_code(60))["gain"]
    assert np.sqrt(np.mean(steps**2)) < 0.1


def test_only_what_may_be_fast_is(monkeypatch, small_picture):
    used = []
    call = runtime.Graph.__call__

    def noted(graph, signature, **arrays):
        used.append(signature)
        return call(graph, signature, **arrays)

    monkeypatch.setattr(runtime.Graph, "__call__", noted)
    data = codec.encode(small_picture, effort=3)
    assert used.count(FAST) == 1
    used.clear()
    codec.encode(small_picture, effort=4)
    codec.decode(data, precision=EXACT)
    codec.decode(data, scale=1 / 2)
    assert FAST not in used
    used.clear()
    codec.decode(data, precision=FAST)
    assert used.count(FAST) == 1


def test_windows_hardly_change_a_fast_picture(monkeypatch):
    """A last bit of a sum may decide how a number is rounded to int8."""
    data = codec.encode(picture(1100, 700), quality=30)
    whole = np.asarray(codec.decode(data, precision=FAST), int)
    monkeypatch.setattr(win, "SPAN", 10)
    difference = np.abs(np.asarray(codec.decode(data, precision=FAST)) - whole)
    assert difference.max() <= 3
    assert difference.mean() < 0.01


@pytest.mark.parametrize("precision", ["int8", "", None, 8, ["fast"]])
def test_other_precisions_are_wrong_usage(small_picture, precision):
    data = codec.encode(small_picture)
    with pytest.raises(codec.UsageError, match=r"precision is .*; expected auto or"):
        codec.decode(data, precision=precision)


def test_the_command_line_passes_the_precision_on(folder):
    succeeds("encode", "photo.png")
    succeeds("decode", "photo.aec", "-o", "fast.png", "--precision", "fast")
    data = (folder / "photo.aec").read_bytes()
    expected = codec.decode(data, precision=FAST)
    assert np.array_equal(pixels("fast.png"), np.asarray(expected))
