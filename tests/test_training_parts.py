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

from codec.networks.distortions import OBJECTIVE_PX  # noqa: E402
from codec.networks.runtime import Graph, Networks  # noqa: E402
from codec.networks.shipped import TUNES, load_bundle, objective_file  # noqa: E402
from codec.training import (  # noqa: E402
    export,
    int8,
    masked_contrast,
    preview,
    rounded_blocks,
    ssimulacra2,
)
from codec.training.calibration import coder_of  # noqa: E402
from codec.training.degradation import gray  # noqa: E402
from codec.training.dimensions import LATENTS  # noqa: E402
from codec.training.layers import Residual, activate  # noqa: E402
from codec.training.model import build_codec  # noqa: E402
from codec.training.objectives import rate_distortion, seen  # noqa: E402
from codec.training.quality import lmbda_of_level  # noqa: E402
from codec.training.weight_rounding import (  # noqa: E402
    SecondMoments,
    rounded_kernel,
)


def noisy(image: np.ndarray, strength: float) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(image.shape)
    return np.clip(image + strength * noise, 0, 255).round().astype(np.uint8)


@pytest.mark.parametrize("strength", [1, 2, 5])
def test_ssimulacra2_is_that_of_the_package(strength):
    image = picture(256, 256)
    other = noisy(image, strength)
    found = ssimulacra2.score(*map(tensor, (image, other)))
    assert float(found[0]) == pytest.approx(metrics.ssimulacra2(image, other), abs=2)


@pytest.mark.parametrize("strength", [3, 20])
def test_masked_contrast_is_that_of_colorvideovdp(strength):
    pycvvdp = pytest.importorskip("pycvvdp", reason="ColorVideoVDP is not installed")
    image = gray(picture(256, 256))
    other = gray(noisy(image, strength))
    found = float(masked_contrast.jod(*map(tensor, (image, other)))[0])
    judge = pycvvdp.cvvdp(display_name="standard_fhd", heatmap=None)
    expected, _ = judge.predict(other, image, dim_order="HWC")
    assert found == pytest.approx(float(expected), abs=0.1)


@pytest.mark.parametrize("measure", [ssimulacra2, masked_contrast])
def test_a_measure_grows_with_the_noise_and_is_nearly_zero_without(measure):
    image = picture(256, 256)
    found = [
        float(measure.distance(tensor(image), tensor(noisy(image, strength)))[0])
        for strength in (0, 5, 10, 20)
    ]
    assert found == sorted(found)
    assert found[0] < 0.05 * found[1]


def tensor(image):
    return keras.ops.array([image / 255], "float32")


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
    lmbda = float(lmbda_of_level(0.5))
    loss, bpp, mse = map(float, rate_distortion("psnr", **batch(10)))
    assert bpp == pytest.approx(1)
    assert loss == pytest.approx((1 + lmbda * mse) * (0.01 / lmbda) ** 0.5, rel=1e-4)


def test_the_graph_of_what_is_seen_is_the_function_that_models_are_trained_for():
    networks = Networks(load_bundle(TUNES["visual"].model_id))
    image = picture(OBJECTIVE_PX, OBJECTIVE_PX)
    for other in (noisy(image, 6), noisy(image + 8, 1)):
        x, x_hat = (tf.constant(y[None] / 255 - 0.5, "float32") for y in (image, other))
        with tf.GradientTape() as tape:
            tape.watch(x_hat)
            expected = seen(x, x_hat)[0]
        slope = tape.gradient(expected, x_hat).numpy() / 255
        graph = objective_file("visual")
        found, gradient = networks.objective(graph, image[None], other[None])
        assert found == pytest.approx(float(expected), rel=1e-3, abs=1e-3)
        assert np.abs(gradient - slope).max() < 0.01 * np.abs(slope).max()


def test_tuned_for_the_eye_lost_structure_counts_more_than_lost_brightness():
    darker = batch(0)
    darker["x_hat"] = darker["x"] - np.float32(10 / 255)
    for tune, more in (("psnr", False), ("visual", True)):
        noisy_, dark = (
            float(rate_distortion(tune, **b)[0]) for b in (batch(10), darker)
        )
        assert (noisy_ > 1.05 * dark) == more


def test_the_preview_is_the_best_linear_one(monkeypatch):
    """Where pictures are a linear function of latents, it is that function."""
    random = np.random.default_rng(0)
    mixing = 0.05 * random.standard_normal((LATENTS, 8))
    kernel = random.standard_normal((8, 3 * 8 * 8))

    def decode(codec, code_image, image, code, rounding):
        latents = 3 + random.standard_normal((26, 26, LATENTS)).astype("float32")
        inner = latents[1:-1, 1:-1]  # the rest is a ring around the picture
        small = keras.ops.depth_to_space((inner @ mixing @ kernel + 0.1)[None], 8)
        small = keras.ops.convert_to_numpy(small)[0]
        return latents, small.repeat(2, 0).repeat(2, 1)

    monkeypatch.setattr(preview, "decode", decode)
    monkeypatch.setattr(preview, "rounding_by_table", lambda *tables: None)
    monkeypatch.setattr(preview, "coder_of", lambda codec: None)
    fitted = preview.fit_preview(build_codec(), range(8), None, 0)
    latents, image = decode(None, None, None, None, None)
    found = keras.ops.convert_to_numpy(fitted(latents[None, 1:-1, 1:-1]))[0]
    assert np.abs(found - image[::2, ::2]).max() < 0.02 * np.abs(image).max()


