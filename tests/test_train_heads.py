"""Training and export of heads, in a few steps; needs the extra `train`."""

import os

import numpy as np
import pytest
from pictures import picture
from PIL import Image

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
REASON = "training needs `pip install aecodec[train]`, Python 3.11 or 3.12"
pytest.importorskip("tensorflow", reason=REASON)
pytest.importorskip("tensorflow_compression_ops", reason=REASON)
keras = pytest.importorskip("keras", reason=REASON)

from codec.networks.bundle import EXACT  # noqa: E402
from codec.networks.heads import HEADS  # noqa: E402
from codec.networks.runtime import Graph  # noqa: E402
from codec.networks.shipped import DEFAULT_MODEL_ID, load_bundle  # noqa: E402
from codec.training import heads  # noqa: E402
from codec.training.architectures import ARCHITECTURES, DEFAULT  # noqa: E402
from codec.training.colors import CHROMA  # noqa: E402
from codec.training.degradation import gray, halved, noisy, worn  # noqa: E402
from codec.training.dimensions import BLOCK_SCALES, LATENTS  # noqa: E402
from codec.training.export import export_head  # noqa: E402
from codec.training.train_head import load_head, train_head  # noqa: E402


def samples(*shape):
    """Latents and block scales."""
    random = np.random.default_rng(0)
    latents = random.normal(0, 0.1, (1, *shape, LATENTS)).astype("float32")
    return latents, np.ones((1, 1, 1, sum(BLOCK_SCALES)), "float32")


def test_every_head_has_a_network_and_what_it_undoes():
    assert list(heads.KINDS) == list(HEADS)


@pytest.mark.parametrize(
    "harm, factor", [(gray, 1), (noisy, 1), (worn, 1), (halved, 2)]
)
def test_harm_is_drawn_from_the_random_numbers_alone(harm, factor):
    tile = picture(64, 96, seed=1)
    one, other = (harm(tile, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(one, other)
    assert (one.shape, one.dtype) == ((64 // factor, 96 // factor, 3), np.uint8)
    assert factor > 1 or not np.array_equal(one, tile)


def test_noise_on_a_gray_picture_is_gray():
    found = noisy(gray(picture(32, 32, seed=1)), np.random.default_rng(1))
    assert (found == found[..., :1]).all()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("kind", HEADS)
def test_a_head_learns_from_its_loss(kind, architecture):
    head = heads.build_head(kind, architecture)
    target = picture(64 * head.factor, 64 * head.factor)[None].astype("float32")
    loss = head.loss(*samples(4, 4), target / 255 - 0.5)
    assert np.isfinite(float(loss))


def drawn_synthesis(architecture):
    """With blocks that do something, and all weights other than at the start."""
    synthesis = ARCHITECTURES[architecture].synthesis()
    synthesis(*samples(4, 6))
    random = np.random.default_rng(1)
    for weight in synthesis.weights:
        weight.assign(weight + random.normal(0, 0.02, weight.shape))
    return synthesis


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_image_heads_start_as_the_synthesis(architecture):
    synthesis = drawn_synthesis(architecture)
    expected = synthesis(*samples(4, 6))
    head = heads.build_head("denoise", architecture)
    head.start(synthesis)
    assert np.allclose(head(*samples(4, 6)), expected, atol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_head_that_enlarges_starts_with_the_features_of_the_synthesis(architecture):
    synthesis = drawn_synthesis(architecture)
    head = heads.build_head("upscale", architecture)
    head.start(synthesis)
    found, expected = (
        network.features(*samples(4, 6))[0] for network in (head.synthesis, synthesis)
    )
    assert np.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("kind", ["denoise", "upscale"])
def test_a_head_sees_no_further_than_the_halo_of_the_synthesis(kind, architecture):
    head = heads.build_head(kind, architecture)
    head.start(drawn_synthesis(architecture))
    latents, scales = samples(20, 4)
    other = latents.copy()
    other[:, 8:12] += 1
    changed = np.abs(head(other, scales) - head(latents, scales)).max((0, 2, 3))
    rows = np.flatnonzero(changed > 1e-6) / (64 * head.factor)
    halo = ARCHITECTURES[architecture].halos.synthesis
    assert 2 - halo <= rows.min() < 2
    assert 3 <= rows.max() < 3 + halo


def test_colors_are_the_mean_of_what_is_likely_and_gray_where_unsure(monkeypatch):
    """What training weighs for its color counts no more than gray."""
    head = heads.build_head("colorize", DEFAULT)
    share = np.zeros(len(head.colors))
    share[[0, len(share) // 2]] = 0.25, 0.75  # the farthest color, and gray
    learned = share * heads.color_weight(np.linalg.norm(head.colors, axis=-1))
    logits = np.log(learned + 1e-9).astype("float32")
    monkeypatch.setattr(heads.ColorHead, "call", lambda *_: logits)
    found = keras.ops.convert_to_numpy(head.chroma(None, None))
    # The square of the mean is a quarter of the mean square.
    assert np.allclose(found, 0.25 * 0.25 * head.colors[0], atol=1e-3)


def test_colors_are_shares_of_a_grid_around_gray():
    head = heads.build_head("colorize", DEFAULT)
    chroma = np.asarray(head.chroma(*samples(4, 6)))
    assert chroma.shape == (1, 8, 12, 2)
    assert np.abs(chroma).max() <= heads.COLOR_STEP * heads.COLOR_REACH
    image = np.zeros((1, 16, 16, 3), "float32")
    image[..., 0] = 0.5  # red
    expected = np.broadcast_to(0.5 * CHROMA[:, 0], (1, 2, 2, 2))
    assert np.allclose(heads.chroma_of(image), expected, atol=1e-6)


def test_a_run_goes_on_and_its_export_computes_the_same(tmp_path):
    (tmp_path / "pictures").mkdir()
    for seed in (1, 2):
        image = Image.fromarray(picture(512, 512, seed))
        image.save(tmp_path / "pictures" / f"{seed}.png")
    for steps in (1, 2):
        keras.utils.clear_session()  # variables are named as in a fresh process
        train_head(
            "upscale",
            [tmp_path / "pictures"],
            tmp_path / "run",
            bundle=load_bundle(DEFAULT_MODEL_ID).folder,
            precision="float32",
            batch=2,
            steps=steps,
            learning_rate=1e-4,
            decay=1,
            checkpoint_every=1,
            valid=[tmp_path / "pictures" / "1.png"],
        )
    rows = (tmp_path / "run" / "validation.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", *"111", *"222"]
    keras.utils.clear_session()
    head = load_head(tmp_path / "run")
    export_head(head, tmp_path / "head.tflite")
    latents, scales = samples(8, 12)
    image = Graph(tmp_path / "head.tflite", 1)(
        EXACT, latents=latents, block_scale=scales
    )["image"]
    expected = (np.asarray(head(latents, scales)) + 0.5) * 255
    assert image.shape == (1, 256, 384, 3)
    assert np.abs(image - expected.clip(0, 255)).max() < 2
