"""Gradient refinement of the latents, and efforts."""

import itertools

import numpy as np
import pytest
from pictures import picture, psnr

import codec
from codec.entropy.tables import Tables
from codec.file.container import unpack
from codec.networks import shipped
from codec.networks.bundle import EXACT, Bundle
from codec.networks.distortions import ERROR_SHARE, OBJECTIVE_PX, segments
from codec.networks.refinement import SLOPE_MAX, drawn_round, rate_slopes, soft_round
from codec.networks.runtime import Networks
from codec.options import EFFORTS

VALUES = np.linspace(-3.2, 3.3, 1001).astype("float32")


def test_soft_rounding_lies_between_the_identity_and_rounding():
    assert np.allclose(soft_round(VALUES, 1e-2), VALUES, atol=1e-4)
    away = np.abs(VALUES - np.floor(VALUES) - 0.5) > 0.05
    assert np.allclose(soft_round(VALUES, 200.0)[away], np.round(VALUES[away]))
    assert (np.diff(soft_round(VALUES, 8.0)) >= 0).all()


def test_integers_stay_under_soft_rounding():
    integers = np.arange(-4, 5).astype("float32")
    for sharpness in (1.0, 8.0):
        assert np.allclose(soft_round(integers, sharpness), integers, atol=1e-5)


def test_drawn_rounding_goes_up_as_often_as_the_fraction_is_near_to_it():
    random = np.random.default_rng(0)
    value = np.full(20000, -2.3, "float32")
    soft, slope = drawn_round(value, 0.3, random)
    assert ((soft >= -3) & (soft <= -2)).all()
    assert (slope >= 0).all()
    logit = (np.arctanh(0.7) - np.arctanh(0.3)) / 0.3
    assert (soft > -2.5).mean() == pytest.approx(1 / (1 + np.exp(-logit)), abs=0.01)
    cold, _ = drawn_round(VALUES, 0.02, random)
    away = np.abs(VALUES - np.floor(VALUES) - 0.5) > 0.1
    assert np.allclose(cold[away], np.round(VALUES[away]), atol=1e-3)


def test_the_slope_of_a_drawn_rounding_is_that_of_small_differences():
    value = np.linspace(-1.9, 1.9, 400)
    value = value[np.abs(value - np.round(value)) > 0.05]

    def drawn(value):
        return drawn_round(value, 0.5, np.random.default_rng(3))

    ahead, behind = drawn(value + 1e-5)[0], drawn(value - 1e-5)[0]
    expected = np.minimum((ahead - behind) / 2e-5, SLOPE_MAX)
    assert drawn(value)[1] == pytest.approx(expected, abs=1e-3)


def test_rate_slopes_are_the_differences_of_code_lengths(bundle):
    tables = bundle.residual_tables
    slopes = rate_slopes(tables, bundle.skip_below)
    for table in (bundle.skip_below, len(tables.length) - 1):
        one, two = (
            tables.bits(np.array([value]), np.array([table])) for value in (1, 2)
        )
        assert slopes[table, 1] == pytest.approx(two - one, abs=1e-4)
    assert not slopes[: bundle.skip_below].any()


def test_a_table_where_zero_escapes_has_no_slopes():
    table = Tables(np.array([-1]), np.array([2]), np.full((1, 2), 2**15))
    assert not rate_slopes(table, 0).any()


def test_the_gradient_of_the_error_is_that_of_small_differences(refinable):
    image = 64 + picture(128, 64)[None] // 2  # far from where the picture is clipped
    networks, vectors = Networks(refinable), refinable.vectors(30000)
    decoder = vectors["inverse_gain"], vectors["block_scale"]
    latents = networks.analyze(image) * vectors["gain"]
    latents = np.round(latents)
    _, gradient = networks.error_gradient(latents, *decoder, image)
    slope = float(np.linalg.norm(gradient))
    ahead, behind = (
        networks.error_gradient(latents + step * gradient / slope, *decoder, image)[0]
        for step in (0.1, -0.1)
    )
    assert (ahead - behind) / 0.2 == pytest.approx(slope, rel=0.02)


def test_the_gradient_of_any_distortion_is_taken_to_the_latents(bundle):
    """In int8 it is near: it guides the encoder, and that is all."""
    image = 64 + picture(128, 64)[None] // 2
    networks = Networks(bundle, synthesis=EXACT)
    vectors = bundle.vectors(30000)
    decoder = vectors["inverse_gain"], vectors["block_scale"]
    latents = np.round(networks.analyze(image) * vectors["gain"])
    weights = networks.synthesize(latents, *decoder) - image.astype("float32")
    gradient = networks.pullback(latents, *decoder, weights)
    slope = float(np.linalg.norm(gradient))
    ahead, behind = (
        np.sum(
            networks.synthesize(latents + step * gradient / slope, *decoder) * weights
        )
        for step in (1, -1)
    )
    assert (ahead - behind) / 2 == pytest.approx(slope, rel=0.1)


