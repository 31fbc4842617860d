"""Image.open and Image.save for .aec files."""

import copy
import io
import mimetypes
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from odd_files import png_with
from pictures import picture
from PIL import ExifTags, Image, ImageFile, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

import codec
from codec import pillow_plugin
from codec.errors import FormatError

pytestmark = pytest.mark.usefixtures("registered")


def saved(image: Image.Image, **options) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, "AEC", **options)
    file.seek(0)
    return file


def test_an_opened_file_is_what_decode_gives(small_file):
    with Image.open(io.BytesIO(small_file)) as image:
        assert (image.format, image.mode, image.size) == ("AEC", "RGB", (120, 90))
        assert image.info["quality"] == 50
        assert image.get_format_mimetype() == "image/x-aec"
        assert np.array_equal(image, codec.decode(small_file))


def test_opening_decodes_nothing_before_it_is_loaded(small_file, monkeypatch):
    monkeypatch.setattr(pillow_plugin, "decode_file", lambda *a, **k: 1 / 0)
    image = Image.open(io.BytesIO(small_file))
    with pytest.raises(ZeroDivisionError):
        image.load()


def test_saving_is_what_encode_gives(small_picture):
    image = Image.fromarray(small_picture)
    for options in (
        {},
        {"quality": 20},
        {"quality": 70.5, "effort": 1},
        {"tune": "psnr"},
        {"size_bytes": 500},
        {"rate_bpp": 0.4},
        {"psnr_db": 30},
        {"ssimulacra2": 50},
    ):
        assert saved(image, **options).getvalue() == codec.encode(image, **options)


@pytest.mark.parametrize("kind", ["dark TIFF", "inverted TIFF", "PNG"])
def test_saving_an_opened_file_is_what_encode_gives(kind, tmp_path):
    path = str(tmp_path / "file")
    samples = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    if kind == "PNG":
        texts = PngInfo()
        texts.add_text("Author", "somebody")
        Image.fromarray(picture(30, 40)).save(path, "PNG", pnginfo=texts)
    else:
        tags = {262: 0} if kind == "inverted TIFF" else {}
        Image.fromarray(samples).save(path, "TIFF", tiffinfo=tags)
    with Image.open(path) as image:
        expected = codec.encode(image)
    with Image.open(path) as image:
        before = dict(image.info)
        assert saved(image, quality=60).getvalue() == expected
        assert image.info == before


def test_a_quality_is_of_no_matter_to_lossless_files(small_picture):
    image = Image.fromarray(small_picture)
    data = saved(image, lossless=True, quality=80).getvalue()
    assert data == codec.encode(image, lossless=True)


def test_metadata_may_be_left_out_on_saving(small_picture):
    image = Image.fromarray(small_picture)
    image.info["xmp"] = b"<x/>"
    assert codec.decode(saved(image, strip=["xmp"]).getvalue()).info == {}


def test_the_suffix_names_the_format(tmp_path, small_picture):
    Image.fromarray(small_picture).save(tmp_path / "x.aec")
    with Image.open(tmp_path / "x.aec") as image:
        assert image.format == "AEC"


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "1", "CMYK"])
def test_pictures_of_every_mode_are_saved(mode):
    image = Image.fromarray(picture(20, 30)).convert(mode)
    if "A" in mode:
        image.putalpha(Image.linear_gradient("L").resize((30, 20)))
    with Image.open(saved(image)) as opened:
        assert opened.load()
        expected = {"P": "RGB", "1": "L", "CMYK": "RGB"}.get(mode, mode)
        assert opened.mode == expected


def test_metadata_are_there_on_opening_and_may_be_given_on_saving(small_picture):
    image = Image.fromarray(small_picture)
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = bytes(16) + b"RGB "
    file = saved(image, exif=exif, xmp=b"<x/>", icc_profile=profile)
    with Image.open(file) as opened:
        assert opened.info["xmp"] == b"<x/>"
        assert opened.info["icc_profile"] == profile
        assert opened.getexif()[0x0112] == 6
    assert image.info == {}


@pytest.mark.parametrize("length", [1, 4, 10, 25, 40, -1])
def test_a_file_that_is_cut_off_is_not_identified(small_file, length):
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(small_file[:length]))


