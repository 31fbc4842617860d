"""Other pictures from the same file: denoised, restored, enlarged, in color."""

import numpy as np
import pytest
from command_line import is_refused, pixels, succeeds
from pictures import picture, psnr
from PIL import Image

import codec
from codec.errors import CodecError, FormatError, UsageError
from codec.networks import heads, runtime, shipped
from codec.networks import windows as win
from codec.networks.shipped import TUNES

MODEL_ID = TUNES["psnr"].model_id
IMAGE_HEADS = [name for name in heads.HEADS if name != heads.COLORIZE]


@pytest.fixture(scope="module")
def file():
    return codec.encode(picture(200, 330, seed=3), quality=70, tune="psnr")


@pytest.fixture(scope="module")
def gray_file():
    return codec.encode(picture(200, 330, seed=3)[..., 1], quality=70, tune="psnr")


def test_every_head_is_shipped_for_the_tune_psnr_and_small():
    assert set(shipped.HEAD_DIGESTS[MODEL_ID]) == set(heads.HEADS)
    for name in heads.HEADS:
        assert shipped.head_file(MODEL_ID, name).stat().st_size <= 4_000_000


@pytest.mark.parametrize("name", IMAGE_HEADS)
def test_a_head_gives_nearly_the_same_picture(file, name):
    factor = heads.HEADS[name].enlargement
    made = codec.decode(file, head=name)
    assert (made.size, made.mode) == ((330 * factor, 200 * factor), "RGB")
    plain = codec.decode(file)
    assert 22 < psnr(made.reduce(factor), plain) < 60


@pytest.mark.parametrize("name", IMAGE_HEADS)
def test_a_gray_picture_stays_gray(gray_file, name):
    assert codec.decode(gray_file, head=name).mode == "L"


def test_noise_is_taken_away():
    clean = picture(256, 320, seed=5)
    noise = np.random.default_rng(1).normal(0, 25, clean.shape)
    noisy = (clean + noise).clip(0, 255).astype(np.uint8)
    data = codec.encode(noisy, quality=90, tune="psnr")
    plain, denoised = codec.decode(data), codec.decode(data, head="denoise")
    assert psnr(clean, denoised) > psnr(clean, plain) + 4


def test_colors_are_put_over_the_same_luma(gray_file):
    plain, made = codec.decode(gray_file), codec.decode(gray_file, head="colorize")
    assert made.mode == "RGB"
    difference = np.asarray(made.convert("L"), int) - np.asarray(plain, int)
    assert np.abs(difference).mean() < 1


def test_colors_are_those_of_the_head(gray_file, monkeypatch):
    def orange(_networks, _path, latents, _block_scale):
        height, width = (2 * side for side in latents.shape[1:3])
        chroma = np.array([118, 148], np.uint8)
        return {"chroma": np.broadcast_to(chroma, (1, height, width, 2))}

    monkeypatch.setattr(runtime.Networks, "head", orange)
    made = np.asarray(codec.decode(gray_file, head="colorize").convert("YCbCr"), int)
    assert np.abs(np.median(made[..., 1:], (0, 1)) - (118, 148)).max() <= 1


def test_a_profile_of_gray_samples_is_not_put_on_colors():
    image = Image.fromarray(picture(70, 70, seed=1)[..., 1])
    image.info["icc_profile"] = bytes(16) + b"GRAY" + bytes(108)
    data = codec.encode(image, tune="psnr")
    assert "icc_profile" in codec.decode(data).info
    assert "icc_profile" not in codec.decode(data, head="colorize").info


def test_a_picture_with_colors_is_not_colorized(file):
    with pytest.raises(UsageError, match="the picture has colors already"):
        codec.decode(file, head="colorize")


def test_alpha_is_enlarged_too():
    pixels = np.dstack([picture(64, 100, seed=2), np.full((64, 100), 255, np.uint8)])
    pixels[:30, :, 3] = 0
    data = codec.encode(Image.fromarray(pixels, "RGBA"), tune="psnr")
    alpha = np.asarray(codec.decode(data, head="upscale").getchannel("A"))
    assert alpha.shape == (128, 200)
    assert alpha[:50].max() == 0
    assert alpha[70:].min() == 255
    part = codec.decode(data, head="upscale", region=(16, 20, 32, 25)).getchannel("A")
    assert np.array_equal(np.asarray(part), alpha[40:90, 32:96])


