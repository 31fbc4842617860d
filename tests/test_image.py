"""Pictures of all kinds to 8-bit RGB arrays, and padding."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from codec.errors import UsageError
from codec.image import pad, padded_size, to_rgb

GRAY = np.array([[0, 100, 255], [7, 8, 9]], np.uint8)
COLOR = np.arange(18, dtype=np.uint8).reshape(2, 3, 3) * 14


def rgb_of(image) -> np.ndarray:
    """The array alone, from a call that gave no notice."""
    array, notices = to_rgb(image)
    assert notices == []
    assert array.dtype == np.uint8
    return array


def test_an_rgb_picture_stays_as_it_is():
    assert np.array_equal(rgb_of(Image.fromarray(COLOR)), COLOR)


def test_an_rgb_array_stays_as_it_is():
    assert np.array_equal(rgb_of(COLOR), COLOR)


@pytest.mark.parametrize("kind", [Image.fromarray, np.asarray])
def test_gray_is_repeated_into_three_channels(kind):
    assert np.array_equal(rgb_of(kind(GRAY)), np.stack([GRAY] * 3, axis=-1))


def test_a_bilevel_picture_becomes_black_and_white():
    image = Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1")
    assert image.mode == "1"
    assert rgb_of(image).tolist() == [[[0, 0, 0], [255, 255, 255]]]


def test_cmyk_is_converted():
    image = Image.new("CMYK", (2, 1), (0, 255, 255, 0))
    assert rgb_of(image).tolist() == [[[255, 0, 0], [255, 0, 0]]]


def test_transparency_is_laid_on_white_and_said_to_be_lost():
    image = Image.new("RGBA", (3, 1))
    image.putdata([(200, 0, 0, 255), (200, 0, 0, 0), (0, 0, 0, 51)])
    array, notices = to_rgb(image)
    assert array.tolist() == [[[200, 0, 0], [255, 255, 255], [204, 204, 204]]]
    assert notices == ["transparency is laid on white"]


def test_gray_with_transparency_is_laid_on_white():
    image = Image.new("LA", (2, 1))
    image.putdata([(9, 255), (9, 0)])
    array, notices = to_rgb(image)
    assert array.tolist() == [[[9, 9, 9], [255, 255, 255]]]
    assert notices == ["transparency is laid on white"]


def test_an_alpha_channel_without_transparency_is_dropped_silently():
    image = Image.fromarray(COLOR).convert("RGBA")
    assert np.array_equal(rgb_of(image), COLOR)


def test_a_palette_is_looked_up():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.putdata([1, 0])
    assert rgb_of(image).tolist() == [[[200, 100, 0], [10, 20, 30]]]


def test_a_transparent_palette_entry_is_laid_on_white():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.putdata([1, 0])
    image.info["transparency"] = 1
    array, notices = to_rgb(image)
    assert array.tolist() == [[[255, 255, 255], [10, 20, 30]]]
    assert notices == ["transparency is laid on white"]


def test_16_bit_gray_keeps_its_upper_8_bits():
    image = Image.fromarray(np.array([[0, 255, 256, 0x1234, 65535]], np.uint16))
    assert image.mode == "I;16"
    array, notices = to_rgb(image)
    assert array[0, :, 0].tolist() == [0, 0, 1, 0x12, 255]
    assert notices == ["samples are reduced to 8 bits"]


def test_a_16_bit_png_is_read_like_a_16_bit_picture():
    buffer = io.BytesIO()
    Image.fromarray(np.array([[0x1234, 65535]], np.uint16)).save(buffer, "PNG")
    array, notices = to_rgb(Image.open(buffer))
    assert array[0].tolist() == [[0x12] * 3, [255] * 3]
    assert len(notices) == 1


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (1, COLOR),
        (2, COLOR[:, ::-1]),
        (3, COLOR[::-1, ::-1]),
        (4, COLOR[::-1]),
        (5, COLOR.transpose(1, 0, 2)),
        (6, COLOR[::-1].transpose(1, 0, 2)),
        (7, COLOR[::-1, ::-1].transpose(1, 0, 2)),
        (8, COLOR[:, ::-1].transpose(1, 0, 2)),
    ],
)
def test_the_exif_orientation_is_applied(orientation, expected):
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(COLOR).save(buffer, "PNG", exif=exif)
    assert np.array_equal(rgb_of(Image.open(buffer)), expected)


def test_one_frame_is_taken_and_said_so():
    buffer = io.BytesIO()
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    array, notices = to_rgb(Image.open(buffer))
    assert array[0, 0].tolist() == [255, 0, 0]
    assert notices == ["one frame of 2 is coded"]


@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32", "bool"])
def test_an_array_of_another_type_is_refused(dtype):
    with pytest.raises(UsageError, match=f"type {dtype}; expected uint8"):
        to_rgb(COLOR.astype(dtype))


@pytest.mark.parametrize("shape", [(), (4,), (4, 4, 1), (4, 4, 4), (1, 4, 4, 3)])
def test_an_array_of_another_shape_is_refused(shape):
    with pytest.raises(UsageError, match="shape"):
        to_rgb(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (0, 4, 3), (4, 0, 3)])
def test_an_array_without_pixels_is_refused(shape):
    with pytest.raises(UsageError, match="no pixels"):
        to_rgb(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("size", [(0, 4), (4, 0)])
def test_a_picture_without_pixels_is_refused(size):
    with pytest.raises(UsageError, match="no pixels"):
        to_rgb(Image.new("RGB", size))


@pytest.mark.parametrize(
    ("size", "padded"), [(1, 64), (63, 64), (64, 64), (65, 128), (128, 128)]
)
def test_the_padded_size_is_the_next_multiple(size, padded):
    assert padded_size(size, 64) == padded


def test_padding_repeats_the_last_row_and_column():
    padded = pad(COLOR, 4)
    assert padded.shape == (4, 4, 3)
    assert np.array_equal(padded[:2, :3], COLOR)
    assert np.array_equal(padded[2:, :3], COLOR[[1, 1]])
    assert np.array_equal(padded[:, 3], padded[:, 2])


def test_a_picture_of_whole_cells_is_not_padded():
    assert np.array_equal(pad(COLOR[:, :2], 2), COLOR[:, :2])


def test_a_color_profile_is_said_to_be_lost():
    image = Image.fromarray(COLOR)
    image.info["icc_profile"] = b"profile"
    assert to_rgb(image)[1] == ["the color profile is not kept"]


def test_16_bit_color_is_said_to_be_reduced():
    def chunk(kind, data):
        crc = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + crc

    header = bytes([0, 0, 0, 1, 0, 0, 0, 1, 16, 2, 0, 0, 0])  # 1 x 1, 16 bits, RGB
    pixels = zlib.compress(b"\0" + bytes([0x12, 0x34, 0xFF, 0xFF, 0, 0]))
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    png += chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    array, notices = to_rgb(Image.open(io.BytesIO(png)))
    assert array.tolist() == [[[0x12, 0xFF, 0]]]
    assert notices == ["samples are reduced to 8 bits"]


def test_floating_point_samples_are_refused():
    with pytest.raises(UsageError, match="floating-point"):
        to_rgb(Image.new("F", (2, 2)))


def test_a_row_length_with_16_in_it_is_no_16_bit_sample():
    buffer = io.BytesIO()
    Image.new("RGB", (72, 1)).save(buffer, "BMP")  # rows of 216 bytes
    assert to_rgb(Image.open(buffer))[1] == []
