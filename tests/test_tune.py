"""What a file is small for."""

from pathlib import Path

import numpy as np
import pytest
from command_line import ORIGINAL, is_refused, succeeds
from pictures import picture, psnr
from PIL import Image

import codec
from codec.networks.shipped import TUNES

# A photograph's worth of structure, large enough for five scales.
PICTURE = picture(192, 256)


@pytest.mark.parametrize("tune", TUNES)
def test_every_tune_has_a_model_of_its_own_that_decodes(tune):
    data = codec.encode(PICTURE, tune=tune)
    info = codec.read_info(data)
    assert info.model_id == TUNES[tune].model_id
    assert psnr(codec.decode(data), PICTURE) > 25


def test_the_tunes_are_good_at_what_they_are_for():
    """At the same size the error is smaller with the one; that the other looks better,
    a benchmark shows.
    """
    size = len(codec.encode(PICTURE, quality=40))
    by_tune = {
        tune: codec.decode(codec.encode(PICTURE, tune=tune, size_bytes=size))
        for tune in TUNES
    }
    assert psnr(by_tune["psnr"], PICTURE) > psnr(by_tune["visual"], PICTURE)


def test_visual_is_the_default(small_picture):
    assert codec.encode(small_picture) == codec.encode(small_picture, tune="visual")


@pytest.mark.parametrize("tune", ["ssim", "", None, 5, ["psnr"]])
def test_other_tunes_are_wrong_usage(tune):
    with pytest.raises(codec.UsageError, match=r"tune is .*; expected visual or psnr"):
        codec.encode(PICTURE, tune=tune)


def test_the_command_line_passes_the_tune_on(folder):
    succeeds("encode", "photo.png", "--tune", "psnr")
    data = Path("photo.aec").read_bytes()
    assert data == codec.encode(ORIGINAL, tune="psnr")
    info = succeeds("info", "photo.aec").stdout
    assert f"model {TUNES['psnr'].model_id} (psnr-" in info
    succeeds("decode", "photo.aec", "-o", "back.png")
    with Image.open("back.png") as image:
        assert np.array_equal(image, codec.decode(data))


def test_the_command_line_refuses_other_tunes(folder):
    assert "--tune" in is_refused("encode", "photo.png", "--tune", "butteraugli")
