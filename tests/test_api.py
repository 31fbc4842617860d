"""The public calls: encode, decode, read_info."""

import dataclasses
import inspect
import io
import shutil
from typing import Any, get_type_hints

import numpy as np
import pytest
from pictures import picture, psnr
from PIL import Image

import codec
from codec.coding import symbols
from codec.coding.symbols import decode_symbols, narrowed
from codec.errors import FormatError, UsageError
from codec.file.container import pack, unpack
from codec.file.header import DIGEST_BYTES, QUALITY_CODE_MAX
from codec.limits import MAX_PIXELS
from codec.networks import shipped
from codec.networks.bundle import EXACT
from codec.networks.quantization import rounding_by_table
from codec.networks.runtime import Networks
from codec.options import TARGETS, quality_code
from codec.picture.reading import Picture, read_picture


def repacked(data: bytes, **changes) -> bytes:
    """The same tiles under a changed header."""
    container = unpack(data)
    tiles = [container.payload(n) for n in range(container.header.tile_count)]
    return pack(dataclasses.replace(container.header, **changes), tiles)


@pytest.mark.parametrize("width", [1, 16, 37, 63, 64, 65])
@pytest.mark.parametrize("height", [1, 3, 64, 127, 128, 129, 200])
def test_a_picture_comes_back_in_its_own_size(width, height):
    data = codec.encode(picture(height, width), quality=40)
    decoded = codec.decode(data)
    assert decoded.mode == "RGB"
    assert decoded.size == (width, height)
    info = codec.read_info(data)
    assert (info.width, info.height) == (width, height)


@pytest.mark.parametrize("size", [(70, 50), (100, 150), (112, 160), (128, 192)])
@pytest.mark.parametrize("gray_level", [0, 77, 128, 255])
def test_a_flat_picture_comes_back_flat(gray_level, size):
    flat = np.full((*size, 3), gray_level, np.uint8)
    error = np.abs(np.asarray(codec.decode(codec.encode(flat)), int) - gray_level)
    assert error.mean() <= 2
    assert error.max() <= 20


def test_a_gray_picture_comes_back_gray_in_as_many_channels():
    gray = picture(64, 48)[..., 0]
    data = codec.encode(gray)
    in_three = codec.encode(np.stack([gray] * 3, axis=-1))
    assert len(data) == len(in_three)
    assert np.array_equal(
        codec.decode(in_three), np.stack([codec.decode(data)] * 3, -1)
    )
    decoded = codec.decode(data)
    assert decoded.mode == codec.read_info(data).mode == "L"
    assert psnr(decoded, gray) > 25
    assert codec.encode(Image.fromarray(gray)) == data


def test_an_image_and_its_array_are_coded_alike(small_picture):
    assert codec.encode(Image.fromarray(small_picture)) == codec.encode(small_picture)


def test_encoding_twice_gives_the_same_bytes(small_picture):
    assert codec.encode(small_picture) == codec.encode(small_picture)


def test_the_shipped_bundle_is_the_default(bundle, small_picture, small_file):
    assert codec.encode(small_picture, quality=50, bundle=bundle) == small_file
    assert codec.decode(small_file, bundle=bundle) == codec.decode(small_file)


def test_a_picture_of_several_tiles_comes_back():
    original = picture(1030, 1100)
    data = codec.encode(original, quality=5)
    assert codec.read_info(data).tiles == 4
    decoded = codec.decode(data)
    assert decoded.size == (1100, 1030)
    assert psnr(original, decoded) > 15


