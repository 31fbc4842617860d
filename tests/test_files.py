"""Pictures and metadata in Pillow's formats, through the command line."""

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import ORIGINAL, succeeds
from PIL import Image, ImageCms

import codec

pytestmark = pytest.mark.usefixtures("folder")


def with_metadata(name: str) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.fromarray(ORIGINAL)
    image.save(name, exif=exif, icc_profile=icc, xmp=b"<x:xmpmeta/>", quality=95)


def test_a_picture_with_damaged_metadata_gives_one_line():
    exif = b"Exif\0\0II*\0\x08\0\0\0\x05\0"  # five entries that are not there
    Image.fromarray(ORIGINAL).save("photo.jpg", exif=exif)
    command = [sys.executable, "-m", "codec", "encode", "photo.jpg"]
    result = subprocess.run(command, capture_output=True, check=True)
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".avif"])
def test_metadata_go_through_a_file_and_back(suffix):
    with_metadata("photo.jpg")
    succeeds("encode", "photo.jpg")
    succeeds("decode", "photo.aec", "-o", f"out{suffix}")
    with Image.open("photo.jpg") as before, Image.open(f"out{suffix}") as after:
        assert after.info["icc_profile"] == before.info["icc_profile"]
        assert after.getexif() == before.getexif()
        assert after.info["xmp"] == before.info["xmp"]
        assert after.size == before.size


def test_stripped_metadata_are_gone_and_the_picture_stands_upright():
    with_metadata("photo.jpg")
    succeeds("encode", "photo.jpg", "--strip", "exif", "--strip", "xmp")
    info = codec.read_info(Path("photo.aec").read_bytes())
    height, width = ORIGINAL.shape[:2]
    assert (info.width, info.height, info.metadata) == (height, width, ("icc",))
    succeeds("encode", "photo.jpg", "--strip", "all", "-f")
    assert codec.read_info(Path("photo.aec").read_bytes()).metadata == ()


def test_a_format_without_exif_data_gets_the_picture_upright():
    with_metadata("photo.jpg")
    succeeds("encode", "photo.jpg")
    result = succeeds("decode", "photo.aec", "-o", "out.bmp")
    assert (
        "photo.aec: lost: the EXIF data, which BMP files do not hold\n" in result.stderr
    )
    with Image.open("out.bmp") as image:
        assert image.size == ORIGINAL.shape[:2]


def test_metadata_that_a_format_cannot_hold_are_left_out_and_said_so():
    image = Image.fromarray(ORIGINAL)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.info = {"xmp": b"<x/>" + b" " * 70_000, "exif": exif.tobytes()}
    Path("photo.aec").write_bytes(codec.encode(image))
    result = succeeds("decode", "photo.aec", "-o", "out.jpg")
    assert "lost: the XMP data, which the JPEG file cannot hold" in result.stderr
    assert "EXIF" not in result.stderr
    with Image.open("out.jpg") as written:
        assert written.size == image.size
        assert written.getexif()[0x0112] == 6
