"""Training and export, in a few steps; needs the packages of the extra `train`."""

import csv
import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from browser_scripts import DECODE_ALL, LEVELS, SYMBOLS, difference, script
from impulses import reaches
from make_golden import symbols_sha256
from pictures import picture, psnr
from PIL import Image

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
REASON = "training needs `pip install aecodec[train]`, Python 3.11 or 3.12"
tensorflow = pytest.importorskip("tensorflow", reason=REASON)
pytest.importorskip("ai_edge_quantizer", reason=REASON)
pytest.importorskip("tensorflow_compression_ops", reason=REASON)
keras = pytest.importorskip("keras", reason=REASON)

import codec  # noqa: E402
from benchmarks.browser_pages import NoBrowserError, Pages  # noqa: E402
from codec.entropy.tables import PRECISION_BITS  # noqa: E402
from codec.file.container import unpack  # noqa: E402
from codec.file.header import QUALITY_CODE_MAX  # noqa: E402
from codec.networks.adaptation import patches_of  # noqa: E402
from codec.networks.bundle import (  # noqa: E402
    EXACT,
    bundle_digest,
    nearest_fraction,
    read_bundle,
)
from codec.networks.runtime import Networks  # noqa: E402
from codec.networks.shipped import DEFAULT_MODEL_ID, TUNE_DEFAULT  # noqa: E402
from codec.training import health, lapped_transforms, mean_context, quality  # noqa: E402
from codec.training.adapt import freeze, new_weights  # noqa: E402
from codec.training.architectures import ARCHITECTURES, DEFAULT  # noqa: E402
from codec.training.checkpoints import averaged_weights  # noqa: E402
from codec.training.dimensions import (  # noqa: E402
    BLOCK_SCALES,
    CONTEXT_STEPS,
    HYPER,
    LATENTS,
)
from codec.training.model import build_codec  # noqa: E402
from codec.training.rate import rounding_of_scale  # noqa: E402
from codec.training.soap import Soap  # noqa: E402
from codec.training.train import kept  # noqa: E402
from codec.training.warm_start import start_from  # noqa: E402
from codec.web import site  # noqa: E402