def test_tile_borders_leave_no_seam():
    """A smooth picture differs no more from its original at the border of two tiles."""
    y, x = np.mgrid[:40, :1100]
    smooth = np.stack([x // 5, 40 + y, 200 - x // 8], axis=-1).astype(np.uint8)
    decoded = np.asarray(codec.decode(codec.encode(smooth, quality=70)), int)
    difference = np.abs(decoded - smooth)
    assert difference[:, 1016:1032].mean() <= difference.mean() + 1


def test_quality_60_keeps_a_picture_recognizable():
    original = picture(192, 256)
    assert psnr(original, codec.decode(codec.encode(original, quality=60))) >= 28


def test_size_and_fidelity_grow_with_quality():
    original = picture(192, 256)
    files = [codec.encode(original, quality=q) for q in (1, 20, 40, 60, 80, 100)]
    sizes = [len(data) for data in files]
    fidelities = [psnr(original, codec.decode(data)) for data in files]
    assert sizes == sorted(set(sizes))
    assert fidelities == sorted(set(fidelities))


def test_a_fractional_quality_lies_between_its_neighbors():
    codes = [quality_code(q) for q in (50, 50.5, 51)]
    assert codes == sorted(set(codes))


def test_quality_codes_span_the_whole_range():
    assert quality_code(1) == 0
    assert quality_code(100) == QUALITY_CODE_MAX


@pytest.mark.parametrize("quality", [1, 60, 100])
def test_the_decoded_picture_is_what_the_networks_make_of_it(bundle, quality):
    """The whole chain without files: the coded integers are equal, pixels nearly."""
    original = picture(70, 130)
    data = codec.encode(original, quality=quality)
    container = unpack(data)
    code = container.header.quality_code
    networks, vectors = Networks(bundle, synthesis=EXACT), bundle.vectors(code)
    gains = vectors["gain"], vectors["inverse_gain"]

    padded = np.pad(original, ((0, 58), (0, 62), (0, 0)), mode="edge")
    latents = networks.analyze(padded[None])
    hyper = networks.hyper_analyze(latents, gains[0])
    index = networks.table_index(hyper, bundle.index_offset(code))
    rounding = rounding_by_table(bundle.residual_tables, bundle.skip_below)[index]
    residuals, _ = networks.quantize(latents * gains[0], hyper, rounding, *gains)
    rebuilt = networks.reconstruct(residuals, hyper, *gains)
    image = networks.synthesize(rebuilt, gains[1], vectors["block_scale"])

    found_hyper, found_residuals = decode_symbols(container, networks)
    assert np.array_equal(found_hyper, hyper)
    assert np.array_equal(found_residuals, residuals)
    decoded = np.asarray(codec.decode(data, precision=EXACT), int)
    assert np.abs(decoded - image[0, :70, :130]).max() <= 1


@pytest.mark.parametrize(
    ("value", "kind"), [(-128, "int8"), (127, "int8"), (-129, "int16"), (128, "int16")]
)
def test_residuals_take_as_few_bytes_as_hold_them(value, kind):
    found = narrowed(np.array([0, value, 5], np.int16))
    assert found.dtype == kind
    assert found.tolist() == [0, value, 5]


def test_the_symbols_do_not_depend_on_the_number_of_threads(bundle):
    container = unpack(codec.encode(picture(300, 400), quality=70))
    one, two = (decode_symbols(container, Networks(bundle, threads=n)) for n in (1, 2))
    for a, b in zip(one, two, strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", 5000])
def test_a_wrong_number_of_threads_is_refused(small_picture, small_file, threads):
    calls = (codec.encode, small_picture), (codec.decode, small_file)
    for call, argument in (*calls, (codec.salvage, small_file)):
        with pytest.raises(UsageError, match="threads is"):
            call(argument, threads=threads)


def test_the_number_of_threads_changes_no_symbol(small_picture, small_file):
    assert codec.encode(small_picture, quality=50, threads=1) == small_file
    assert codec.decode(small_file, threads=1).size == (120, 90)


@pytest.mark.parametrize(
    "quality", [0, 0.99, 100.01, 101, -1, float("nan"), float("inf")]
)
def test_a_quality_outside_1_to_100_is_refused(small_picture, quality):
    with pytest.raises(UsageError, match="expected 1 to 100"):
        codec.encode(small_picture, quality=quality)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((8, 8, 3), np.float32),
        np.zeros((8, 8, 3), np.uint16),
        np.zeros((8, 8, 5), np.uint8),
        np.zeros((8, 8, 4), np.uint16),
        np.zeros((8, 8, 1), np.uint8),
        np.zeros((8,), np.uint8),
        np.zeros((1, 8, 8, 3), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_an_array_that_is_no_picture_is_refused(array):
    with pytest.raises(UsageError, match="image array has"):
        codec.encode(array)


def test_an_array_may_have_alpha_and_a_file_may_be_bytes():
    image = Image.fromarray(picture(20, 30)).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    data = codec.encode(image)
    assert codec.encode(np.asarray(image)) == data
    image.save(file := io.BytesIO(), "PNG")
    assert codec.encode(file.getvalue()) == data


def test_a_region_may_be_of_any_numbers_that_come_but_once(small_picture):
    data = codec.encode(small_picture)
    part = codec.decode(data, region=iter((1, 2, np.int64(8), 8)), threads=np.int64(1))
    assert part == codec.decode(data, region=(1, 2, 8, 8))


@pytest.mark.parametrize("image", [None, object(), [[None]], {}])
def test_what_is_neither_image_nor_array_is_refused(image):
    with pytest.raises(UsageError, match="expected a Pillow image or an array"):
        codec.encode(image)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"rgb": None}, "rgb is NoneType"),
        ({"rgb": np.zeros((8, 8), np.uint8)}, r"rgb array has shape \(8, 8\)"),
        ({"rgb": np.full((8, 8, 3), np.nan)}, "rgb array has type float64"),
        ({"rgb": np.zeros((0, 8, 3), np.uint8)}, "no pixels"),
        ({"alpha": np.zeros((8, 9), np.uint8)}, r"alpha has shape \(8, 9\)"),
        ({"alpha": np.zeros((8, 8), bool)}, "alpha array has type bool"),
        ({"metadata": {"exif": "text"}}, "metadata 'exif' are str"),
        ({"metadata": {"other": b""}}, "metadata 'other' are bytes"),
    ],
)
def test_a_picture_of_other_arrays_cannot_be_made(fields, reason):
    with pytest.raises(UsageError, match=reason):
        Picture(**{"rgb": np.zeros((8, 8, 3), np.uint8), **fields})