def test_the_limit_counts_what_is_enlarged():
    data = codec.encode(picture(64, 128), tune="psnr")
    assert codec.decode(data, head="upscale", max_pixels=128 * 256).size == (256, 128)
    with pytest.raises(FormatError, match="256 x 128 pixels is over the limit of 327"):
        codec.decode(data, head="upscale", max_pixels=128 * 256 - 1)
    part = codec.decode(data, head="upscale", region=(0, 0, 64, 64), max_pixels=2**14)
    assert part.size == (128, 128)
    codec.decode(data, head="denoise", max_pixels=64 * 128)


@pytest.mark.parametrize("name", heads.HEADS)
def test_a_region_is_that_of_the_whole(file, gray_file, name):
    data = gray_file if name == heads.COLORIZE else file
    factor = heads.HEADS[name].enlargement
    whole = np.asarray(codec.decode(data, head=name), int)
    part = np.asarray(codec.decode(data, region=(70, 30, 101, 99), head=name), int)
    left, top, width, height = (factor * side for side in (70, 30, 101, 99))
    expected = whole[top : top + height, left : left + width]
    assert np.abs(part - expected).max() <= 1


@pytest.mark.parametrize("name", heads.HEADS)
def test_small_windows_change_nothing(monkeypatch, name):
    pixels = picture(900, 1300, seed=7)
    samples = pixels[..., 1] if name == heads.COLORIZE else pixels
    data = codec.encode(samples, tune="psnr")
    whole = np.asarray(codec.decode(data, head=name), int)
    monkeypatch.setattr(win, "SPAN", 16)
    assert np.abs(np.asarray(codec.decode(data, head=name), int) - whole).max() <= 1


@pytest.mark.parametrize("other", [{"scale": 1 / 2}, {"precision": "fast"}])
def test_a_head_goes_with_no_other_way_of_decoding(file, other):
    with pytest.raises(UsageError, match=r"head denoise and .* exclude each other"):
        codec.decode(file, head="denoise", **other)


def test_an_unknown_head_is_wrong_usage(file):
    with pytest.raises(UsageError, match=r"head is 'sharpen'; expected denoise, "):
        codec.decode(file, head="sharpen")


def test_a_model_without_heads_is_named():
    data = codec.encode(picture(64, 64, seed=1), tune="visual")
    assert TUNES["visual"].model_id not in shipped.HEAD_DIGESTS
    message = "no head denoise for model visual-.*; encode with --tune psnr for one"
    with pytest.raises(UsageError, match=message):
        codec.decode(data, head="denoise")


def test_a_damaged_head_is_refused(monkeypatch):
    wrong = {MODEL_ID: {"denoise": "0" * 64}}
    monkeypatch.setattr(shipped, "HEAD_DIGESTS", wrong)
    shipped.head_file.cache_clear()
    with pytest.raises(CodecError, match="head denoise is damaged"):
        shipped.head_file(MODEL_ID, "denoise")
    shipped.head_file.cache_clear()


def test_the_command_line_has_an_option_for_each(tmp_path, monkeypatch, gray_file):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.aec").write_bytes(gray_file)
    options = {name: [f"--{name}"] for name in heads.HEADS} | {
        "upscale": ["--upscale", "2"]
    }
    for name, option in options.items():
        succeeds("decode", "photo.aec", *option, "-o", f"{name}.png")
        expected = codec.decode(gray_file, head=name)
        assert np.array_equal(pixels(f"{name}.png"), np.asarray(expected))


@pytest.mark.parametrize(
    "other", [["--restore"], ["--scale", "1/2"], ["--salvage"], ["--upscale", "2"]]
)
def test_options_that_exclude_each_other_are_refused(other):
    message = is_refused("decode", "photo.aec", "--denoise", *other)
    assert "exclude each other" in message


def test_a_head_is_always_exact():
    message = is_refused("decode", "photo.aec", "--denoise", "--precision", "fast")
    assert "--denoise and --precision fast exclude each other" in message
