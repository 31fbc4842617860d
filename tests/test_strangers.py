"""Which decoders may touch the bytes of strangers, and what they may take."""

import logging
import re
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from command_line import aecodec, fails, names, succeeds
from odd_files import IMAGE, jp2_box
from PIL import Image

import codec
from benchmarks.hostile_files import BOMBS, GHOST, many_scans, png_chunk, saved, spoken
from benchmarks.measured_calls import measured
from codec.app.own_process import own_process
from codec.errors import UsageError
from codec.limits import MAX_PIXELS
from codec.picture.declared import ICONS_MAX, declared_sizes
from codec.picture.formats import (
    EXTRAS,
    FORMATS,
    SUFFIXES,
    is_installed,
    open_picture,
    opener,
)
from codec.picture.reading import picture_in

ROOT = Path(codec.__file__).parent.parent
SMALL = 2**16
# Of kinds that Pillow knows and that are not read here, by their first bytes.
OTHERS = {
    "eps": GHOST,
    "eps-dos": b"\xc5\xd0\xd3\xc6" + struct.pack("<II", 32, len(GHOST)) + GHOST,
    "wmf": b"\xd7\xcd\xc6\x9a\0\0" + bytes(40),
    "icns": b"icns" + struct.pack(">I", 100) + b"ic10" + bytes(88),
    "fits": b"SIMPLE  =                    T".ljust(2880),
    "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(40),
    "psd": b"8BPS\0\1" + bytes(40),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_formats_are_refused_whatever_they_are_called(kind, folder, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: 1 / 0)
    monkeypatch.setattr(subprocess, "check_call", lambda *a, **k: 1 / 0)
    Path("ghost.jpg").write_bytes(OTHERS[kind])
    assert fails("encode", "ghost.jpg").endswith(
        "ghost.jpg: not an image in a format that is read here"
    )
    assert names() == ["ghost.jpg", "photo.png"]


def test_in_a_folder_the_others_are_done(folder):
    Path("in").mkdir()
    Path("in/ghost.jpg").write_bytes(GHOST)
    Path("in/phone.jfif").write_bytes(saved(IMAGE, "JPEG"))
    Path("in/scan.tga").write_bytes(saved(IMAGE, "TGA"))
    result = aecodec("encode", "-r", "in", "-o", "out", "-j", "1")
    assert result.exit_code == 1
    assert "in/ghost.jpg: not an image" in result.stderr
    assert names("out") == ["phone.jfif.aec", "scan.tga.aec"]


@pytest.mark.parametrize("kind", BOMBS)
def test_a_picture_that_grows_is_refused_by_its_size(kind):
    with pytest.raises(UsageError, match=f"over the limit of {SMALL}"):
        picture_in(BOMBS[kind], SMALL, ())


DECLARED = [
    ("WEBP", "RGB", {}),
    ("WEBP", "RGB", {"lossless": True}),
    ("WEBP", "RGBA", {}),
    ("WEBP", "RGB", {"save_all": True, "append_images": [IMAGE]}),
    ("GIF", "L", {}),
    ("GIF", "1", {}),
    ("GIF", "P", {"comment": b"x" * 600, "transparency": 3}),
    ("GIF", "P", {"save_all": True, "append_images": [IMAGE]}),
    ("JPEG2000", "RGB", {}),
]


@pytest.mark.parametrize(("image_format", "mode", "options"), DECLARED)
@pytest.mark.parametrize("size", [(1, 1), (130, 77)])
def test_declared_sizes_are_those_of_the_pictures(image_format, mode, options, size):
    image = IMAGE.resize(size).convert(mode)
    if "append_images" in options:
        options = {**options, "append_images": [image.rotate(180)]}
    data = saved(image, image_format, **options)
    assert list(declared_sizes(image_format, data)) == [size]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("kind", BOMBS)
def test_a_refusal_takes_less_than_100_mb(kind, folder):
    Path("bomb").write_bytes(BOMBS[kind])
    ended = measured("encode", "bomb", "--max-pixels", str(SMALL))
    assert ended.exit_code == 1
    assert "over the limit" in ended.line
    assert ended.peak_mib < 100


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (many_scans(30_000), "scans in one file; expected at most 100"),
        (spoken(10**8), "header of more than 65536 bytes"),
    ],
    ids=["scans", "comment"],
)
def test_what_would_take_time_without_end_is_refused(data, reason):
    with pytest.raises(UsageError, match=reason):
        picture_in(data, SMALL, ())