def test_a_gray_array_over_the_limit_takes_no_memory():
    huge = np.broadcast_to(np.zeros((1, 1), np.uint8), (2**20, 2**20))
    with pytest.raises(UsageError, match=f"over the limit of {MAX_PIXELS}"):
        codec.encode(huge)


def test_a_picture_over_the_limit_is_refused():
    huge = np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (2**14, 2**14 + 1, 3))
    with pytest.raises(UsageError, match=f"over the limit of {MAX_PIXELS}"):
        codec.encode(huge)


def test_read_info_says_what_the_file_is(small_file, bundle):
    info = codec.read_info(small_file)
    assert info == codec.Info(
        width=120,
        height=90,
        mode="RGB",
        metadata=(),
        quality=50.0,
        model_id=bundle.model_id,
        model=bundle.folder.name,
        bundle_digest=bundle.digest[:DIGEST_BYTES].hex(),
        format_version=2,
        tiles=1,
        drawn_tiles=0,
        exact_tiles=0,
        size_bytes=len(small_file),
        orientation=1,
    )
    assert info.rate_bpp == 8 * len(small_file) / (120 * 90)


@pytest.mark.parametrize("quality", [1, 33.3, 50, 99.99, 100])
def test_read_info_gives_the_quality_back(quality):
    data = codec.encode(picture(8, 8), quality=quality)
    assert codec.read_info(data).quality == quality


def test_a_file_of_another_bundle_is_refused_and_both_are_named(small_file, bundle):
    other = bytes(b ^ 0xFF for b in bundle.digest[:DIGEST_BYTES])
    data = repacked(small_file, bundle_digest=other)
    with pytest.raises(FormatError, match="another model") as caught:
        codec.decode(data)
    assert other.hex() in str(caught.value)
    assert bundle.digest[:DIGEST_BYTES].hex() in str(caught.value)
    assert codec.read_info(data).bundle_digest == other.hex()


def test_a_file_of_an_unknown_model_is_refused_and_both_are_named(small_file):
    data = repacked(small_file, model_id=77)
    known = ", ".join(map(str, shipped.SHIPPED))
    with pytest.raises(FormatError, match=rf"needs model 77\b.*has {known}\)"):
        codec.decode(data)
    assert codec.read_info(data).model == "unknown"


