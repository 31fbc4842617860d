"""Pictures decoded smaller than they are."""

import io
from pathlib import Path

import numpy as np
import pytest
from command_line import is_refused, pixels, succeeds
from pictures import picture, psnr
from PIL import Image

import codec
from codec import pillow_plugin
from codec.api import decode_file
from codec.networks import windows as win

FACTORS = (2, 4, 8)


@pytest.fixture(scope="module")
def data() -> bytes:
    """A picture of 333 x 201 pixels."""
    return codec.encode(picture(201, 333), quality=70)


@pytest.mark.parametrize("factor", FACTORS)
def test_a_small_picture_is_nearly_the_large_one_made_smaller(data, factor):
    small = codec.decode(data, scale=1 / factor)
    expected = codec.decode(data).reduce(factor)
    assert small.size == expected.size
    assert psnr(small, expected) > 33


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (63, 65), (64, 9), (129, 128)])
def test_sides_are_rounded_up(size):
    data = codec.encode(picture(size[1], size[0]))
    for factor in FACTORS:
        small = codec.decode(data, scale=1 / factor)
        assert small.size == tuple(-(-side // factor) for side in size)


def test_windows_change_nothing(monkeypatch):
    data = codec.encode(picture(1100, 1300), quality=30)
    whole = np.asarray(codec.decode(data, scale=1 / 2), int)
    monkeypatch.setattr(win, "SPAN", 10)
    assert np.abs(np.asarray(codec.decode(data, scale=1 / 2)) - whole).max() <= 1


def test_gray_alpha_and_metadata_are_kept():
    image = Image.fromarray(picture(60, 81)).convert("LA")
    image.putalpha(Image.linear_gradient("L").resize((81, 60)))
    image.info["xmp"] = b"<x/>"
    data = codec.encode(image)
    small = codec.decode(data, scale=1 / 4)
    assert (small.mode, small.size) == ("LA", (21, 15))
    assert small.info == {"xmp": b"<x/>"}
    alpha = codec.decode(data).getchannel("A").reduce(4)
    assert small.getchannel("A").tobytes() == alpha.tobytes()


def test_a_scale_of_1_is_the_picture(data):
    assert codec.decode(data, scale=1) == codec.decode(data)


@pytest.mark.parametrize("scale", [0, 2, 1 / 3, "1/2", None, float("nan")])
def test_other_scales_are_wrong_usage(data, scale):
    with pytest.raises(codec.UsageError, match=r"scale is .*; expected 1, 1/2"):
        codec.decode(data, scale=scale)


def test_a_region_has_no_scale(data):
    with pytest.raises(codec.UsageError, match=r"region and scale 0.5 exclude"):
        codec.decode(data, scale=1 / 2, region=(0, 0, 8, 8))


@pytest.mark.parametrize("factor", FACTORS)
def test_the_command_line_decodes_smaller(coded, factor):
    succeeds("decode", "photo.aec", "--scale", f"1/{factor}", "-o", "small.png")
    expected = codec.decode(Path("photo.aec").read_bytes(), scale=1 / factor)
    assert np.array_equal(pixels("small.png"), np.asarray(expected))


@pytest.mark.parametrize("other", [("--region", "0,0,8,8"), ("--salvage",)])
def test_scale_and_parts_or_damaged_files_exclude_each_other(coded, other):
    message = is_refused("decode", "photo.aec", "--scale", "1/2", *other)
    assert "exclude each other" in message


@pytest.mark.parametrize("scale", ["1/3", "1", "0.5", "2", ""])
def test_the_command_line_refuses_other_scales(coded, scale):
    assert "--scale" in is_refused("decode", "photo.aec", "--scale", scale)


def opened(data: bytes) -> Image.Image:
    pillow_plugin.register()
    return Image.open(io.BytesIO(data))


def test_a_draft_is_the_smallest_that_is_large_enough(data):
    for wanted, expected in (
        ((167, 101), (167, 101)),
        ((168, 50), (333, 201)),
        ((84, 51), (84, 51)),
        ((1, 1), (42, 26)),
        ((400, 10), (333, 201)),
    ):
        with opened(data) as image:
            mode, box = image.draft(None, wanted)
            assert (mode, image.size) == ("RGB", expected)
            assert box[2] / box[3] == 333 / 201
            assert np.asarray(image).shape == (*expected[::-1], 3)


def test_a_draft_after_loading_changes_nothing(data):
    with opened(data) as image:
        image.load()
        assert image.draft(None, (10, 10)) is None
        assert image.size == (333, 201)


def test_thumbnails_decode_no_more_than_they_need(data, monkeypatch):
    scales = []

    def decode(data, options):
        scales.append(options.scale)
        return decode_file(data, options)

    monkeypatch.setattr(pillow_plugin, "decode_file", decode)
    with opened(data) as image:
        image.thumbnail((25, 25))
        expected = codec.decode(data)
        expected.thumbnail((25, 25))
        assert image.size == expected.size
        assert psnr(image, expected) > 33
    assert scales == [1 / 4]