def test_what_the_preview_is_fitted_to_is_the_decoded_picture_made_smaller():
    rounding = np.full(256, 0.5, np.float32)
    image = picture(128, 192)
    codec = build_codec()
    coder = coder_of(codec)
    latents, decoded = preview.decode(codec, coder, image, 60000, rounding)
    assert latents.shape == (8 + 2, 12 + 2, LATENTS)
    assert decoded.shape == (128, 192, 3)
    blocks = preview.blocks_of(decoded)
    assert blocks.shape == (96, 192)
    assert blocks[13, :3] == pytest.approx(decoded[16:18, 16:18].mean((0, 1)), abs=1e-6)


def watched_block() -> tuple[int8.Watched, np.ndarray]:
    """A block with channels of very different ranges, and what it has seen."""
    keras.utils.set_random_seed(0)
    block = Residual(8, 6, leak=0.1)
    x = np.random.default_rng(0).standard_normal((1, 12, 8, 8)).astype("float32")
    x *= np.geomspace(0.1, 10, 8)
    block(x)
    block.wide.bias.assign([0, 0, 0, -20, -40, -60])  # mostly negative
    kernel = keras.random.normal(block.out.kernel.shape) * np.geomspace(0.1, 10, 8)
    block.out.kernel.assign(kernel)
    watched = int8.Watched(block)
    watched(x)
    return watched, x


def test_a_kernel_is_rounded_such_that_its_results_change_little():
    random = np.random.default_rng(0)
    inputs = random.standard_normal((500, 3)) @ random.standard_normal((3, 27)) + 1
    inputs += 0.01 * random.standard_normal(inputs.shape)
    kernel = random.standard_normal((3, 3, 3, 4)) * [0.1, 1, 10, 100]
    bias = np.ones(4)
    moments = SecondMoments(27)
    moments.add(inputs[:250])
    moments.add(inputs[250:])
    found, found_bias = rounded_kernel(kernel, bias, moments.of_scaled(np.ones(27)))

    steps = found / (np.abs(kernel).max((0, 1, 2)) / 127)
    assert np.allclose(steps, np.rint(steps))
    assert np.array_equal(np.abs(found).max((0, 1, 2)), np.abs(kernel).max((0, 1, 2)))
    step = np.abs(kernel).max((0, 1, 2)) / 127
    plain = np.rint(kernel / step) * step

    def error(kernel_found, bias_found):
        difference = (kernel_found - kernel).reshape(27, 4)
        return np.square(inputs @ difference + bias_found - bias).mean(0)

    assert (error(found, found_bias) < 0.3 * error(plain, bias)).all()

    nothing, same = rounded_kernel(0 * kernel, bias, moments.of_scaled(np.ones(27)))
    assert not nothing.any()
    assert np.array_equal(same, bias)


def test_an_equalized_block_computes_nearly_the_same_in_channels_of_range_1():
    watched, x = watched_block()
    equalized = int8.Equalized(watched, 0)
    expected = watched.block(x, scale=0.5)[0] - x
    error = np.abs(equalized(x, 0.5)[0] - x - expected).max((0, 1, 2))
    assert (error < 0.02 * np.abs(expected).max((0, 1, 2))).all()
    wide, out = equalized.kernels
    before = keras.ops.conv(x / equalized.input_range, wide, padding="same")
    before += equalized.biases[0]
    assert np.allclose(np.abs(before).max((0, 1, 2)), 1, atol=0.03)
    active = activate(before, equalized.leak) * equalized.activation
    assert np.allclose(np.abs(active).max((0, 1, 2)), 1, atol=0.03)
    added = keras.ops.conv(active, out, padding="same") + equalized.biases[1]
    assert np.allclose(np.abs(added).max((0, 1, 2)), 1, atol=0.03)


@pytest.mark.parametrize("constant_scale", [True, False])
def test_a_branch_in_int8_comes_near_to_the_block(tmp_path, constant_scale):
    """And in training no less is lost than in the graph."""
    watched, x = watched_block()
    block = int8.Equalized(watched, 0)

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
    assert np.abs(found - expected).max() > 0
    assert (np.abs(found - expected) < 0.03 * added).all()
    rounded, _ = rounded_blocks.Rounded(watched.block)(x)
    in_training, in_the_graph = (
        np.square(result - expected).mean() for result in (rounded, found)
    )
    assert 0.9 < in_training / in_the_graph < 3


def test_rounding_to_8_bits_keeps_gradients():
    watched, x = watched_block()

    def gradients(block):
        with tf.GradientTape() as tape:
            result = tf.reduce_sum(block(x)[0] ** 2)
        return tape.gradient(result, watched.block.trainable_variables)

    plain = gradients(watched.block)
    rounded = gradients(rounded_blocks.Rounded(watched.block))
    for ours, exact in zip(rounded, plain, strict=True):
        assert np.sum(ours * exact) > 0.98 * np.linalg.norm(ours) * np.linalg.norm(
            exact
        )