def test_a_model_whose_files_were_changed_is_refused(tmp_path, monkeypatch):
    shutil.copytree(shipped.MODELS, tmp_path / "models")
    name, _ = shipped.SHIPPED[shipped.DEFAULT_MODEL_ID]
    config = tmp_path / "models" / name / "config.json"
    config.write_bytes(config.read_bytes().replace(b"\n", b"\r\n"))
    monkeypatch.setattr(shipped, "MODELS", tmp_path / "models")
    shipped.read_released.cache_clear()
    try:
        with pytest.raises(codec.CodecError, match="damaged"):
            shipped.load_bundle(shipped.DEFAULT_MODEL_ID)
        config.unlink()
        with pytest.raises(codec.CodecError, match="not installed whole"):
            shipped.load_bundle(shipped.DEFAULT_MODEL_ID)
    finally:
        shipped.read_released.cache_clear()


def test_the_limit_on_pixels_counts_the_extended_picture(small_file):
    assert codec.decode(small_file, max_pixels=128 * 128).size == (120, 90)
    with pytest.raises(FormatError, match="over the limit of 16383"):
        codec.decode(small_file, max_pixels=128 * 128 - 1)
    with pytest.raises(UsageError, match="over the limit of 16383"):
        codec.encode(picture(90, 120), max_pixels=128 * 128 - 1)


def test_a_damaged_tile_is_refused_before_any_memory_is_taken_for_the_picture(
    monkeypatch, bundle
):
    container = unpack(codec.encode(picture(20, 1030), quality=1))
    data = bytearray(container.data)
    data[-1] ^= 1
    damaged = unpack(bytes(data))
    monkeypatch.setattr(symbols.np, "zeros", lambda *a: pytest.fail("memory taken"))
    with pytest.raises(FormatError, match="tile 2 of 2 is damaged"):
        decode_symbols(damaged, Networks(bundle))


@pytest.mark.parametrize("words", [b"\x01\0\0\0", b"\x05\x06\x07\x08" * 40])
def test_words_with_a_right_checksum_around_the_symbols_are_refused(small_file, words):
    container = unpack(small_file)
    data = pack(container.header, [words + container.payload(0)])
    with pytest.raises(FormatError, match=r"tile 1 of 1 is damaged: .*longer"):
        codec.decode(data)


def test_a_payload_of_odd_length_with_a_right_checksum_is_refused(small_file):
    container = unpack(small_file)
    data = pack(container.header, [container.payload(0) + b"x"])
    with pytest.raises(FormatError, match="not a whole number of words"):
        codec.decode(data)


def test_an_ancillary_chunk_is_skipped(small_file):
    container = unpack(small_file)
    data = pack(container.header, [container.payload(0)], [(0x99, b"a comment")])
    assert codec.decode(data) == codec.decode(small_file)
    assert codec.read_info(data).size_bytes == len(data)


@pytest.mark.parametrize("damage", ["cut off", "damaged"])
def test_a_file_whose_ancillary_chunk_is_not_whole_is_refused(small_file, damage):
    container = unpack(small_file)
    data = pack(container.header, [container.payload(0)], [(0x99, b"a comment")])
    data = data[:-5] if damage == "cut off" else data[:-1] + bytes([data[-1] ^ 1])
    with pytest.raises(FormatError, match=damage):
        codec.decode(data)


def test_every_expected_error_is_a_codec_error():
    assert issubclass(FormatError, codec.CodecError)
    assert issubclass(UsageError, codec.CodecError)


@pytest.mark.parametrize(
    "call", [codec.decode, codec.read_info, codec.features, codec.salvage]
)
@pytest.mark.parametrize("data", [None, 7, [], io.BytesIO(b"a"), np.zeros(9, "u1")])
def test_anything_but_bytes_and_names_is_wrong_usage(call, data):
    with pytest.raises(UsageError, match="expected a file's bytes or name"):
        call(data)


def test_a_file_may_be_given_by_its_name(tmp_path, small_file):
    place = tmp_path / "a.aec"
    place.write_bytes(small_file)
    for call in (codec.read_info, codec.decode, codec.salvage):
        assert call(place) == call(str(place)) == call(small_file)
    assert np.array_equal(codec.features(place), codec.features(small_file))
    with codec.open(place) as image:
        assert image.size == (120, 90)
        assert np.array_equal(np.asarray(image), np.asarray(codec.decode(small_file)))


