"""Metadata are kept, or their loss is said."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from command_line import aecodec, fails, succeeds
from odd_files import (
    IMAGE,
    bmp_with,
    gif_with,
    iptc,
    jp2_with,
    jp2_with_profile,
    jpeg_with,
    jpeg_with_thumbnail,
    png_with,
    tga_with_comments,
    xmp,
)
from pictures import picture
from PIL import Image, ImageCms, ImageOps

import codec
from benchmarks.hostile_files import saved
from codec.errors import FormatError, UsageError
from codec.limits import MAX_PIXELS, TEXTS_MAX
from codec.picture.exif import forget_the_whole, orientation_of, without_preview
from codec.picture.metadata import info_value, packed, photoshop_resource
from codec.picture.reading import picture_in, read_picture

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
CAPTION = iptc(b"caption")
PHOTOSHOP = b"Photoshop 3.0\0" + photoshop_resource(0x0404, CAPTION)

IPTC_TEXT = b"Raw profile type iptc\0\0" + zlib.compress(
    b"\niptc\n 12\n" + CAPTION.hex().encode()
)


def read(data: bytes, *strip: str) -> Any:
    return picture_in(data, MAX_PIXELS, strip)


def reopened(data: bytes, suffix: str, *arguments: object) -> Image.Image:
    """The picture in a file, encoded and decoded again to a file of the suffix."""
    Path("in").write_bytes(data)
    succeeds("encode", "in", "-o", "in.aec", "-f", "-e", "1")
    succeeds("decode", "in.aec", "-o", f"out{suffix}", "-f", *arguments)
    return Image.open(io.BytesIO(Path(f"out{suffix}").read_bytes()))


def exif_of(**tags: Any) -> Image.Exif:
    exif = Image.Exif()
    for name, value in tags.items():
        exif[getattr(Image.ExifTags.Base, name)] = value
    return exif


@pytest.fixture(autouse=True)
def in_folder(folder):
    """All tests write files."""


@pytest.mark.parametrize("target", [".png", ".jpg", ".tif", ".bmp"])
@pytest.mark.parametrize("source", ["PNG", "JPEG", "TIFF", "BMP"])
def test_the_resolution_is_kept(source, target):
    image = reopened(saved(IMAGE, source, dpi=(300, 150)), target)
    assert image.info["dpi"] == pytest.approx((300, 150), abs=0.02)


def test_a_resolution_that_nobody_knows_is_none():
    for data in (saved(IMAGE, "TIFF"), saved(IMAGE, "JPEG"), saved(IMAGE, "PNG")):
        assert "dpi" not in read(data).metadata


@pytest.mark.parametrize("target", [".tif", ".jpg", ".png", ".webp", ".avif"])
def test_exif_tags_of_tiff_are_kept(target):
    exif = exif_of(Make="ACME", Model="Cam", DateTime="2020:01:02 03:04:05")
    found = reopened(saved(IMAGE, "TIFF", exif=exif), target).getexif()
    assert {tag: found[tag] for tag in exif} == dict(exif)
    if target != ".tif":
        assert set(found) == set(exif)  # nothing of how the pixels were stored


def test_texts_are_kept():
    data = png_with(
        (b"tEXt", b"Author\0J\xf6rg"),
        (b"zTXt", b"Title\0\0" + zlib.compress(b"sunset")),
        (b"iTXt", b"Comment\0\0\0\0\0" + "日没".encode()),
    )
    expected = {"Author": "Jörg", "Title": "sunset", "Comment": "日没"}
    image = reopened(data, ".png")
    assert {k: str(v) for k, v in image.text.items()} == expected
    assert reopened(data, ".jpg").info["comment"].decode() == "日没"
    result = aecodec("decode", "in.aec", "-o", "x.jpg")
    assert "in.aec: lost: texts other than the comment" in result.stderr


@pytest.mark.parametrize("source", ["JPEG", "GIF"])
def test_comments_are_kept(source):
    data = saved(IMAGE, source, comment=b"hello")
    assert reopened(data, ".png").text == {"Comment": "hello"}
    assert reopened(data, ".jpg").info["comment"] == b"hello"


@pytest.mark.parametrize(
    "data",
    [
        jpeg_with(0xED, PHOTOSHOP),
        saved(IMAGE, "TIFF", tiffinfo={33723: CAPTION}),
        saved(IMAGE, "TIFF", tiffinfo={34377: photoshop_resource(0x0404, CAPTION)}),
        png_with((b"zTXt", IPTC_TEXT)),
    ],
    ids=["jpeg", "tiff", "tiff-photoshop", "png"],
)
def test_iptc_data_are_kept(data):
    assert read(data).metadata["iptc"] == CAPTION
    assert reopened(data, ".jpg").info["photoshop"][0x0404] == CAPTION
    assert reopened(data, ".tif").tag_v2[33723] == CAPTION
    reopened(data, ".png")
    assert read(Path("out.png").read_bytes()).metadata["iptc"] == CAPTION


@pytest.mark.parametrize("kind", [b"xmp", b"APP1"])
def test_xmp_that_imagemagick_wrote_is_kept(kind):
    prefix = b"http://ns.adobe.com/xap/1.0/\0" if kind == b"APP1" else b""
    profile = b"\n" + kind + b"\n 99\n" + (prefix + xmp()).hex().encode()
    text = b"Raw profile type " + kind + b"\0\0" + zlib.compress(profile)
    found = read(png_with((b"zTXt", text)))
    assert found.metadata == {"xmp": xmp()}


def test_what_no_file_of_ours_holds_has_a_line_each():
    video = b"\0\0\0\x18ftypmp42" + bytes(99)
    clipping_path = photoshop_resource(2000, b"path")
    gain_map = b"http://ns.adobe.com/xap/1.0/\0" + xmp('hdrgm:Version="1.0"')
    cases = [
        (saved(IMAGE, "JPEG") + video, "the video of a motion photo"),
        (saved(IMAGE, "JPEG") + b"and so on", "9 bytes behind the picture"),
        (jpeg_with(0xE1, gain_map), "the gain map (high dynamic range)"),
        (jpeg_with(0xE2, b"urn:iso:std:iso:ts:21496:-1\0"), "the gain map"),
        (jpeg_with(0xEB, b"JP\0\1jumb"), "content credentials"),
        (jpeg_with(0xE4, b"vendor"), "the segment APP4"),
        (jpeg_with(0xE1, b"http://ns.adobe.com/xmp/extension/\0x"), "extended XMP"),
        (png_with((b"caBX", b"jumb")), "content credentials"),
        (png_with((b"vpAg", b"12345678")), "the chunk 'vpAg'"),
        (png_with((b"pHYs", struct.pack(">IIB", 2, 1, 0))), "the shape of the pixels"),
        (jpeg_with(0xED, PHOTOSHOP + clipping_path), "Photoshop's resources"),
        (png_with((b"zTXt", b"A\0\0" + zlib.compress(bytes(2**21)))), "chunks zTXt"),
        (jp2_with(b"uuid", b"JpgTiffExif->JP2II*\0"), "the EXIF data"),
        (jp2_with(b"uuid", XMP_UUID + xmp()), "the XMP data"),
        (jp2_with(b"uuid", bytes(16)), "the box 'uuid'"),
        (jp2_with(b"xml ", b"<a/>"), "the box 'xml '"),
        (jp2_with(b"jumb", b"c2pa"), "the box 'jumb'"),
        (bmp_with(b"KNIL", b"C:\\photo.icc\0"), "the ICC profile, it is in another"),
        (gif_with(b"XMP DataXMP"), "the XMP data"),
        (gif_with(b"ICCRGBG1012"), "the ICC profile"),
        (tga_with_comments(), "the author, the comments and the date"),
        (
            saved(IMAGE, "TIFF", save_all=True, append_images=[IMAGE]),
            "all frames but the first",
        ),
    ]
    for data, loss in cases:
        found = read(data)
        assert len(found.losses) == 1, loss
        assert found.losses[0].startswith(loss)
        Path("in.x").write_bytes(data)
        result = succeeds("encode", "in.x", "-f", "-e", "1")
        assert result.stderr.splitlines()[1] == f"in.x: lost: {found.losses[0]}"


def test_a_plain_photograph_loses_nothing():
    data = saved(
        IMAGE,
        "JPEG",
        dpi=(72, 72),
        exif=exif_of(Orientation=6),
        icc_profile=SRGB,
        xmp=xmp(),
        comment=b"x",
        progressive=True,
    )
    found = read(data)
    assert found.losses == []
    assert list(found.metadata) == ["icc", "exif", "xmp", "dpi", "text"]
    assert read(data, *found.metadata).metadata == {}


DAMAGED = {
    "garbage": b"garbage-not-tiff",
    "cut": exif_of(Make="ACME" * 9).tobytes()[6:40],
    "loop": b"II*\0\x08\0\0\0\1\0\x69\x87\4\0\1\0\0\0\x08\0\0\0\0\0\0\0",
    "empty": b"II*\0",
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_exif_data_stop_nothing(kind):
    Path("in.png").write_bytes(png_with((b"eXIf", DAMAGED[kind])))
    succeeds("encode", "in.png", "--strip", "all", "-o", "bare.aec", "-e", "1")
    assert codec.read_info(Path("bare.aec").read_bytes()).metadata == ()
    succeeds("encode", "in.png", "-e", "1")
    for suffix in (".png", ".jpg", ".tif", ".webp", ".avif", ".bmp"):
        succeeds("decode", "in.aec", "-o", f"out{suffix}")
        succeeds("decode", "in.aec", "--region", "0,0,9,9", "-o", f"part{suffix}")


def test_too_large_xmp_takes_nothing_else_with_it():
    data = saved(
        IMAGE,
        "WEBP",
        icc_profile=SRGB,
        xmp=xmp('a="' + "a" * 70000 + '"'),
        exif=exif_of(Make="ACME"),
    )
    Path("in.webp").write_bytes(data)
    succeeds("encode", "in.webp")
    result = succeeds("decode", "in.aec", "-o", "out.jpg")
    assert result.stderr.splitlines()[1:] == [
        "in.aec: lost: the XMP data, which the JPEG file cannot hold"
    ]
    with Image.open("out.jpg") as image:
        assert image.info["icc_profile"] == SRGB
        assert image.getexif()[0x010F] == "ACME"
        assert "xmp" not in image.info


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".bmp", ".gif"])
@pytest.mark.parametrize("where", ["exif", "xmp"])
def test_the_orientation_survives_in_every_format(where, suffix):
    if where == "exif":
        data = saved(IMAGE, "PNG", exif=exif_of(Orientation=6))
    else:
        text = b"XML:com.adobe.xmp\0\0\0\0\0" + xmp('tiff:Orientation="6"')
        data = png_with((b"iTXt", text))
    image = reopened(data, suffix)
    assert ImageOps.exif_transpose(image).size == (96, 128)


CHANGES = [("--region", "0,0,64,64"), ("--region", "0,0,127,96"), ("--scale", "1/2")]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_a_part_shows_nothing_of_the_whole(suffix, change):
    image = reopened(jpeg_with_thumbnail(), suffix, *change)
    exif = image.getexif()
    assert exif.get(0x0112, 1) == 1
    assert exif.get(0x0100, image.width) == image.width
    assert not exif.get_ifd(Image.ExifTags.IFD.IFD1)
    assert Path(f"out{suffix}").read_bytes().count(b"\xff\xd8\xff") == (
        suffix == ".jpg"
    )
    whole = reopened(jpeg_with_thumbnail(), ".jpg")
    assert whole.getexif().get_ifd(Image.ExifTags.IFD.IFD1)


def test_previews_and_sizes_are_taken_out_of_all_metadata():
    exif = exif_of(ImageWidth=4000, Make="ACME")
    exif.get_ifd(0x8769).update({0xA002: 4000, 0x927C: b"maker", 0x9003: "2020"})
    content = (
        '<x exif:PixelXDimension="4000" dc:title="t">'
        "<xmp:Thumbnails>\n<rdf:Alt>pixels</rdf:Alt></xmp:Thumbnails>"
        "<tiff:ImageWidth>4000</tiff:ImageWidth></x>"
    )
    preview = b"\x1c\x02\xca\x80\x04\0\0\0\x03abc"
    info: dict[Any, Any] = {
        "exif": exif.tobytes(),
        "xmp": content.encode(),
        "iptc": CAPTION + preview + CAPTION,
    }
    forget_the_whole(info)
    kept = Image.Exif()
    kept.load(info["exif"])
    assert kept[0x010F] == "ACME"
    assert 0x0100 not in kept
    assert kept.get_ifd(0x8769) == {0x9003: "2020"}
    assert info["xmp"] == b'<x dc:title="t"></x>'
    assert info["iptc"] == CAPTION * 2
    assert without_preview(b"\x1c\x02") == b""


@pytest.mark.parametrize("end", [b" ", b">", b"></xmp:", b"/"])
def test_elements_without_end_take_one_pass(end):
    """Of 16 MB, for which a search for the end of each would take weeks."""
    info = {"xmp": (b"<xmp:Thumbnails" + end) * 2**20}
    forget_the_whole(info)
    assert len(info["xmp"]) >= 2**23


def test_texts_too_large_together_are_lost_in_a_line():
    text = zlib.compress(bytes(10**6))
    chunks = [(b"zTXt", b"%d\0\0" % number + text) for number in range(30)]
    found = read(png_with(*chunks))
    assert found.losses == ["chunks zTXt, too large"]
    assert len(found.metadata["text"]) == pytest.approx(16 * 10**6, rel=1e-4)


def test_more_texts_than_a_file_holds_are_lost_in_a_line():
    image = IMAGE.copy()
    image.info["text"] = {str(number): "" for number in range(TEXTS_MAX + 3)}
    found = read_picture(image)
    assert found.losses == [f"3 of {TEXTS_MAX + 3} texts"]
    assert len(info_value("text", found.metadata["text"])) == TEXTS_MAX


@pytest.mark.parametrize(
    ("kind", "count", "expected"), [(3, 1, 6), (5, 1, 1), (3, 9, 1), (3, 2**24, 1)]
)
def test_an_orientation_is_one_short_integer(kind, count, expected):
    """As TIFF has it; an array of millions is not looked at."""
    for order, start in (("<", b"II*\0"), (">", b"MM\0*")):
        entry = struct.pack(f"{order}HHIHH", 274, kind, count, 6, 0)
        data = start + struct.pack(f"{order}IH", 8, 1) + entry + bytes(4)
        assert orientation_of(data) == expected
        assert orientation_of(b"Exif\0\0" + data) == expected
    assert orientation_of(data[:18]) == orientation_of(b"") == 1


def test_metadata_of_ours_that_make_no_sense_are_damage():
    for name, data in (("dpi", b"123"), ("dpi", bytes(8)), ("text", b"a\0b")):
        with pytest.raises(FormatError, match=name):
            info_value(name, data)
    with pytest.raises(FormatError, match=f"more than {TEXTS_MAX} texts"):
        info_value("text", bytes(2 * TEXTS_MAX + 1))
    text = {"A": "b", "日": ""}
    assert info_value("text", packed("text", text)) == text
    assert info_value("dpi", packed("dpi", (72, 300.5))) == (72, 300.5)
    for odd in ((0, 1), (-1, 2), (float("nan"), 1), ("x", 1), 7, (1e9, 1), (1,)):
        assert packed("dpi", odd) == b""


def test_other_names_of_metadata_are_wrong_usage():
    assert aecodec("encode", "photo.png", "--strip", "maker").exit_code == 2


def test_metadata_too_large_for_a_file_are_lost_alone():
    image = IMAGE.copy()
    image.info = {"xmp": bytes(2**24 + 1), "exif": b"II*\0", "dpi": (10, 10)}
    found = read_picture(image)
    assert found.losses == [f"the XMP data, {2**24 + 1} bytes"]
    assert list(found.metadata) == ["exif", "dpi"]


def test_metadata_that_are_too_large_together_are_lost_from_where_they_are():
    image = IMAGE.copy()
    image.info = {"exif": bytes(2**23), "xmp": bytes(2**23 + 1), "iptc": bytes(2**23)}
    found = read_picture(image)
    assert found.losses == [f"the XMP data, {2**23 + 1} bytes"]
    assert list(found.metadata) == ["exif", "iptc"]
    facts = codec.read_info(codec.encode(found, effort=1))
    assert facts.metadata == ("exif", "iptc")
    found.metadata["text"] = b"a\0b\0"
    with pytest.raises(UsageError, match="bytes of metadata is 16777220"):
        codec.encode(found, effort=1)


def test_a_part_of_a_picture_with_long_exif_data_stands_upright():
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "x" * 2**17
    data = codec.encode(Image.fromarray(picture(64, 96)), content="photo")
    image = codec.decode(data)
    image.info["exif"] = exif.tobytes()
    small = codec.decode(codec.encode(image), scale=1 / 2)
    assert dict(small.getexif()) == {0x0112: 6}


def test_what_is_stripped_takes_no_room():
    image = IMAGE.copy()
    image.info = {"exif": bytes(2**24), "xmp": bytes(2**24)}
    found = read_picture(image, ["exif"])
    assert (found.losses, list(found.metadata)) == ([], ["xmp"])


@pytest.mark.parametrize("suffix", [".bmp", ".jp2"])
def test_profiles_that_pillow_does_not_read_are_kept(suffix):
    data = {".bmp": bmp_with(b"DEBM", SRGB), ".jp2": jp2_with_profile(SRGB)}[suffix]
    assert read(data).losses == []
    assert reopened(data, ".png").info["icc_profile"] == SRGB
    Path(f"in{suffix}").write_bytes(data)
    with Image.open(f"in{suffix}") as image:
        found = read_picture(image)
    assert (found.metadata["icc"], found.losses) == (SRGB, [])


def test_a_cut_png_is_one_line(folder):
    Path("cut.png").write_bytes(png_with((b"tEXt", b"A\0b"))[:60])
    assert "cut.png: " in fails("encode", "cut.png")


def test_reading_takes_images_too():
    data = png_with((b"pHYs", struct.pack(">IIB", 11811, 11811, 1)))
    found = read_picture(Image.open(io.BytesIO(data)))
    assert list(found.metadata) == ["dpi"]