def test_a_damaged_tile_is_an_error_when_it_is_loaded(small_file):
    image = Image.open(io.BytesIO(small_file[:-1] + bytes([small_file[-1] ^ 1])))
    with pytest.raises(OSError, match="tile 1 of 1 is damaged"):
        image.load()


def test_the_limit_of_pillow_is_honored(small_file, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5000)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(small_file))


@pytest.mark.parametrize("limit", [None, 10**6])
def test_a_limit_of_pillow_that_is_raised_is_honored(small_file, monkeypatch, limit):
    monkeypatch.setattr(pillow_plugin, "MAX_PIXELS", 5000)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    assert Image.open(io.BytesIO(small_file)).convert("RGB").size == (120, 90)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2500)
    with pytest.raises(OSError, match="over the limit of 5000"):
        pillow_plugin.AecImageFile(io.BytesIO(small_file)).load()


@pytest.mark.parametrize(
    "options", [{"quality": 0}, {"quality": "x"}, {"effort": 10}, {"tune": "x"}]
)
def test_wrong_options_are_value_errors(options, small_picture):
    with pytest.raises(ValueError, match=next(iter(options))):
        saved(Image.fromarray(small_picture), **options)


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_a_file_longer_than_its_pixels_is_read_by_its_name(mode, tmp_path):
    """Pillow maps files into memory for some modes, if they are long enough."""
    image = Image.new(mode, (16, 16), 100)
    xmp = np.random.default_rng(0).bytes(5000)
    image.save(tmp_path / "x.aec", xmp=xmp)
    with Image.open(tmp_path / "x.aec") as opened:
        assert opened.tobytes() == codec.decode(saved(image).getvalue()).tobytes()


COPIES = {
    "pickle": lambda image: pickle.loads(pickle.dumps(image)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "Image.copy": Image.Image.copy,
}


@pytest.mark.parametrize("way", COPIES)
def test_an_opened_picture_can_be_copied(way, small_file, small_picture):
    for image in (
        Image.open(io.BytesIO(small_file)),
        Image.open(saved(Image.fromarray(small_picture).convert("LA"), dpi=(72, 72))),
    ):
        again = COPIES[way](image)
        assert np.array_equal(again, image)
        assert (again.mode, again.size) == (image.mode, image.size)
        assert again.info == image.info
        again.thumbnail((20, 20))
        assert max(again.size) == 20


def test_a_picture_by_its_name_can_be_sent_to_other_processes(tmp_path, small_file):
    (tmp_path / "x.aec").write_bytes(small_file)
    with Image.open(tmp_path / "x.aec") as image:
        again = pickle.loads(pickle.dumps(image))
    assert np.array_equal(again, codec.decode(small_file))


def test_verify_finds_damage_and_nothing_else(small_file):
    Image.open(io.BytesIO(small_file)).verify()
    damaged = small_file[:-9] + bytes([small_file[-9] ^ 1]) + small_file[-8:]
    image = Image.open(io.BytesIO(damaged))
    with pytest.raises(OSError, match="damaged"):
        image.verify()


def test_what_is_loaded_is_verified(small_file):
    image = Image.open(io.BytesIO(small_file))
    image.load()
    image.verify()


def test_metadata_that_are_damaged_are_found_by_verify(small_picture):
    data = bytearray(saved(Image.fromarray(small_picture), xmp=b"<x/>").getvalue())
    data[-1] ^= 1
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(data))


@pytest.mark.parametrize("cut", [1, 60, 200])
def test_truncated_files_are_loaded_where_pillow_is_told_to(
    cut, small_file, monkeypatch
):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    image = Image.open(io.BytesIO(small_file[:-cut]))
    image.thumbnail((60, 60))
    assert image.size == (60, 45)
    whole = Image.open(io.BytesIO(small_file))
    assert np.array_equal(whole, codec.decode(small_file))


def test_damaged_alpha_is_left_out_where_pillow_is_told_to(small_picture, monkeypatch):
    image = Image.fromarray(small_picture)
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    data = saved(image).getvalue()
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    opened = Image.open(io.BytesIO(data[:-1] + bytes([data[-1] ^ 1])))
    opened.load()
    assert opened.mode == "RGB"
    assert opened.getpixel((5, 5))