def test_a_picture_may_be_given_by_its_name(tmp_path):
    image = Image.fromarray(picture(20, 30))
    image.save(tmp_path / "a.png", dpi=(300, 300))
    data = codec.encode(tmp_path / "a.png", quality=40)
    assert data == codec.encode(str(tmp_path / "a.png"), quality=40)
    assert "dpi" in codec.read_info(data).metadata
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(UsageError, match="not an image in a format"):
        codec.encode(tmp_path / "text.png")


@pytest.mark.parametrize(
    "call",
    [codec.encode, codec.decode, codec.read_info, codec.features, codec.open],
)
def test_a_name_of_no_file_is_an_oserror(call, tmp_path):
    with pytest.raises(FileNotFoundError):
        call(tmp_path / "none.aec")


def test_what_is_opened_and_no_file_of_ours_is_a_format_error(tmp_path):
    (tmp_path / "text.aec").write_text("no picture")
    with pytest.raises(FormatError, match=r"not an \.aec file"):
        codec.open(tmp_path / "text.aec")


def test_a_quality_that_is_no_number_is_wrong_usage():
    with pytest.raises(UsageError, match="quality is '60'; expected a number"):
        codec.encode(picture(8, 8), quality="60")


@pytest.mark.parametrize("name", TARGETS[1:])
@pytest.mark.parametrize("value", ["60", -1, float("nan"), float("inf"), 10**400])
def test_a_target_that_is_no_positive_number_is_wrong_usage(name, value):
    with pytest.raises(UsageError, match=f"{name} is .*; expected a positive number"):
        codec.encode(picture(8, 8), **{name: value})


@pytest.fixture(scope="module")
def four_tiles() -> bytes:
    """1100 x 1050 pixels in tiles of 1024."""
    return codec.encode(picture(1050, 1100), quality=30)


@pytest.mark.parametrize(
    "region",
    [(0, 0, 1100, 1050), (0, 0, 1, 1), (1099, 1049, 1, 1), (990, 1000, 70, 50)],
)
def test_a_region_is_that_part_of_the_whole_picture(four_tiles, region):
    left, top, width, height = region
    part, whole = (
        np.asarray(codec.decode(four_tiles, precision=EXACT, **asked), int)
        for asked in ({"region": region}, {})
    )
    expected = whole[top : top + height, left : left + width]
    assert part.shape == expected.shape
    assert np.abs(part - expected).max() <= 1


def test_a_region_needs_the_tiles_around_it_alone(four_tiles):
    data = bytearray(four_tiles)
    data[-5] ^= 1  # the last tile
    assert codec.decode(bytes(data), region=(0, 0, 700, 700)).size == (700, 700)
    with pytest.raises(FormatError, match="tile 4 of 4 is damaged"):
        codec.decode(bytes(data), region=(0, 0, 800, 800))


@pytest.mark.parametrize(
    "region",
    [
        (-1, 0, 5, 5),
        (0, 0, 0, 5),
        (100, 0, 21, 5),
        (0, 89, 1, 2),
        (0, 0, 5),
        (0.0, 0, 5, 5),
        5,
    ],
)
def test_a_region_outside_the_picture_is_wrong_usage(small_file, region):
    with pytest.raises(UsageError, match="region"):
        codec.decode(small_file, region=region)


def test_a_region_of_numpy_integers_is_one_too(small_file):
    region = tuple(np.array([3, 4, 5, 6]))
    assert codec.decode(small_file, region=region).size == (5, 6)


def test_a_damaged_tile_is_filled_in_and_the_others_are_salvaged(four_tiles):
    data = bytearray(four_tiles)
    data[-5] ^= 1
    image, faults = codec.salvage(bytes(data), precision=EXACT)
    assert faults == ["tile 4 of 4 is damaged (checksum differs)"]
    found = np.asarray(image, int)
    whole = np.asarray(codec.decode(four_tiles, precision=EXACT), int)
    around = [found[999, 1024:], found[1024:, 999]]
    filled = [found[1000, 1024:], found[1024:, 1000]]
    for outside, inside in zip(around, filled, strict=True):
        assert np.abs(outside - inside).mean() < 0.7 * np.abs(outside - 128).mean()
    intact = np.abs(found - whole)[:, : 1024 - 256]
    assert intact.max() <= 1