def test_the_gradient_of_what_is_seen_is_that_of_small_differences(bundle):
    image = picture(OBJECTIVE_PX, OBJECTIVE_PX)[None].clip(20, 235)
    noise = np.random.default_rng(0).integers(-8, 9, image.shape)
    decoded = (image + noise).astype(np.uint8)
    networks = Networks(bundle)
    graph = shipped.objective_file("visual")
    error, gradient = networks.objective(graph, image, decoded)
    way = np.sign(gradient).astype(np.int8)
    ahead, behind = (
        networks.objective(graph, image, (decoded + k * way).astype(np.uint8))[0]
        for k in (1, -1)
    )
    assert behind < error < ahead
    assert (ahead - behind) / 2 == pytest.approx(float(np.abs(gradient).sum()), rel=0.1)


@pytest.mark.parametrize("side", [64, 192, 256, 320, 512, 1536])
def test_segments_make_up_a_side_and_are_judged_by_what_is_around(side):
    found = list(segments(side))
    assert len(found) == -(-side // OBJECTIVE_PX)
    pixels = np.arange(side)
    assert [n for part in found for n in pixels[part.core]] == list(pixels)
    for part in found:
        assert len(part.near) == OBJECTIVE_PX
        assert part.near[part.inner] == list(pixels[part.core])
        assert np.abs(np.diff(part.near)).max() <= 1


def test_a_damaged_objective_is_refused(monkeypatch, small_picture):
    monkeypatch.setattr(shipped, "OBJECTIVE_DIGESTS", {"visual": "0" * 64})
    shipped.objective_file.cache_clear()
    with pytest.raises(codec.CodecError, match="objective visual is damaged"):
        codec.encode(small_picture, effort=7)
    shipped.objective_file.cache_clear()


def encoded(
    image: np.ndarray, effort: int, quality: float = 60, tune: str = "psnr"
) -> bytes:
    return codec.encode(image, tune=tune, quality=quality, effort=effort)


def cost(data: bytes, image: np.ndarray, bundle: Bundle) -> float:
    """Bits plus weighted distortion: what the refinement is after."""
    decoded = np.asarray(codec.decode(data))
    weight = bundle.bits_per_error(unpack(data).header.quality_code)
    squared = float(np.sum((decoded - image.astype(float)) ** 2))
    if bundle.tune == "psnr":
        return 8 * len(data) + weight * squared
    pair = image[None], decoded[None]
    error, _ = Networks(bundle).objective(shipped.objective_file("visual"), *pair)
    seen = (1 - ERROR_SHARE) * error * image.size + ERROR_SHARE * squared
    return 8 * len(data) + weight * seen


@pytest.mark.parametrize("quality", [20, 80])
def test_more_effort_never_raises_rate_plus_weighted_error(quality, refinable):
    image = picture(192, 256)
    costs = [
        cost(encoded(image, effort, quality), image, refinable) for effort in (4, 7, 9)
    ]
    for more, less in itertools.pairwise(costs):
        assert less < 1.001 * more  # refined before colors become whole numbers
    assert costs[-1] < costs[0] or quality < 80


@pytest.mark.parametrize(("quality", "effort"), [(40, 7), (60, 9), (80, 7)])
def test_refined_for_the_eye_rate_plus_what_is_seen_falls(quality, effort, bundle):
    image = picture(OBJECTIVE_PX, OBJECTIVE_PX)
    before, after = (
        cost(encoded(image, number, quality, "visual"), image, bundle)
        for number in (4, effort)
    )
    assert after < before


def test_efforts_up_to_3_are_alike_and_up_to_6(small_picture):
    files = [codec.encode(small_picture, effort=effort) for effort in range(1, 7)]
    assert files[0] == files[1] == files[2]
    assert files[3] == files[4] == files[5] == codec.encode(small_picture)
    assert files[3] != files[0]
    assert psnr(codec.decode(files[0]), small_picture) > 25


@pytest.mark.parametrize(("tune", "effort"), [("psnr", 7), ("psnr", 9), ("visual", 7)])
def test_refinement_gives_the_same_bytes_again(small_picture, tune, effort):
    first, second = (encoded(small_picture, effort, tune=tune) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("effort", [0, 10, 4.5, "9", None])
def test_other_efforts_are_refused(small_picture, effort):
    with pytest.raises(codec.UsageError, match="effort"):
        codec.encode(small_picture, effort=effort)


def test_every_refining_effort_takes_more_iterations_than_the_one_before():
    found = [EFFORTS[number].refinement for number in sorted(EFFORTS)]
    assert found[:6] == 6 * [None]
    iterations = [refinement.iterations for refinement in found[6:]]
    assert iterations == sorted(set(iterations))
