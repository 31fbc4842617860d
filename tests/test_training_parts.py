"""Losses and fits of the training; needs the packages of the extra `train`."""

import numpy as np
import pytest
from pictures import picture

from codec.networks.bundle import FAST

REASON = "training needs `pip install aecodec[train]`, Python 3.11 or 3.12"
tf = pytest.importorskip("tensorflow", reason=REASON)
pytest.importorskip("ai_edge_quantizer", reason=REASON)
pytest.importorskip("tensorflow_compression_ops", reason=REASON)
keras = pytest.importorskip("keras", reason=REASON)
metrics = pytest.importorskip("benchmarks.metrics", reason="needs the extra `bench`")

from codec.networks.runtime import Graph  # noqa: E402
from codec.training import export, int8, preview  # noqa: E402
from codec.training import networks as net  # noqa: E402
from codec.training.calibration import coder_of  # noqa: E402
from codec.training.revive import revive  # noqa: E402
from codec.training.similarity import ms_ssim, windows  # noqa: E402
from codec.training.train import build_codec, rate_distortion  # noqa: E402


def noisy(image: np.ndarray, strength: float) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(image.shape)
    return np.clip(image + strength * noise, 0, 255).round().astype(np.uint8)


@pytest.mark.parametrize("strength", [3, 20, 60])
def test_ms_ssim_is_that_of_the_benchmarks_but_for_the_windows(strength):
    image = picture(256, 256)
    other = noisy(image, strength)
    found = ms_ssim(*(keras.ops.array([x / 255], "float32") for x in (image, other)))
    expected = metrics.ms_ssim(image, other)
    assert 1 - float(found[0]) == pytest.approx(1 - expected, rel=0.03)


def test_equal_images_are_entirely_alike():
    image = keras.ops.array([picture(176, 192) / 255], "float32")
    assert float(ms_ssim(image, image)[0]) == pytest.approx(1, abs=1e-6)


def test_every_window_sums_to_one_and_lies_inside():
    matrix = windows(21)
    assert matrix.shape == (6, 21)
    assert np.allclose(matrix.sum(1), 1)
    assert ((matrix > 0).sum(1) == 11).all()


def batch(strength: float) -> dict:
    image = picture(256, 256)
    pair = [
        x[None].astype("float32") / 255 - 0.5 for x in (image, noisy(image, strength))
    ]
    bits = np.array([256.0 * 256], "float32")
    return {
        "x": pair[0],
        "x_hat": pair[1],
        "latent_bits": bits,
        "hyper_bits": 0 * bits,
        "level": np.array([0.5], "float32"),
    }


def test_the_loss_is_rate_plus_weighted_distortion():
    lmbda = float(net.lmbda_of_level(0.5))
    loss, bpp, mse = map(float, rate_distortion("psnr", **batch(10)))
    assert bpp == pytest.approx(1)
    assert loss == pytest.approx((1 + lmbda * mse) * (0.01 / lmbda) ** 0.5, rel=1e-4)


def test_tuned_for_the_eye_lost_structure_counts_more_than_lost_brightness():
    darker = batch(0)
    darker["x_hat"] = darker["x"] - np.float32(10 / 255)
    for tune, more in (("psnr", False), ("visual", True)):
        blurred, dark = (
            float(rate_distortion(tune, **b)[0]) for b in (batch(10), darker)
        )
        assert (blurred > 1.05 * dark) == more


def test_the_preview_is_the_best_linear_one(monkeypatch):
    """Where pictures are a linear function of latents, it is that function."""
    random = np.random.default_rng(0)
    mixing = 0.05 * random.standard_normal((net.LATENTS, 8))
    kernel = random.standard_normal((8, 3 * 8 * 8))

    def decode(codec, code_image, image, code, rounding):
        latents = 3 + random.standard_normal((24, 24, net.LATENTS)).astype("float32")
        small = keras.ops.depth_to_space((latents @ mixing @ kernel + 0.1)[None], 8)
        small = keras.ops.convert_to_numpy(small)[0]
        return latents, small.repeat(2, 0).repeat(2, 1)

    monkeypatch.setattr(preview, "decode", decode)
    monkeypatch.setattr(preview, "rounding_by_table", lambda *tables: None)
    fitted = preview.fit_preview(None, range(8), None, 0)
    latents, image = decode(None, None, None, None, None)
    found = keras.ops.convert_to_numpy(fitted(latents[None]))[0]
    assert np.abs(found - image[::2, ::2]).max() < 0.02 * np.abs(image).max()


