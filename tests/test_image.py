"""Pictures of all kinds to 8-bit RGB arrays, and padding."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from odd_files import png_with, saved
from PIL import Image, TiffImagePlugin

from benchmarks.hostile_files import png_chunk, tiff
from codec.errors import FormatError, UsageError
from codec.limits import MAX_PIXELS
from codec.picture.alpha import pack_alpha, smooth_where_invisible, unpack_alpha
from codec.picture.padding import pad, padded_size
from codec.picture.reading import picture_in, read_picture
from codec.picture.vp8l import SIDE_MAX_PX, VP8L_START, pack_lossless

GRAY = np.array([[0, 100, 255], [7, 8, 9]], np.uint8)
COLOR = np.arange(18, dtype=np.uint8).reshape(2, 3, 3) * 14


def rgb_of(image) -> np.ndarray:
    """The array alone, from a call that gave no notice."""
    found = read_picture(image)
    assert found.losses == []
    assert found.rgb.dtype == np.uint8
    return found.rgb


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


def test_cmyk_is_converted_and_said_to_be():
    found = read_picture(Image.new("CMYK", (2, 1), (0, 255, 255, 0)))
    assert found.rgb.tolist() == [[[255, 0, 0], [255, 0, 0]]]
    assert found.losses == ["CMYK samples, converted to RGB without a profile"]


def test_alpha_is_kept_and_colors_under_it_are_not():
    image = Image.new("RGBA", (3, 1))
    image.putdata([(200, 0, 0, 255), (0, 99, 0, 0), (0, 0, 0, 51)])
    found = read_picture(image)
    assert not found.gray
    assert found.alpha.tolist() == [[255, 0, 51]]
    assert found.rgb[0, [0, 2]].tolist() == [[200, 0, 0], [0, 0, 0]]
    assert found.rgb[0, 1, 1] == 0
    assert found.losses == []


def test_gray_with_alpha_stays_gray():
    image = Image.new("LA", (2, 1))
    image.putdata([(9, 255), (200, 0)])
    found = read_picture(image)
    assert found.gray
    assert found.alpha.tolist() == [[255, 0]]
    assert found.rgb.tolist() == [[[9, 9, 9], [9, 9, 9]]]


def test_an_alpha_channel_without_transparency_is_dropped_silently():
    image = Image.fromarray(COLOR).convert("RGBA")
    assert np.array_equal(rgb_of(image), COLOR)


def test_a_palette_is_looked_up():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.putdata([1, 0])
    assert rgb_of(image).tolist() == [[[200, 100, 0], [10, 20, 30]]]


def test_a_transparent_palette_entry_becomes_alpha():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.putdata([1, 0])
    image.info["transparency"] = 1
    found = read_picture(image)
    assert found.alpha.tolist() == [[0, 255]]
    assert found.rgb.tolist() == [[[10, 20, 30], [10, 20, 30]]]


def test_16_bit_gray_keeps_its_upper_8_bits():
    image = Image.fromarray(np.array([[0, 255, 256, 0x1234, 65535]], np.uint16))
    assert image.mode == "I;16"
    found = read_picture(image)
    assert found.rgb[0, :, 0].tolist() == [0, 0, 1, 0x12, 255]
    assert found.gray
    assert found.alpha is None
    assert found.losses == ["all but 8 bits of the samples"]


def test_a_16_bit_png_is_read_like_a_16_bit_picture():
    buffer = io.BytesIO()
    Image.fromarray(np.array([[0x1234, 65535]], np.uint16)).save(buffer, "PNG")
    found = read_picture(Image.open(buffer))
    assert found.rgb[0].tolist() == [[0x12] * 3, [255] * 3]
    assert len(found.losses) == 1


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
def test_the_orientation_is_kept_with_the_exif_data_and_applied_without(
    orientation, expected
):
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(COLOR).save(buffer, "PNG", exif=exif)
    kept = read_picture(Image.open(buffer))
    assert np.array_equal(kept.rgb, COLOR)
    kept_exif = Image.Exif()
    kept_exif.load(kept.metadata["exif"])
    assert kept_exif[0x0112] == orientation
    stripped = read_picture(Image.open(buffer), strip=["exif"])
    assert np.array_equal(stripped.rgb, expected)
    assert stripped.metadata == {}


def test_one_frame_is_taken_and_said_so():
    buffer = io.BytesIO()
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    found = read_picture(Image.open(buffer))
    assert found.rgb[0, 0].tolist() == [255, 0, 0]
    assert found.losses == ["all frames but the first"]


@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32", "bool"])
def test_an_array_of_another_type_is_refused(dtype):
    with pytest.raises(UsageError, match=f"type {dtype}; expected uint8"):
        read_picture(COLOR.astype(dtype))


@pytest.mark.parametrize("shape", [(), (4,), (4, 4, 1), (4, 4, 5), (1, 4, 4, 3)])
def test_an_array_of_another_shape_is_refused(shape):
    with pytest.raises(UsageError, match="shape"):
        read_picture(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (0, 4, 3), (4, 0, 3)])
def test_an_array_without_pixels_is_refused(shape):
    with pytest.raises(UsageError, match="no pixels"):
        read_picture(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("size", [(0, 4), (4, 0)])
def test_a_picture_without_pixels_is_refused(size):
    with pytest.raises(UsageError, match="no pixels"):
        read_picture(Image.new("RGB", size))


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


def profile(space: bytes) -> bytes:
    return bytes(16) + space + b"rest"


def test_metadata_are_kept_unless_stripped():
    image = Image.fromarray(COLOR)
    image.info = {
        "icc_profile": profile(b"RGB "),
        "exif": b"Exif\0\0II*",
        "xmp": b"<x/>",
    }
    found = read_picture(image)
    assert found.metadata == {"icc": profile(b"RGB "), "exif": b"II*", "xmp": b"<x/>"}
    assert read_picture(image, strip=["icc", "xmp"]).metadata == {"exif": b"II*"}


@pytest.mark.parametrize(
    ("mode", "space", "kept"),
    [("L", b"GRAY", True), ("L", b"RGB ", False), ("CMYK", b"CMYK", False)],
)
def test_a_profile_for_other_samples_is_said_to_be_lost(mode, space, kept):
    image = Image.new(mode, (2, 2))
    image.info["icc_profile"] = profile(space)
    found = read_picture(image)
    assert ("icc" in found.metadata) == kept
    assert any("ICC profile" in loss for loss in found.losses) != kept


def test_invisible_colors_run_on_from_visible_ones():
    random = np.random.default_rng(0)
    rgb = random.integers(0, 256, (37, 50, 3), np.uint8)
    visible = np.zeros((37, 50), bool)
    rgb[:, 10:20], visible[:, 10:20] = (200, 100, 50), True
    smooth = smooth_where_invisible(rgb, visible)
    assert np.abs(smooth.astype(int) - (200, 100, 50)).max() <= 1
    visible[5, 5] = True
    smooth = smooth_where_invisible(rgb, visible)
    assert np.array_equal(smooth[visible], rgb[visible])


def test_colors_of_a_wholly_invisible_picture_are_flat():
    rgb = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    assert len(np.unique(smooth_where_invisible(rgb, np.zeros((4, 5), bool)))) == 1


def test_alpha_comes_back_exactly():
    alpha = np.random.default_rng(0).integers(0, 256, (7, 9), np.uint8)
    assert np.array_equal(unpack_alpha(pack_alpha(alpha), 9, 7), alpha)


def test_alpha_is_vp8l_data_where_that_is_smaller_and_not_too_wide():
    assert pack_alpha(np.zeros((7, 9), np.uint8)).startswith(VP8L_START)
    wide = np.zeros((1, SIDE_MAX_PX + 1), np.uint8)
    assert pack_alpha(wide).startswith(PNG[:8])
    assert np.array_equal(unpack_alpha(pack_alpha(wide), SIDE_MAX_PX + 1, 1), wide)


PNG = saved(Image.new("L", (9, 7)), "PNG")
VP8L = pack_lossless(np.zeros((8, 9, 3), np.uint8), None)


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", PNG[:40], VP8L, VP8L[:6]]
)
def test_alpha_that_is_not_whole_or_of_another_size_is_refused(data):
    with pytest.raises(FormatError, match="alpha"):
        unpack_alpha(data, 9, 7)


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["size", "color", "1 bit"])
def test_alpha_of_another_kind_is_refused(kind):
    size = (7, 9) if kind == "size" else (9, 7)
    mode = {"color": "RGB", "1 bit": "1"}.get(kind, "L")
    with pytest.raises(FormatError, match="no gray PNG file of 9 x 7 pixels"):
        unpack_alpha(png(Image.new(mode, size)), 9, 7)


def test_alpha_with_a_second_header_is_refused():
    color = png(Image.new("RGB", (9, 7)))
    with pytest.raises(FormatError, match="alpha: PNG file is not gray"):
        unpack_alpha(PNG[:33] + color[8:], 9, 7)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_the_transparent_gray_of_a_png_file_is_that_in_8_bits(bits):
    data = raw_png(bits, 0, b"\x0f\xff", (1 << bits) - 1)
    found = picture_in(data, MAX_PIXELS, ())
    expected = np.unpackbits(np.frombuffer(b"\x0f\xff", np.uint8)).reshape(1, -1, bits)
    assert np.array_equal(found.alpha == 0, expected.all(-1))


@pytest.mark.parametrize("bits", [2, 16])
def test_an_image_has_its_transparent_color_afterwards(bits):
    color = 2 if bits == 16 else 0
    image = Image.open(io.BytesIO(raw_png(bits, color, bytes(6), *[2] * (color + 1))))
    before = image.info["transparency"]
    read_picture(image)
    assert image.info["transparency"] == before


def test_a_transparent_color_of_16_bits_is_lost_in_a_line():
    """In 8 bits others would be transparent, too."""
    found = picture_in(raw_png(16, 2, bytes(3) + b"\1" * 3, 0, 0, 1), MAX_PIXELS, ())
    assert found.alpha is None
    assert "transparency" in found.losses


def raw_png(bits, color, row, *key):
    """A PNG file of one row, with a transparent color."""
    width = 8 * len(row) // bits // (3 if color else 1)
    header = struct.pack(">IIBBBBB", width, 1, bits, color, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"tRNS", struct.pack(f">{len(key)}H", *key)),
        (b"IDAT", zlib.compress(b"\0" + row)),
        (b"IEND", b""),
    )
    return PNG[:8] + b"".join(png_chunk(*chunk) for chunk in chunks)


GRADIENT = np.arange(24 * 32 * 3, dtype=np.uint16).reshape(24, 32, 3)
SAYING_MORE = {  # than Pillow reads
    "12 bits in 16": tiff(GRADIENT),
    "a transparent gray of 2 bits": raw_png(2, 0, b"\x1b\x1b", 2),
    "a transparent color of 16 bits": raw_png(16, 2, bytes(3) + b"\1" * 3, 0, 0, 1),
    "Display P3": png_with((b"cICP", bytes([12, 13, 0, 1]))),
    "high dynamic range": png_with((b"cICP", bytes([9, 16, 0, 1]))),
}


def outcome(read):
    try:
        return read()
    except UsageError as error:
        return str(error)


@pytest.mark.parametrize("what", SAYING_MORE)
def test_what_pillow_leaves_in_a_file_is_found_for_a_loaded_image(what, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(SAYING_MORE[what])
    expected = outcome(lambda: picture_in(path.read_bytes(), MAX_PIXELS, ()))
    with Image.open(path) as image:
        info = dict(image.info)
        image.load()
        found = outcome(lambda: read_picture(image))
        assert image.info == info
    assert repr(found) == repr(expected)
    assert "high" in what or np.array_equal(found.rgb, expected.rgb)
    with Image.open(path) as image:
        image.putpixel((0, 0), 255 if image.mode == "L" else (255, 0, 0))
        changed = read_picture(image)  # stands for itself
    assert changed.rgb[0, 0, 0] == 255
    assert "icc" not in changed.metadata


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a pipe with a name")
def test_a_pipe_is_not_waited_for(tmp_path):
    path = tmp_path / "file.png"
    path.write_bytes(png_with())
    with Image.open(path) as image:
        image.load()
        path.unlink()
        os.mkfifo(path)
        assert read_picture(image).rgb.shape == (96, 128, 3)


def two_pages(first, second):
    """A TIFF file of both, each uncompressed TIFF files."""
    (count,) = struct.unpack_from("<H", second, 8)
    joined = bytearray(first + second)
    struct.pack_into("<I", joined, 10 + 12 * count, len(first) + 8)  # the next page
    for at in range(len(first) + 10, len(first) + 10 + 12 * count, 12):
        tag, place = struct.unpack_from("<H6xI", joined, at)
        if tag in (258, 273):
            struct.pack_into("<I", joined, at + 8, place + len(first))
    return bytes(joined)


def test_a_page_has_its_own_lower_bits():
    pages = tiff(GRADIENT), tiff(GRADIENT + 7)
    for number, page in enumerate(pages):
        image = Image.open(io.BytesIO(two_pages(*pages)))
        image.seek(number)
        found = read_picture(image)
        assert np.array_equal(found.rgb, picture_in(page, MAX_PIXELS, ()).rgb)
        assert found.losses[0].startswith(
            "all frames but " + ("the first", "2")[number]
        )


def test_integers_of_32_bits_in_memory_are_scaled_by_what_they_hold():
    samples = np.arange(256, dtype=np.int32).reshape(16, 16)
    found = read_picture(Image.fromarray(samples))
    assert np.array_equal(found.rgb[..., 0], samples)


@pytest.mark.parametrize("zero", ["white", "black"])
def test_zero_may_be_white_in_tiff_files_of_16_bits(zero):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[262] = int(zero == "black")
    image = Image.fromarray(np.array([[0, 2**16 - 1]], np.uint16))
    data = saved(image, "TIFF", tiffinfo=tags)
    assert struct.pack("<HHIHH", 262, 3, 1, tags[262], 0) in data
    found = picture_in(data, MAX_PIXELS, ()).rgb[0, :, 0].tolist()
    assert found == ([255, 0] if zero == "white" else [0, 255])


def test_metadata_behind_the_pixels_are_kept():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = png(Image.new("RGB", (4, 2)))
    end = len(data) - 12
    payload = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = b"eXIf" + payload
    chunk = len(payload).to_bytes(4, "big") + chunk
    chunk += zlib.crc32(chunk[4:]).to_bytes(4, "big")
    found = read_picture(Image.open(io.BytesIO(data[:end] + chunk + data[end:])))
    assert found.metadata == {"exif": payload}


def test_an_image_that_pillow_fails_on_is_wrong_usage():
    image = Image.new("L", (2, 2))
    image.info["transparency"] = b"abc"
    with pytest.raises(UsageError, match="cannot be read"):
        read_picture(image)


def test_floating_point_samples_are_refused():
    with pytest.raises(UsageError, match="floating-point"):
        read_picture(Image.new("F", (2, 2)))


def test_a_row_length_with_16_in_it_is_no_16_bit_sample():
    buffer = io.BytesIO()
    Image.new("RGB", (72, 1)).save(buffer, "BMP")  # rows of 216 bytes
    assert read_picture(Image.open(buffer)).losses == []