def training(folder, *arguments: object, **environment: str) -> str:
    """Standard output of `python -m codec.training` in `folder`."""
    result = subprocess.run(
        [sys.executable, "-m", "codec.training", *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"KERAS_BACKEND": "tensorflow"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folder with two pictures, a run trained in two goes, and its bundle."""
    folder = tmp_path_factory.mktemp("training")
    (folder / "pictures").mkdir()
    for seed in (1, 2):
        image = Image.fromarray(picture(512, 512, seed))
        image.save(folder / "pictures" / f"{seed}.png")
    common = ("train", "pictures", "-o", "run", "--batch", 2, "--checkpoint-every", 2)
    outputs = {
        "first": training(folder, *common, "--steps", 4),
        "second": training(folder, *common, "--steps", 6),
    }
    outputs["export"] = training(
        folder,
        *("export", "run", "pictures", "-o", "bundle"),
        *("--model-id", DEFAULT_MODEL_ID, "--calibration-tiles", 2),
    )
    (folder / "outputs.json").write_text(json.dumps(outputs))
    return folder


def outputs(folder) -> dict[str, str]:
    return json.loads((folder / "outputs.json").read_text())


def test_training_goes_on_where_it_stopped(folder):
    assert "going on" not in outputs(folder)["first"]
    assert "going on from step 4\n" in outputs(folder)["second"]
    state = json.loads((folder / "run" / "state.json").read_text())
    assert state == {"step": 6, "goal": TUNE_DEFAULT, "architecture": DEFAULT}
    assert [p.name for p in (folder / "run").glob("step-*")] == ["step-6"]


def test_the_log_of_the_loss_has_a_row_per_go(folder):
    with (folder / "run" / "loss.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["4", "6"]
    for row in rows:
        for name in ("seconds", "loss", "bpp", "mse"):
            assert float(row[name]) > 0


def test_export_says_that_the_scale_network_is_exact(folder):
    text = outputs(folder)["export"]
    (sums,) = re.findall(r"largest partial sums of the scale network: (.*)", text)
    *found, limit = map(int, re.findall(r"\d+", sums))
    assert limit == 2**24
    assert len(found) == 3
    assert max(found) < limit


def test_an_exported_bundle_encodes_and_decodes(folder):
    bundle = read_bundle(folder / "bundle")
    original = picture(100, 140, seed=3)
    data = codec.encode(original, quality=80, bundle=bundle)
    decoded = codec.decode(data, bundle=bundle)
    assert decoded.size == (140, 100)
    assert psnr(original, decoded) > 12  # after so few steps scales are guesses
    fast = codec.decode(data, bundle=bundle, precision="fast")
    assert psnr(fast, decoded) > 35
    refined = codec.encode(original, quality=80, bundle=bundle, effort=7)
    assert refined != data
    assert psnr(original, codec.decode(refined, bundle=bundle)) > 12
    with pytest.raises(codec.FormatError, match="another model"):
        codec.decode(data)


def test_an_exported_bundle_has_the_networks_shapes_and_proper_tables(folder):
    bundle = read_bundle(folder / "bundle")
    assert bundle.model_id == DEFAULT_MODEL_ID
    assert bundle.digest == bundle_digest(folder / "bundle")
    assert bundle.architecture == DEFAULT
    assert bundle.halos == ARCHITECTURES[DEFAULT].halos
    assert bundle.latent_channels == LATENTS
    assert bundle.hyper_channels == HYPER
    assert bundle.log_gain.shape == (quality.QUALITY_ANCHORS, LATENTS)
    assert len(bundle.hyper_tables) == quality.QUALITY_ANCHORS
    assert len(bundle.residual_tables.length) == quality.SCALE_LEVELS
    for tables in (*bundle.hyper_tables, bundle.residual_tables):
        assert (tables.frequency.sum(1) == 2**PRECISION_BITS).all()


def test_an_impulse_does_not_reach_beyond_the_halos_of_an_exported_bundle(folder):
    bundle = read_bundle(folder / "bundle")
    for name, (found, allowed) in reaches(bundle, QUALITY_CODE_MAX // 2).items():
        assert 0 < found <= allowed, name


def test_browsers_decode_what_an_exported_bundle_encodes(folder, monkeypatch):
    bundle = read_bundle(folder / "bundle")
    monkeypatch.setattr(site, "SHIPPED", {bundle.model_id: ("exported", "")})
    monkeypatch.setattr(site, "load_bundle", lambda model_id: bundle)
    served = site.made_files.__wrapped__()
    files = {path: (data, site.media_type(path)) for path, data in served.items()}
    data = codec.encode(picture(150, 200), quality=60, content="photo", bundle=bundle)
    files["photo.aec"] = data, "application/octet-stream"
    pages = Pages(files, policy="")
    try:
        decoded = pages.run(script(DECODE_ALL, ["photo.aec"]))["photo.aec"]
        symbols = pages.run(script(SYMBOLS, ["photo.aec"]))["photo.aec"]
    except NoBrowserError as error:
        pytest.skip(str(error))
    finally:
        pages.close()
    assert symbols == symbols_sha256(unpack(data), bundle)
    off = difference(decoded, codec.decode(data, bundle=bundle))
    assert np.abs(off).max() <= LEVELS


def test_the_context_codes_every_group_at_every_position_exactly_once():
    for position in range(mean_context.POSITIONS):
        steps = [
            mean_context.step_of(group, position) for group in range(CONTEXT_STEPS)
        ]
        assert sorted(steps) == list(range(CONTEXT_STEPS))
        assert [mean_context.group_of(step, position) for step in steps] == [0, 1, 2, 3]


def test_the_context_starts_every_group_on_a_diagonal_of_its_own():
    first = [
        [mean_context.group_of(step, p) for p in range(mean_context.POSITIONS)]
        for step in (0, 1)
    ]
    assert first == [[0, 2, 1, 3], [1, 3, 2, 0]]


def test_the_steps_of_the_context_are_joined_as_they_were_split():
    x = np.random.default_rng(0).random((2, 4, 6, LATENTS), "float32")
    steps = mean_context.split_steps(x)
    assert same(mean_context.join_steps(steps), x, 0)
    vector = x[:1, :1, :1]
    for step, expected in zip(
        mean_context.split_vector(vector),
        mean_context.split_steps(vector + 0 * x[:1, :2, :2]),
        strict=True,
    ):
        assert same(step, expected, 0)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_untrained_codec_is_a_transform_coder(architecture):
    y, x = np.mgrid[:128, :192]
    smooth = np.stack([x, y + 40, 220 - x], axis=-1).astype("float32") / 255 - 0.5
    result = build_codec(architecture)(smooth[None], np.ones(1, "float32"))
    x_hat = np.clip(keras.ops.convert_to_numpy(result["x_hat"])[0], -0.5, 0.5)
    assert psnr(255 * x_hat, 255 * smooth) > 30


def test_lapped_transforms_bring_a_smooth_picture_back_up_to_its_borders():
    """Beyond which they see it mirrored, in pixels and in latents."""
    y, x = np.mgrid[:96, :128]
    smooth = np.stack([x, y + 40, 220 - x], axis=-1).astype("float32") / 255 - 0.5
    analysis = lapped_transforms.AnalysisTransform()
    synthesis = lapped_transforms.SynthesisTransform()
    scales = np.ones((1, 1, 1, sum(BLOCK_SCALES)), "float32")
    found = keras.ops.convert_to_numpy(synthesis(analysis(smooth[None]), scales))
    assert np.abs(found - smooth).max() < 2 / 255


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_gradient_is_taken_back_through_the_synthesis(architecture):
    keras.utils.set_random_seed(0)
    synthesis = build_codec(architecture).synthesis
    for block in (*synthesis.blocks, synthesis.latent_block):
        block.out.kernel.assign(0.02 * keras.random.normal(block.out.kernel.shape))
    random = np.random.default_rng(0)
    start = random.normal(0, 0.05, (1, 4, 6, LATENTS))
    latents = tensorflow.Variable(start, dtype="float32")
    x = picture(64, 96)[None].astype("float32") / 255 - 0.5
    scales = random.uniform(0.5, 1, (1, 1, 1, sum(BLOCK_SCALES))).astype("float32")
    with tensorflow.GradientTape() as tape:
        x_hat, activations = synthesis.with_activations(latents, scales)
        error = keras.ops.sum((x_hat - x) ** 2)
    expected = tape.gradient(error, latents).numpy()
    found = synthesis.pullback(2 * (x_hat - x), scales, activations)
    assert np.abs(found - expected).max() < 2e-3 * np.abs(expected).max()


def test_a_unit_that_never_fires_is_counted_as_dead():
    codec_ = build_codec()
    images = [picture(128, 128, seed) for seed in range(2)]
    dead, count = health.dead_units(codec_, images)
    codec_.analysis.blocks[1].wide.bias.assign(np.where(np.arange(128) < 5, -1e3, 0))
    assert health.dead_units(codec_, images) == (dead + 5, count)


def test_the_energy_of_a_kernel_adds_up_over_its_taps():
    found = health.energy_by_tap(build_codec().analysis.blocks[0].wide)
    assert found.shape == (3, 3)
    assert found.sum() == pytest.approx(1)


def test_the_lapped_latents_of_photographs_have_about_one_variance():
    latents = lapped_transforms.AnalysisTransform()(
        picture(512, 512)[None].astype("float32") / 255 - 0.5
    )
    deviation = keras.ops.convert_to_numpy(latents).std((0, 1, 2))
    assert 0.1 < np.median(deviation) < 10
    assert deviation.max() < 30 * np.median(deviation)


def test_only_kernels_of_blocks_and_means_decay():
    codec_ = build_codec()
    still = {variable.path for variable in kept(codec_.trainable_variables)}
    decaying = {v.path for v in codec_.trainable_variables} - still
    assert "codec/analysis/block_0/wide/kernel" in decaying
    assert "codec/mean_context/mix_of_1/kernel" in decaying
    assert all(path.endswith("kernel") for path in decaying)
    assert {"codec/analysis/first/kernel", "codec/log_gain"} <= still


def test_the_bits_of_an_untrained_codec_grow_with_quality():
    image = picture(128, 128).astype("float32")[None] / 255 - 0.5
    codec_ = build_codec()
    bits = [
        float(codec_(image, np.full(1, level, "float32"))["latent_bits"][0])
        for level in (0.0, 0.5, 1.0)
    ]
    assert bits == sorted(set(bits))


def test_the_weights_of_the_anchors_sum_to_one():
    level = np.linspace(0, 1, 1001).astype("float32")
    weights = keras.ops.convert_to_numpy(quality.anchor_weights(level))
    assert weights.shape == (1001, quality.QUALITY_ANCHORS)
    assert np.allclose(weights.sum(1), 1, atol=1e-5)
    assert ((weights > 0).sum(1) <= 2).all()


def test_training_and_files_agree_on_the_index_offset():
    codes = np.arange(QUALITY_CODE_MAX + 1)
    level = (codes / QUALITY_CODE_MAX).astype("float32")
    found = keras.ops.convert_to_numpy(quality.index_offset(level))
    expected = [nearest_fraction(int(c), quality.INDEX_OFFSET_MAX) for c in codes]
    assert np.array_equal(found, expected)


def test_training_rounds_rare_values_down_as_the_encoder_does():
    rounding = np.asarray(rounding_of_scale(np.float32([0.11, 0.5, 2, 64])))
    assert (np.diff(rounding) > 0).all()
    assert rounding[0] > 0
    assert rounding[-1] == pytest.approx(0.5, abs=1e-3)


def test_the_integer_network_sees_integer_weights():
    layer = build_codec().scales.convs[0]
    for weight in layer.integer_weights():
        value = keras.ops.convert_to_numpy(weight)
        assert np.array_equal(value, np.round(value))


@pytest.mark.parametrize("start", ["run", "weights.npz", "bundle"])
def test_a_run_starts_from_the_averages_of_another(folder, start):
    training(folder, "weights", "run", "-o", "weights.npz")
    common = ("--batch", 2, "--steps", 1, "--learning-rate", 1e-9)
    training(
        folder, "train", "pictures", "-o", f"from-{start}", *common, "--start", start
    )
    first, second = (
        averaged_weights(folder / name)["codec/synthesis/up/kernel"]
        for name in ("run", f"from-{start}")
    )
    assert np.allclose(first, second, rtol=2e-3, atol=1e-6)
    built = build_codec().synthesis.up.kernel
    assert not np.allclose(built, second, rtol=2e-3, atol=1e-6)


def test_pytorch_goes_on_like_tensorflow(folder):
    """The step traced as one graph; left uncompiled, which takes minutes."""
    pytest.importorskip("torch", reason="PyTorch is not in the extra `train`")
    common = ("train", "pictures", "--batch", 2, "--start", "run", "--steps", 3)
    training(folder, *common, "-o", "tensorflow")
    environment = {"KERAS_BACKEND": "torch", "TORCH_COMPILE_DISABLE": "1"}
    training(folder, *common, "-o", "torch", **environment)
    losses = []
    for backend in ("tensorflow", "torch"):
        with (folder / backend / "loss.csv").open(newline="") as file:
            losses.append(float(next(csv.DictReader(file))["loss"]))
    assert losses[1] == pytest.approx(losses[0], rel=0.4)  # other random levels


@pytest.fixture(scope="module", params=["shipped", "exported"])
def warm(request, bundle, folder):
    """(a bundle, networks for training with its weights)."""
    found = bundle if request.param == "shipped" else read_bundle(folder / "bundle")
    networks = build_codec(found.architecture)
    start_from(networks, found)
    return found, networks


def same(network, graph, tolerance):
    """Whether outputs agree; graphs keep weights in half precision, sums vary."""
    network, graph = keras.ops.convert_to_numpy(network), np.asarray(graph, float)
    return np.abs(network - graph).max() <= tolerance * np.abs(graph).max()


def test_networks_that_start_from_a_bundle_compute_what_its_graphs_do(warm):
    bundle, warm = warm
    image = picture(128, 192)[None]
    code = QUALITY_CODE_MAX // 2
    networks, vectors = Networks(bundle, synthesis=EXACT), bundle.vectors(code)
    gain, inverse_gain, block_scale = vectors.values()
    level = np.full(1, code / QUALITY_CODE_MAX, "float32")
    for found, expected in zip(
        warm.quality_vectors(level), vectors.values(), strict=True
    ):
        assert same(found, expected, 1e-5)

    latents = networks.analyze(image)
    assert same(warm.analysis(image.astype("float32") / 255 - 0.5), latents, 1e-4)
    hyper_latents = networks.hyper_analyze(latents, gain)
    latents = latents * gain
    z = keras.ops.convert_to_numpy(warm.hyper_analysis(latents))
    assert np.abs(z - hyper_latents).max() < 0.51
    offset = bundle.index_offset(code)
    index = warm.scales(hyper_latents, np.full((1, 1, 1, 1), offset, "float32"))
    assert np.array_equal(index, networks.table_index(hyper_latents, offset))
    residuals = np.round(latents)
    y_hat = networks.reconstruct(residuals, hyper_latents, gain, inverse_gain)
    rest = (hyper_latents, gain, inverse_gain)
    assert same(warm.mean_context(residuals, *rest)[2], y_hat, 1e-4)
    x_hat = warm.synthesis(y_hat * inverse_gain, block_scale)
    x_hat = np.clip(keras.ops.convert_to_numpy(x_hat) + 0.5, 0, 1) * 255
    decoded = networks.synthesize(y_hat, inverse_gain, block_scale)
    assert np.abs(x_hat - decoded).max() < 0.51


def test_summed_biases_of_an_exported_bundle_are_adapted_though_they_share_a_buffer(
    folder,
):
    bundle = read_bundle(folder / "bundle")
    networks = build_codec(bundle.architecture)
    start_from(networks, bundle)
    freeze(networks)
    mean = networks.mean_context
    for layer in (mean.base[1], mean.correct[0]):
        layer.bias.assign(layer.bias + 0.25)
    patches = patches_of(bundle, new_weights(networks, bundle))
    z, residuals = np.zeros((1, 1, 1, HYPER)), np.zeros((1, 4, 4, LATENTS))
    vectors = bundle.vectors(QUALITY_CODE_MAX)
    arrays = [a.astype("float32") for a in (residuals, z, *list(vectors.values())[:2])]
    found = Networks(replace(bundle, patches=patches)).reconstruct(*arrays)
    assert same(mean(*arrays)[2], found, 1e-3)
    assert not same(mean(*arrays)[2], Networks(bundle).reconstruct(*arrays), 1e-2)


def test_the_hyper_model_starts_at_the_moments_of_the_tables(warm):
    bundle, warm = warm
    tables = bundle.hyper_tables[3]
    symbol = np.arange(tables.frequency.shape[1])
    counted = np.where(symbol < tables.length[:, None] - 1, tables.frequency, 0)
    mean = (counted * (tables.minimum[:, None] + symbol)).sum(1) / counted.sum(1)
    assert np.allclose(warm.hyper_mean[3] * 4, mean, atol=1e-4)


def test_soap_minimizes_a_quadratic_that_is_steep_in_one_direction():
    """Where the axes are rotated against the weights, so that Adam's scale of each
    weight does not help.
    """
    random = np.random.default_rng(0)
    rotation = np.linalg.qr(random.standard_normal((8, 8)))[0]
    steepness = rotation * np.logspace(0, 3, 8) @ rotation.T

    start = random.standard_normal((1, 1, 8, 4))

    def loss_after(optimizer):
        kernel = keras.Variable(start, dtype="float32")
        for _ in range(300):
            gradient = keras.ops.matmul(steepness.astype("float32"), kernel)
            optimizer.apply([gradient], [kernel])
        kernel = keras.ops.convert_to_numpy(kernel)[0, 0].astype(float)
        return float(np.sum(kernel * (steepness @ kernel)))

    schedule = keras.optimizers.schedules.CosineDecay(0.05, 300)
    assert loss_after(Soap(schedule)) < 0.5 * loss_after(
        keras.optimizers.Adam(schedule)
    )