def test_what_the_preview_is_fitted_to_is_the_decoded_picture_made_smaller():
    rounding = np.full(256, 0.5, np.float32)
    image = picture(128, 192)
    codec = build_codec()
    coder = coder_of(codec)
    latents, decoded = preview.decode(codec, coder, image, 60000, rounding)
    assert latents.shape == (8, 12, net.LATENTS)
    assert decoded.shape == (128, 192, 3)
    blocks = preview.blocks_of(decoded)
    assert blocks.shape == (96, 192)
    assert blocks[13, :3] == pytest.approx(decoded[16:18, 16:18].mean((0, 1)), abs=1e-6)


def watched_block() -> tuple[int8.Watched, np.ndarray]:
    """A block with channels of very different ranges, and what it has seen."""
    keras.utils.set_random_seed(0)
    block = net.Residual(8, 6)
    x = np.random.default_rng(0).standard_normal((1, 12, 8, 8)).astype("float32")
    x *= np.geomspace(0.1, 10, 8)
    block(x)
    kernel = keras.random.normal(block.out.kernel.shape) * np.geomspace(0.1, 10, 8)
    block.out.kernel.assign(kernel)
    watched = int8.Watched(block)
    watched(x)
    return watched, x


def test_an_equalized_block_computes_the_same_in_channels_of_range_1():
    watched, x = watched_block()
    equalized = int8.Equalized(watched, 0, constant_scale=False)
    expected, _ = watched.block(x, scale=0.5)
    assert np.allclose(equalized(x, 0.5)[0], expected, atol=1e-3)
    wide, out = equalized.kernels
    inside = keras.ops.conv(x / equalized.input_range, wide, padding="same")
    inside = np.maximum(inside, 0)
    assert np.allclose(inside.max((0, 1, 2)), 1, atol=1e-4)
    added = keras.ops.conv(inside, out, padding="same")
    assert np.allclose(np.abs(added).max((0, 1, 2)), 1, atol=1e-4)


@pytest.mark.parametrize("constant_scale", [True, False])
def test_a_branch_in_int8_comes_near_to_the_block(tmp_path, constant_scale):
    watched, x = watched_block()
    block = int8.Equalized(watched, 0, constant_scale)

    def run(latents, gain):
        scale = 1.0 if constant_scale else gain
        return {"latents": block(latents, scale)[0] + gain}

    specs = [
        tf.TensorSpec((1, None, None, 8), name="latents"),
        tf.TensorSpec((1, 1, 1, 8), name="gain"),
    ]
    path = tmp_path / "block.tflite"
    path.write_bytes(export.convert({FAST: (run, specs)}, [block], []))
    ones = np.ones((1, 1, 1, 8), "float32")
    found = Graph(path, 1)(FAST, latents=x, gain=ones)["latents"] - 1
    expected = keras.ops.convert_to_numpy(watched.block(x)[0])
    added = np.abs(expected - x).max((0, 1, 2))  # by channel
    if constant_scale:
        added = added.max()
    assert np.abs(found - expected).max() > 0
    assert (np.abs(found - expected) < 0.05 * added).all()


def test_inactive_units_come_to_life_and_change_nothing_at_first():
    keras.utils.set_random_seed(0)
    codec = build_codec()
    tiles = np.stack([picture(128, 128, seed) for seed in range(2)])
    block, mean = codec.analysis.blocks[1], codec.mean_context
    block.out.kernel.assign(keras.random.normal(block.out.kernel.shape, stddev=0.01))
    block.wide.bias.assign(np.where(np.arange(net.CHANNELS) < 5, -1e3, 0))
    mean.base[0].kernel.assign(0.01 * keras.random.normal(mean.base[0].kernel.shape))
    for layer in mean.up:
        dead = np.arange(4 * net.HYPER) % net.HYPER == 7
        layer.bias.assign(np.where(dead, -1e3, 0.1))
    x, level = tiles[:1] / np.float32(255) - 0.5, np.array([0.5], "float32")
    before = codec(x, level)
    assert revive(codec, tiles) >= 5 + 4 + 4
    after = codec(x, level)
    for name in ("latent_bits", "x_hat"):
        assert np.allclose(before[name], after[name], rtol=1e-3, atol=1e-3)
    assert np.abs(mean.up[1].kernel).max() < 3  # new units read no new ones
    assert revive(codec, tiles) < 5
