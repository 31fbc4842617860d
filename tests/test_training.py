"""Training and export, in a few steps; needs the packages of the extra `train`."""

import csv
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from pictures import picture, psnr
from PIL import Image

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
REASON = "training needs `pip install aecodec[train]`, Python 3.11 or 3.12"
pytest.importorskip("tensorflow", reason=REASON)
pytest.importorskip("tensorflow_compression_ops", reason=REASON)
keras = pytest.importorskip("keras", reason=REASON)

import codec  # noqa: E402
from codec.bundle import bundle_digest, nearest_fraction, read_bundle  # noqa: E402
from codec.container import QUALITY_CODE_MAX  # noqa: E402
from codec.entropy.tables import PRECISION_BITS  # noqa: E402
from codec.training import networks as net  # noqa: E402
from codec.training.train import build_codec  # noqa: E402


def training(folder, *arguments: object) -> str:
    """Standard output of `python -m codec.training` in `folder`."""
    result = subprocess.run(
        [sys.executable, "-m", "codec.training", *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"KERAS_BACKEND": "tensorflow"},
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
        *("--model-id", 1, "--calibration-tiles", 2),
    )
    (folder / "outputs.json").write_text(json.dumps(outputs))
    return folder


def outputs(folder) -> dict[str, str]:
    return json.loads((folder / "outputs.json").read_text())


def test_training_goes_on_where_it_stopped(folder):
    assert "going on" not in outputs(folder)["first"]
    assert "going on from step 4\n" in outputs(folder)["second"]
    state = json.loads((folder / "run" / "state.json").read_text())
    assert state == {"step": 6}
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
    with pytest.raises(codec.FormatError, match="another model"):
        codec.decode(data)


def test_an_exported_bundle_has_the_networks_shapes_and_proper_tables(folder):
    bundle = read_bundle(folder / "bundle")
    assert bundle.model_id == 1
    assert bundle.digest == bundle_digest(folder / "bundle")
    assert bundle.latent_channels == net.LATENTS
    assert bundle.hyper_channels == net.HYPER
    assert bundle.log_gain.shape == (net.QUALITY_ANCHORS, net.LATENTS)
    assert len(bundle.hyper_tables) == net.QUALITY_ANCHORS
    assert len(bundle.residual_tables.length) == net.SCALE_LEVELS
    for tables in (*bundle.hyper_tables, bundle.residual_tables):
        assert (tables.frequency.sum(1) == 2**PRECISION_BITS).all()


def test_the_context_covers_every_position_and_channel_exactly_once():
    masks = net.context_masks()
    assert masks.shape == (net.CONTEXT_STEPS, 4 * net.LATENTS)
    assert set(np.unique(masks)) == {0, 1}
    assert (masks.sum(0) == 1).all()


def test_every_context_step_codes_a_quarter_of_the_channels_at_every_position():
    masks = net.context_masks().reshape(net.CONTEXT_STEPS, 4, net.LATENTS)
    assert (masks.sum(2) == net.LATENTS / 4).all()


def test_an_untrained_codec_is_a_transform_coder():
    y, x = np.mgrid[:128, :192]
    smooth = np.stack([x, y + 40, 220 - x], axis=-1).astype("float32") / 255 - 0.5
    result = build_codec()(smooth[None], np.ones(1, "float32"))
    x_hat = np.clip(keras.ops.convert_to_numpy(result["x_hat"])[0], -0.5, 0.5)
    assert psnr(255 * x_hat, 255 * smooth) > 30


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
    weights = keras.ops.convert_to_numpy(net.anchor_weights(level))
    assert weights.shape == (1001, net.QUALITY_ANCHORS)
    assert np.allclose(weights.sum(1), 1, atol=1e-5)
    assert ((weights > 0).sum(1) <= 2).all()


def test_training_and_files_agree_on_the_index_offset():
    codes = np.arange(QUALITY_CODE_MAX + 1)
    level = (codes / QUALITY_CODE_MAX).astype("float32")
    found = keras.ops.convert_to_numpy(net.index_offset(level))
    expected = [nearest_fraction(int(c), net.INDEX_OFFSET_MAX) for c in codes]
    assert np.array_equal(found, expected)


def test_the_integer_network_sees_integer_weights():
    layer = build_codec().scales.convs[0]
    for weight in layer.integer_weights():
        value = keras.ops.convert_to_numpy(weight)
        assert np.array_equal(value, np.round(value))