def test_scans_and_comments_as_usual_are_read():
    for data in (many_scans(80), spoken(1000), saved(IMAGE, "JPEG", progressive=True)):
        assert picture_in(data, SMALL, ()).losses == []


def test_the_size_of_an_icon_is_that_of_its_last_header():
    small, large = (saved(Image.new("L", (n, n)), "PNG") for n in (16, 6000))
    data = small[:33] + large[8:]
    entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 8, len(data), 22)
    icon = struct.pack("<HHH", 0, 1, 1) + entry + data
    assert list(declared_sizes("ICO", icon)) == [(16, 16), (6000, 6000)]
    with pytest.raises(UsageError, match="6000 x 6000 pixels is over the limit"):
        picture_in(icon, SMALL, ())


def test_icons_that_share_chunks_take_no_time_without_end():
    png = saved(Image.new("L", (16, 16)), "PNG")
    data = png[:33] + png_chunk(b"xxxx", b"") * 2000 + png[33:]
    start = 6 + 16 * ICONS_MAX
    entries = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 8, len(data), start) * ICONS_MAX
    with pytest.raises(UsageError, match="an icon of more than 1000 chunks"):
        list(
            declared_sizes("ICO", struct.pack("<HHH", 0, 1, ICONS_MAX) + entries + data)
        )


def test_info_decodes_no_bomb(folder):
    """Where opening decodes; there is no limit where it does not."""
    large = struct.pack(">II", 20_000, 20_000)
    png = saved(Image.new("L", (16, 16)), "PNG")
    png = png[:8] + png_chunk(b"IHDR", large + png[24:29]) + png[33:]
    entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 8, len(png), 22)
    Path("bomb.ico").write_bytes(struct.pack("<HHH", 0, 1, 1) + entry + png)
    Path("large.png").write_bytes(png)
    assert "20000 x 20000 pixels is over the limit of" in fails("info", "bomb.ico")
    assert "20000 x 20000 L" in succeeds("info", "large.png").stdout


def test_the_size_of_a_jpeg_xl_file_is_in_no_other_box():
    small, large = b"\xff\x0a\x01", b"\xff\x0a" + bytes([0b11111001, 63, 0, 0])
    (size,) = declared_sizes("JXL", large)
    start = b"\0\0\0\x0cJXL \r\n\x87\n"
    parts = (
        jp2_box(b"jxlp", bytes(4) + large[:2]),
        jp2_box(b"jxlp", bytes(4) + large[2:]),
    )
    for boxes in (jp2_box(b"jxlc", large), b"".join(parts)):
        data = start + jp2_box(b"free", b"jxlc" + small) + boxes
        assert list(declared_sizes("JXL", data)) == [size]
    assert size != (8, 8)


def test_an_icon_of_a_fitting_size_is_read():
    found = picture_in(saved(IMAGE.resize((32, 32)), "ICO"), SMALL, ())
    assert found.rgb.shape == (32, 32, 3)


