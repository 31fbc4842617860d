"""Decoded pictures in other formats."""

import io
from pathlib import Path

import numpy as np
import pytest
from command_line import aecodec, fails, is_refused, succeeds
from odd_files import IMAGE
from pictures import picture, psnr
from PIL import Image, ImageDraw

import codec
from benchmarks.hostile_files import saved
from codec.app.picture_files import file_bytes, needs_full_chroma


def red_text() -> Image.Image:
    image = Image.new("RGB", (200, 120), "white")
    for line in range(8):
        ImageDraw.Draw(image).text(
            (5, 5 + 14 * line), "quick red fox", fill=(220, 0, 0)
        )
    return image


def in_file(image: Image.Image, image_format: str, **options: object) -> Image.Image:
    data, *_ = file_bytes(image, image_format, **options)
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("image_format", ["JPEG", "AVIF"])
def test_colored_text_has_full_chroma(image_format):
    assert needs_full_chroma(red_text())
    halved = Image.open(io.BytesIO(saved(red_text(), image_format, quality=95)))
    found = in_file(red_text(), image_format)
    assert psnr(found, red_text()) > psnr(halved.convert("RGB"), red_text()) + 3


def test_a_few_colored_letters_in_a_photograph_are_enough():
    image = Image.fromarray(picture(300, 400)).convert("L").convert("RGB")
    assert not needs_full_chroma(image)
    ImageDraw.Draw(image).text((200, 100), "red", fill=(255, 0, 0))
    assert needs_full_chroma(image)


def test_soft_colors_have_chroma_of_half_the_size():
    soft = IMAGE.resize((13, 10)).resize((400, 300), Image.Resampling.BICUBIC)
    assert not needs_full_chroma(soft)
    assert in_file(soft, "JPEG").layer[0][1:3] == (2, 2)
    assert in_file(red_text(), "JPEG").layer[0][1:3] == (1, 1)
    for mode in ("L", "LA"):
        assert not needs_full_chroma(IMAGE.convert(mode))


@pytest.mark.parametrize("suffix", ["jpg", "webp", "avif"])
def test_the_quality_of_the_output_can_be_chosen(suffix, coded):
    sizes = []
    for quality in (20, 60, 95):
        succeeds("decode", "photo.aec", "-o", f"{quality}.{suffix}", "-q", quality)
        sizes.append(Path(f"{quality}.{suffix}").stat().st_size)
    assert sizes == sorted(set(sizes))
    succeeds("decode", "photo.aec", "-o", f"default.{suffix}")
    assert Path(f"default.{suffix}").read_bytes() == Path(f"95.{suffix}").read_bytes()


def test_standard_output_has_the_format_that_is_named(coded):
    result = succeeds("decode", "photo.aec", "-o", "-", "--format", "WebP")
    with Image.open(io.BytesIO(result.stdout_bytes)) as image:
        assert image.format == "WEBP"
    assert "cannot write .xyz files" in is_refused(
        "decode", "photo.aec", "--format", "xyz"
    )


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("suffix", ["ppm", "bmp", "jpg", "gif", "pdf"])
def test_transparency_that_a_format_does_not_hold_is_lost_on_white(
    suffix, mode, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    image = Image.new(mode, (40, 40), 0)
    image.paste(Image.new(mode, (20, 40), "black"), (0, 0))
    image.putpixel((0, 0), (0,) * (len(mode) - 1) + (128,))  # soft, for GIF
    image.save("photo.png")
    succeeds("encode", "photo.png", "--lossless")
    lines = succeeds("decode", "photo.aec", "-o", f"photo.{suffix}").stderr
    assert "lost: transparency, which the " in lines
    if suffix != "pdf":  # which Pillow does not read
        with Image.open(f"photo.{suffix}") as found:
            assert not found.has_transparency_data
            levels = np.asarray(found.convert("L"))
        assert levels[:, :18].max() < 140
        assert levels[:, 22:].min() > 250


@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "avif", "gif", "tga", "ico"])
def test_whole_transparency_is_kept_where_it_can_be(suffix, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    image.paste((200, 10, 10, 255), (0, 0, 20, 40))
    image.save("photo.png")
    succeeds("encode", "photo.png", "--lossless")
    lines = succeeds("decode", "photo.aec", "-o", f"out.{suffix}").stderr
    assert "transparency" not in lines
    with Image.open(f"out.{suffix}") as found:
        alpha = np.asarray(found.convert("RGBA"))[..., 3]
    assert (alpha[:, 0] == 255).all() and (alpha[:, -1] == 0).all()


def test_a_quality_of_what_has_none_is_refused(coded):
    line = fails("decode", "photo.aec", "-o", "x.png", "-q", "50")
    assert "a quality is for JPEG, WEBP, AVIF, MPO, PDF, not for PNG" in line
    assert not Path("x.png").exists()
    for quality in ("0", "101", "x"):
        assert "--quality" in is_refused("decode", "photo.aec", "-q", quality)


@pytest.mark.parametrize("suffix", ["ico", "icns"])
def test_sizes_of_icons_are_those_written(suffix, folder):
    Image.fromarray(picture(200, 300)).save("wide.png")
    succeeds("encode", "wide.png", "-e", "1")
    result = succeeds("decode", "wide.aec", "-o", f"icon.{suffix}")
    with Image.open(f"icon.{suffix}") as icon:
        sizes = {tuple(size[:2]) for size in icon.info["sizes"]}
    for width, height in sizes:
        assert f"{width} x {height}" in result.stderr
    assert "300 x 200" not in result.stderr


def test_the_size_of_a_picture_that_is_turned_is_that_written(folder):
    turned = Image.Exif()
    turned[0x0112] = 6
    IMAGE.save("x.jpg", exif=turned)
    succeeds("encode", "x.jpg", "-e", "1")
    for suffix, size in (("png", (128, 96)), ("bmp", (96, 128))):
        result = succeeds("decode", "x.aec", "-o", f"x.{suffix}")
        assert "{} x {} pixels".format(*size) in result.stderr
        with Image.open(f"x.{suffix}") as image:
            assert image.size == size


def test_what_a_format_does_not_hold_has_a_line_each(folder):
    image = IMAGE.copy()
    image.save("x.png", dpi=(90, 90), exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0")
    succeeds("encode", "x.png", "-e", "1")
    result = succeeds("decode", "x.aec", "-o", "x.gif")
    assert result.stderr.splitlines()[1:] == [
        "x.aec: lost: colors beyond 256",
        "x.aec: lost: the EXIF data, which GIF files do not hold",
        "x.aec: lost: the resolution, which GIF files do not hold",
    ]


def test_in_folders_losses_are_said(folder):
    Path("in").mkdir()
    IMAGE.convert("CMYK").save("in/print.tif")
    result = aecodec("encode", "-r", "in", "-o", "out", "-j", "1")
    assert result.exit_code == 0
    assert "in/print.tif: lost: CMYK samples, converted to RGB" in result.stderr


def test_a_picture_of_one_pixel_is_written_in_every_format():
    dot = codec.decode(codec.encode(np.zeros((1, 1, 3), np.uint8)))
    for image_format in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF"):
        assert in_file(dot, image_format).size == (1, 1)