def test_metadata_are_given_as_pillow_takes_them(small_picture):
    file = saved(
        Image.fromarray(small_picture), xmp="<x>é</x>", dpi=(300, 300), text={"A": "b"}
    )
    with Image.open(file) as opened:
        assert opened.info["xmp"] == "<x>é</x>".encode()
        assert opened.info["dpi"] == (300, 300)
        assert opened.info["text"] == {"A": "b"}


def test_the_mime_type_is_known_to_python():
    assert mimetypes.guess_type("photo.aec") == ("image/x-aec", None)


def with_metadata(small_picture) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    image = Image.fromarray(small_picture)
    return saved(image, exif=exif, dpi=(300, 300), xmp=b"<x/>").getvalue()


def test_what_is_changed_in_info_before_loading_stays(small_picture, tmp_path):
    opened = Image.open(io.BytesIO(with_metadata(small_picture)))
    del opened.info["exif"]
    opened.info["dpi"], opened.info["icc_profile"] = (72, 72), bytes(16) + b"RGB "
    changed = dict(opened.info)
    opened.save(tmp_path / "x.aec")
    assert opened.info == changed
    assert codec.read_info(tmp_path / "x.aec").metadata == ("icc", "xmp", "dpi")
    with Image.open(tmp_path / "x.aec") as again:
        assert again.info["dpi"] == pytest.approx((72, 72), abs=0.01)


def test_whole_files_have_their_metadata_where_damaged_ones_are_read(
    small_picture, monkeypatch
):
    data = with_metadata(small_picture)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with Image.open(io.BytesIO(data)) as opened:
        before = dict(opened.info)
        assert ImageOps.exif_transpose(opened).size == (90, 120)
        assert opened.info == before
    damaged = data[:-1] + bytes([data[-1] ^ 1])  # of the resolution, the last chunk
    with Image.open(io.BytesIO(damaged)) as opened:
        assert opened.info == {k: v for k, v in before.items() if k != "dpi"}


def test_metadata_that_are_given_empty_are_left_out(small_picture, tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "somebody"
    Image.fromarray(small_picture).save(tmp_path / "x.tif", exif=exif)
    with Image.open(tmp_path / "x.tif") as image:
        kept, stripped = saved(image), saved(image, exif=b"")
    assert "exif" in codec.read_info(kept.read()).metadata
    assert "exif" not in codec.read_info(stripped.read()).metadata


def test_profile_and_texts_that_are_given_empty_are_left_out(tmp_path):
    chunks = (b"gAMA", struct.pack(">I", 100000)), (b"tEXt", b"Author\0somebody")
    (tmp_path / "x.png").write_bytes(png_with(*chunks))
    with Image.open(tmp_path / "x.png") as image:
        kept, stripped = saved(image), saved(image, icc_profile=None, text={})
    assert codec.read_info(kept.read()).metadata == ("icc", "text")
    assert codec.read_info(stripped.read()).metadata == ()


def test_a_resolution_that_is_given_is_kept_with_a_file_that_has_none(tmp_path):
    Image.new("RGB", (40, 30)).save(tmp_path / "x.jpg")
    with Image.open(tmp_path / "x.jpg") as image:
        file = saved(image, dpi=(300, 300))
    with Image.open(file) as opened:
        assert opened.info["dpi"] == (300, 300)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, io.BytesIO, Path])
def test_files_are_opened_by_their_bytes_or_names_or_open(small_file, kind, tmp_path):
    if kind is Path:
        file = tmp_path / "x.aec"
        file.write_bytes(small_file)
    else:
        file = kind(small_file)
    if kind is io.BytesIO:
        file.seek(3)
    with codec.open(file) as image:
        assert np.array_equal(image, codec.decode(small_file))


def test_open_has_a_limit_of_its_own(small_file, monkeypatch):
    with pytest.raises(FormatError, match="over the limit of 5000"):
        codec.open(small_file, max_pixels=5000)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert codec.open(small_file).load()


def test_a_limit_of_pillow_that_forbids_alpha_is_no_damage(monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (96, 128, 4), np.uint8)
    data = codec.encode(noise, content="photo")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for read in (codec.decode, codec.salvage):
        with pytest.raises(codec.CodecError, match="MAX_IMAGE_PIXELS") as caught:
            read(data)
        assert not isinstance(caught.value, FormatError)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "WEBP")
    with pytest.raises(codec.UsageError, match=r"exceeds limit of 200 pixels"):
        codec.encode(file.getvalue())