@pytest.mark.parametrize("cut", [1, 600])
def test_what_is_left_of_a_file_that_is_cut_off_is_salvaged(four_tiles, cut):
    image, faults = codec.salvage(four_tiles[:-cut])
    assert image.size == (1100, 1050)
    assert all("cut off" in fault for fault in faults)
    assert faults


def test_a_whole_file_is_salvaged_without_faults(small_file):
    assert codec.salvage(small_file) == (codec.decode(small_file), [])


def test_damaged_metadata_do_not_stop_the_salvage():
    image = Image.new("RGBA", (40, 30), (9, 99, 199, 50))
    image.info = {"xmp": b"<x/>", "exif": b"Exif\0\0II*"}
    data = codec.encode(image)
    image, faults = codec.salvage(data[:-1] + bytes([data[-1] ^ 1]))
    assert (image.size, image.mode) == ((40, 30), "RGBA")
    assert image.info == {"exif": b"Exif\0\0II*"}
    assert faults == ["chunk 0x84 (xmp) is damaged (checksum differs); left out"]


def test_bytes_after_the_end_are_salvaged_with_a_fault(small_file):
    image, faults = codec.salvage(small_file + b"xy")
    assert image == codec.decode(small_file)
    assert faults == ["2 bytes after the end of the file"]


def rgba_picture() -> Image.Image:
    image = Image.fromarray(picture(60, 80))
    image.putalpha(Image.fromarray(picture(60, 80, seed=1)[..., 0]))
    return image


def test_alpha_is_lossless_and_metadata_come_back():
    image = rgba_picture()
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    image.info = {
        "exif": exif.tobytes(),
        "xmp": b"<x:xmpmeta/>" * 100,
        "icc_profile": bytes(16) + b"RGB " + bytes(500),
    }
    data = codec.encode(image)
    decoded = codec.decode(data)
    assert decoded.mode == "RGBA"
    assert decoded.info == image.info
    assert decoded.getchannel("A").tobytes() == image.getchannel("A").tobytes()
    info = codec.read_info(data)
    assert (info.mode, info.metadata) == ("RGBA", ("icc", "exif", "xmp"))
    stripped = codec.decode(codec.encode(image, strip=["icc", "exif", "xmp"]))
    assert stripped.info == {}
    assert stripped.size == (60, 80)  # turned upright


def test_an_opaque_alpha_costs_nothing():
    image = Image.fromarray(picture(60, 80))
    assert codec.encode(image.convert("RGBA")) == codec.encode(image)


def test_a_region_has_its_part_of_the_alpha():
    data = codec.encode(rgba_picture())
    part = codec.decode(data, region=(10, 20, 30, 15))
    assert part.getchannel("A") == codec.decode(data).getchannel("A").crop(
        (10, 20, 40, 35)
    )


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_file_is_given_in_any_kind_of_bytes(kind, small_picture):
    file = io.BytesIO()
    Image.fromarray(small_picture).save(file, "PNG")
    expected = codec.encode(small_picture)
    assert codec.encode(kind(file.getvalue())) == expected


def test_other_names_cannot_be_stripped(small_picture):
    with pytest.raises(UsageError, match="strip names maker"):
        codec.encode(small_picture, strip=["maker"])


@pytest.mark.parametrize("name", codec.__all__)
def test_public_names_have_types_and_a_docstring(name):
    value = getattr(codec, name)
    assert value.__doc__
    if inspect.isclass(value):
        return
    hints = get_type_hints(value)
    assert {*inspect.signature(value).parameters, "return"} == {*hints}
    assert Any not in hints.values()


@pytest.mark.parametrize("mode", ["RGB", "LA"])
def test_a_notebook_shows_a_picture(mode):
    image = Image.fromarray(picture(1100, 40)).convert(mode)
    if mode == "LA":
        image.putpixel((0, 0), (0, 0))
    shown = read_picture(image)._repr_png_()
    with Image.open(io.BytesIO(shown)) as found:
        assert found.format == "PNG"
        assert found.height == 1024
        assert found.has_transparency_data == (mode == "LA")
