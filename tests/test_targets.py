"""Files of a wanted size, PSNR or score."""

import numpy as np
import pytest
from pictures import picture, psnr
from PIL import Image

import codec
from codec.api import encode_and_tell
from codec.coding import targets
from codec.coding.targets import Line, highest
from codec.errors import UsageError
from codec.options import EncodeOptions
from codec.picture.profiles import PRIMARIES, SRGB_CURVE, in_srgb, rgb_profile
from codec.picture.reading import Picture
from codec.picture.ssimulacra2 import ssimulacra2


@pytest.mark.parametrize("slope", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("limit", [0.0, 3.3, 499.9, 999.0])
def test_the_highest_number_under_a_limit_is_found_in_few_tries(limit, slope):
    tried = []

    def value_of(number: int) -> float:
        tried.append(number)
        return float(number)

    found = highest(value_of, 1000, (limit - 0.9, limit), Line(0, 0.0, slope))
    assert found == int(limit)
    assert len(tried) <= 8


def test_two_files_are_enough_where_values_grow_as_is_typical():
    tried = []

    def value_of(number: int) -> float:
        tried.append(number)
        return number + 70.0

    assert highest(value_of, 1000, (499.5, 500.5), Line(0, 0.0, 1.0)) == 430
    assert len(tried) == 2


def test_numbers_on_both_sides_are_enough_after_so_many_tries():
    tried = []

    def value_of(number: int) -> float:
        tried.append(number)
        return float(number > 37)

    line = Line(0, 0.0, 1e-3)
    assert highest(value_of, 1000, (0.4, 0.6), line, 5) == max(
        n for n in tried if n < 38
    )
    assert len(tried) == 5


def test_a_jump_over_the_limit_leaves_the_number_before_it():
    def value_of(number: int) -> float:
        return number + 100.0 * (number > 37)

    assert highest(value_of, 1000, (59.0, 60.0), Line(0, 0.0, 1.0)) == 37


def test_there_is_no_number_if_the_lowest_is_over_the_limit():
    assert highest(lambda n: n + 5.0, 10, (3.0, 4.0), Line(0, 0.0, 1.0)) is None


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_gray_picture_meets_a_psnr_of_its_gray_samples(mode):
    image = Image.fromarray(picture(256, 320)).convert("L").convert(mode)
    decoded = codec.decode(codec.encode(image, psnr_db=32))
    assert abs(psnr(decoded, image) - 32) <= 0.1


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_file_of_a_wanted_size_is_under_it_by_2_percent_at_most(share):
    image = picture(256, 320)
    wanted = int(share * len(codec.encode(image, quality=100)))
    assert 0.98 * wanted <= len(codec.encode(image, size_bytes=wanted)) <= wanted
    rate_bpp = 8 * wanted / (256 * 320)
    assert codec.encode(image, rate_bpp=rate_bpp + 1e-9) == codec.encode(
        image, size_bytes=wanted
    )


def test_a_size_that_no_file_has_is_an_error_that_names_the_smallest():
    image = picture(64, 64)
    smallest = len(codec.encode(image, quality=1))
    with pytest.raises(UsageError, match=f"quality 1, the lowest, takes {smallest} "):
        codec.encode(image, size_bytes=smallest - 1)
    assert len(codec.encode(image, size_bytes=smallest)) == smallest


def test_the_networks_make_a_file_that_is_too_small_for_the_layer():
    """Of a picture that is drawn but for a photograph, at any quality."""
    image = np.full((256, 256, 3), 255, np.uint8)
    image[::2, ::3] = (np.indices((128, 86)).sum(0) * 37 % 251)[..., None]
    least = len(codec.encode(image, content="graphics", quality=1))
    smallest = len(codec.encode(image, content="photo", quality=1))
    assert smallest < least
    assert len(codec.encode(image, size_bytes=least - 1)) < least


def test_a_layer_that_covers_all_is_measured_once_for_each_of_its_qualities(
    monkeypatch,
):
    """It has few, and the codes are many."""
    drawn = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    image = np.ascontiguousarray(drawn.repeat(5, 0).repeat(5, 1))
    image[:60] = picture(60, 160)
    measured = []
    bands = targets.decode_bands

    def noted(container, *arguments):
        measured.append(container.data[container.spans[0][1] :])
        return bands(container, *arguments)

    monkeypatch.setattr(targets, "decode_bands", noted)
    codec.encode(image, content="graphics", psnr_db=34)
    assert len(measured) == len(set(measured)) > 1


def test_of_files_that_are_the_same_it_is_the_one_of_the_highest_quality():
    drawn = np.random.default_rng(0).integers(0, 256, (1, 300, 3), np.uint8)
    picture = Picture(drawn.repeat(200, 0))
    size_bytes = round(1.2 * len(codec.encode(picture)))
    data, remark = encode_and_tell(picture, EncodeOptions(size_bytes=size_bytes))
    assert codec.read_info(data).quality == 100
    assert "takes fewer" in remark


def test_a_size_beyond_the_largest_file_gives_the_highest_quality():
    image = picture(64, 64)
    assert codec.encode(image, size_bytes=10**6) == codec.encode(image, quality=100)


@pytest.mark.parametrize("wanted", [28.0, 31.0, 31.3])
def test_a_wanted_psnr_is_met_within_a_tenth_of_a_decibel(wanted):
    image = picture(256, 320)
    decoded = codec.decode(codec.encode(image, psnr_db=wanted))
    assert abs(psnr(decoded, image) - wanted) <= 0.1


@pytest.mark.parametrize("wanted", np.linspace(28, 33, 15))
def test_a_psnr_between_those_that_there_are_is_told(wanted):
    """In a small picture one symbol is more than the tolerance."""
    image = picture(16, 16)
    options = EncodeOptions(psnr_db=wanted)
    file, remark = encode_and_tell(Picture(image), options)
    reached = psnr(codec.decode(file), image)
    assert abs(reached - wanted) <= 0.1 or f"{reached:.2f} dB" in remark


def test_a_psnr_out_of_reach_is_an_error_that_names_the_highest():
    with pytest.raises(UsageError, match=r"quality 100, the highest, has \d+\.\d\d$"):
        codec.encode(picture(64, 64), psnr_db=90)


def test_a_psnr_below_the_lowest_quality_gives_that():
    image = picture(64, 64)
    assert codec.encode(image, psnr_db=5) == codec.encode(image, quality=1)


def score(data: bytes, image: np.ndarray | Image.Image) -> float:
    colors = (np.asarray(x.convert("RGB")) for x in (image, codec.decode(data)))
    return ssimulacra2(*colors)


@pytest.mark.parametrize("wanted", [40, 70.5])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_wanted_score_is_met_by_two_tenths_more_at_most(wanted, mode):
    image = Image.fromarray(picture(512, 640)).convert(mode)
    data = codec.encode(image, ssimulacra2=wanted)
    assert wanted <= score(data, image) <= wanted + 0.2


def test_a_wanted_score_is_met_by_refined_files():
    image = Image.fromarray(picture(128, 128))
    data = codec.encode(image, ssimulacra2=60, tune="psnr", effort=7)
    assert score(data, image) >= 60


def test_the_score_is_of_the_colors_that_the_profile_means():
    image = Image.fromarray(picture(256, 256))
    icc = rgb_profile("Display P3", PRIMARIES[12][1], SRGB_CURVE)
    image.info["icc_profile"] = icc
    data = codec.encode(image, ssimulacra2=60)
    pair = [in_srgb(x, icc) for x in (image, codec.decode(data))]
    found = ssimulacra2(*map(np.asarray, pair))
    assert 60 <= found <= 61
    assert score(data, image) > found + 0.5


def test_the_score_is_of_what_alpha_lets_through():
    image = Image.fromarray(picture(256, 256))
    alpha = np.full((256, 256), 255, np.uint8)
    alpha[:, 128:] = 100
    image.putalpha(Image.fromarray(alpha))
    data = codec.encode(image, ssimulacra2=60)
    colors = (np.asarray(x.convert("RGB")) for x in (image, codec.decode(data)))
    assert 60 <= ssimulacra2(*colors, alpha) <= 61


def test_a_score_out_of_reach_is_an_error_that_names_the_highest():
    told = r"^99 points of SSIMULACRA 2 are out of reach; quality 100, .* \d+\.\d\d$"
    with pytest.raises(UsageError, match=told):
        codec.encode(picture(64, 64), ssimulacra2=99, content="photo")


def test_a_score_below_the_lowest_quality_gives_that():
    image = picture(64, 64) // 16 + 100  # of little contrast
    options = EncodeOptions(ssimulacra2=1)
    file, remark = encode_and_tell(Picture(image), options)
    assert file == codec.encode(image, quality=1)
    lowest = score(file, Image.fromarray(image))
    assert remark == f"quality 1, the lowest, has {lowest:.2f} points"


def test_a_score_of_100_is_that_of_exact_files():
    image = np.full((64, 64, 3), 255, np.uint8)
    image[8:40, 8:40] = (20, 90, 160)
    data = codec.encode(image, ssimulacra2=100)
    assert np.array_equal(codec.decode(data), image)


@pytest.mark.parametrize("size", [(1, 1), (5, 40)])
def test_pictures_of_less_than_8_pixels_have_a_score(size):
    image = picture(*size)
    data = codec.encode(image, ssimulacra2=50)
    assert score(data, Image.fromarray(image)) >= 50


def test_a_score_over_100_is_wrong_usage():
    with pytest.raises(UsageError, match="ssimulacra2 is 101; expected at most 100"):
        codec.encode(picture(8, 8), ssimulacra2=101)


def test_targets_exclude_each_other(small_picture):
    with pytest.raises(UsageError, match="quality and rate_bpp exclude"):
        codec.encode(small_picture, quality=3, rate_bpp=1)