@pytest.mark.parametrize("image_format", ["WEBP", "GIF", "PNG", "JPEG", "TIFF", "BMP"])
def test_the_limit_of_a_program_is_its_own(image_format, folder, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    image = IMAGE.convert("L") if image_format == "GIF" else IMAGE
    with monkeypatch.context() as saving:
        saving.setattr(Image, "MAX_IMAGE_PIXELS", None)
        Path("in.x").write_bytes(saved(image, image_format))
    assert "over the limit of 8192" in fails("encode", "in.x", "--max-pixels", "8192")
    succeeds("encode", "in.x", "-e", "1")
    assert Image.MAX_IMAGE_PIXELS == 100


def test_a_large_gif_is_read_if_the_limit_allows_it(folder):
    """Of 196 megapixels, more than Pillow allows by itself."""
    image = Image.new("L", (14000, 14000))
    Path("large.gif").write_bytes(saved(image, "GIF"))
    with own_process():
        found = open_picture(Path("large.gif").read_bytes(), MAX_PIXELS)
    assert found.size == (14000, 14000)


def test_what_a_program_changes_is_as_before_afterwards():
    log, filters = logging.getLogger("PIL"), list(warnings.filters)
    before = Image.MAX_IMAGE_PIXELS, list(log.handlers)
    with pytest.raises(ZeroDivisionError), own_process():
        assert Image.MAX_IMAGE_PIXELS is None
        raise ZeroDivisionError
    assert (Image.MAX_IMAGE_PIXELS, list(log.handlers)) == before
    assert warnings.filters == filters


def test_no_limit_of_the_process_is_changed_or_counts(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for image_format in ("PNG", "JPEG", "TIFF", "BMP"):
        found = picture_in(saved(IMAGE, image_format), MAX_PIXELS, ())
        assert found.rgb.shape == (96, 128, 3)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_bytes_of_nothing_make_pillow_read_nothing_more(monkeypatch):
    monkeypatch.setattr(Image, "OPEN", Image.OPEN.copy())
    for name in EXTRAS:
        Image.OPEN.pop(name, None)
    with pytest.raises(UsageError, match="not an image"):
        picture_in(b"nothing at all that anybody knows", SMALL, ())
    assert not Image.OPEN.keys() & EXTRAS.keys()


def test_the_docs_list_the_formats():
    text = (ROOT / "docs" / "inputs.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w+) \|([^|]*)\|", text, re.MULTILINE)
    listed = {n: set(re.findall(r"\.\w+", suffixes)) for n, suffixes in rows}
    assert listed == {name: set(suffixes) for name, (_, suffixes) in FORMATS.items()}


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".jp2", ".tga", ".dib"])
def test_folders_are_searched_for_rare_suffixes(suffix):
    assert suffix in SUFFIXES


def test_errors_of_decoders_are_one_line(monkeypatch):
    def fail(image: Image.Image) -> None:
        raise OSError("one\n\n  two")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", fail)
    with pytest.raises(UsageError, match="cannot be read: one two"):
        picture_in(saved(IMAGE, "BMP"), MAX_PIXELS, ())


@pytest.mark.parametrize("length", range(1, 17))
def test_a_few_bytes_are_no_picture(length):
    with pytest.raises(UsageError, match=r"^not an image in a format that is read"):
        picture_in(b"x" * length, SMALL, ())


INTERNALS = re.compile(r"unpack|buffer|<|\b0x|Error|b'|argument|subscript|index|int\(")


@pytest.mark.parametrize("image_format", ["PNG", "GIF", "TIFF", "BMP", "ICO", "TGA"])
def test_no_damage_shows_how_decoders_are_made(image_format):
    """Errors of struct, zlib and others that a decoder stumbles over."""
    data = saved(IMAGE.resize((32, 32)), image_format)
    for place in range(min(len(data), 120)):
        for value in (0, 0x7F, 0xFF):
            for end in (len(data), place + 1):
                changed = data[:place] + bytes([value]) + data[place + 1 : end]
                try:
                    picture_in(changed, SMALL, ())
                except UsageError as error:
                    assert not INTERNALS.search(str(error)), str(error)


def test_what_would_read_a_picture_is_said(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for data in (b"\0\0\0\x18ftypheic", b"\0\0\0\x18ftypmif1", b"\xff\x0a\0"):
        with pytest.raises(UsageError, match=r"pip install 'aecodec\[inputs\]'"):
            picture_in(data.ljust(40, b"\0"), SMALL, ())


@pytest.mark.parametrize("name", sorted(EXTRAS))
def test_formats_of_other_packages_are_read_where_these_are(name, folder):
    if not is_installed(name):
        pytest.skip("needs the extra `inputs`")
    suffix = FORMATS[name][1][0]
    opener(name)  # so that Pillow can save such
    Path(f"photo{suffix}").write_bytes(saved(IMAGE, name))
    assert picture_in(Path(f"photo{suffix}").read_bytes(), SMALL, ()).rgb.shape
    with pytest.raises(UsageError, match="over the limit"):
        picture_in(Path(f"photo{suffix}").read_bytes(), 64, ())
    succeeds("encode", f"photo{suffix}", "-e", "1")
