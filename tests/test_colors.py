"""Colors are as they are meant."""

import io
import struct
from typing import Any

import numpy as np
import pytest
from command_line import aecodec, fails
from odd_files import IMAGE, png_with
from pictures import picture, psnr
from PIL import Image, ImageCms

import codec
from benchmarks.hostile_files import saved, tiff
from codec.errors import UsageError
from codec.limits import MAX_PIXELS
from codec.picture.profiles import CURVES, PRIMARIES, rgb_profile
from codec.picture.reading import picture_in, read_picture
from codec.picture.samples import is_deep

RGB = np.asarray(IMAGE)
GRAY = np.linspace(0, 255, 96 * 128).astype(np.uint8).reshape(96, 128)
P3_TO_SRGB = np.array(  # of linear samples; CSS Color 4
    [[1.22494, -0.22494, 0], [-0.04206, 1.04206, 0], [-0.01964, -0.07864, 1.09827]]
)
SRGB = ImageCms.createProfile("sRGB")
LAB = ImageCms.createProfile("LAB")
P3_D65 = {"red": (0.680, 0.320), "green": (0.265, 0.690), "blue": (0.150, 0.060)}


def read(data: bytes) -> Any:
    return picture_in(data, MAX_PIXELS, ())


def cicp(primaries: int, transfer: int) -> bytes:
    return png_with((b"cICP", bytes([primaries, transfer, 0, 1])))


def in_srgb(color: tuple[int, ...], icc: bytes, mode: str = "RGB") -> np.ndarray:
    """A color of a profile, relative to the white of it, in sRGB."""
    shown = ImageCms.profileToProfile(
        Image.new(mode, (1, 1), color if len(color) > 1 else color[0]),
        ImageCms.ImageCmsProfile(io.BytesIO(icc)),
        ImageCms.createProfile("sRGB"),
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        "RGB",
    )
    return np.array(shown.getpixel((0, 0)))


def test_display_p3_by_codes_becomes_a_profile():
    icc = read(cicp(12, 13)).metadata["icc"]
    profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    assert ImageCms.getProfileDescription(profile).strip() == "Display P3"
    color = (128, 153, 179)
    linear = P3_TO_SRGB @ (((np.array(color) / 255 + 0.055) / 1.055) ** 2.4)
    expected = 255 * (1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(in_srgb(color, icc) - expected).max() <= 1
    for level in (0, 77, 255):
        assert np.abs(in_srgb((level,) * 3, icc) - level).max() <= 1


def test_codes_of_srgb_need_no_profile():
    for codes in ((1, 13), (1, 1), (2, 2)):
        found = read(cicp(*codes))
        assert (found.metadata, found.losses) == ({}, [])


def test_codes_that_nobody_knows_are_said_to_be_lost():
    assert read(cicp(200, 13)).losses == ["the color space, of codes 200 and 13"]


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range_is_refused_in_a_line(transfer, name, folder):
    with open("hdr.png", "wb") as file:
        file.write(cicp(9, transfer))
    assert f"({name}) cannot be coded" in fails("encode", "hdr.png")
    with pytest.raises(UsageError, match=name):
        read(avif_of(9, transfer))


def avif_of(primaries: int, transfer: int) -> bytes:
    data = bytearray(saved(IMAGE, "AVIF", quality=90))
    at = data.find(b"colrnclx") + 8
    data[at : at + 4] = struct.pack(">HH", primaries, transfer)
    return bytes(data)


def test_codes_of_avif_become_a_profile():
    icc = read(avif_of(12, 13)).metadata["icc"]
    assert icc == read(cicp(12, 13)).metadata["icc"]
    assert read(avif_of(1, 13)).metadata == {}


@pytest.mark.parametrize("code", PRIMARIES)
def test_profiles_of_all_codes_keep_white_and_gray(code):
    for curve in {CURVES[13], CURVES[1], (2.2,)}:
        icc = rgb_profile("x", PRIMARIES[code][1], curve)
        assert np.abs(in_srgb((255, 255, 255), icc) - 255).max() <= 1
        assert np.ptp(in_srgb((99, 99, 99), icc)) <= 1


def test_a_gamma_that_is_not_srgb_becomes_a_profile():
    linear = png_with((b"gAMA", struct.pack(">I", 100000)))
    icc = read(linear).metadata["icc"]
    assert np.abs(in_srgb((55, 55, 55), icc) - 128).max() <= 1
    assert read(png_with((b"gAMA", struct.pack(">I", 45455)))).metadata == {}
    gray = png_with((b"gAMA", struct.pack(">I", 100000)), image=Image.fromarray(GRAY))
    assert np.abs(in_srgb((55,), read(gray).metadata["icc"], "L") - 128).max() <= 1


@pytest.mark.parametrize(
    "numbers",
    [bytes(32), struct.pack(">8I", *[1] * 8), struct.pack(">8I", *[2**31 - 1] * 8)],
)
def test_chromaticities_that_are_none_are_said_to_be_lost(numbers):
    found = read(png_with((b"gAMA", struct.pack(">I", 45455)), (b"cHRM", numbers)))
    assert found.losses == ["the gamma and the chromaticities, damaged"]
    assert "icc" not in found.metadata


def test_chromaticities_become_a_profile_and_sRGB_goes_before_them():  # noqa: N802
    points = [(0.3127, 0.3290), *P3_D65.values()]
    numbers = [round(100000 * value) for point in points for value in point]
    chunks = [(b"cHRM", struct.pack(">8I", *numbers))]
    assert "icc" in read(png_with(*chunks)).metadata
    assert read(png_with((b"sRGB", b"\0"), *chunks)).metadata == {}


def cmyk_profile() -> bytes:
    """Inks that are not what plain subtraction takes them for: a table of 9 points a
    side, from cyan, magenta, yellow and black to Lab.
    """
    side = np.linspace(0, 1, 9)
    inks = np.stack(np.meshgrid(*[side] * 4, indexing="ij"), -1).reshape(-1, 4)
    rgb = (1 - inks[:, :3] * (0.9, 0.8, 0.7)) * (1 - 0.9 * inks[:, 3:])
    lab = Image.fromarray((255 * rgb).round().astype(np.uint8)[None])
    lab = ImageCms.profileToProfile(
        lab,
        ImageCms.createProfile("sRGB"),
        ImageCms.createProfile("LAB"),
        outputMode="LAB",
    )
    lightness, a, b = np.asarray(lab)[0].astype(int).T
    table = np.stack([lightness, (a + 128) % 256, (b + 128) % 256], 1).astype(np.uint8)
    identity = struct.pack(">9i", *(65536 * (n % 4 == 0) for n in range(9)))
    curve = bytes(range(256))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 9, 0]) + identity + curve * 4
    lut += table.tobytes() + curve * 3
    head = (
        bytes(8) + b"\x02\x40\0\0prtrCMYKLab " + struct.pack(">6H", 2024, 1, 1, 0, 0, 0)
    )
    head += b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    head = head.ljust(128, b"\0")
    entry = struct.pack(">I4sII", 1, b"A2B0", 144, len(lut))
    return struct.pack(">I", 144 + len(lut)) + head[4:] + entry + lut


@pytest.mark.parametrize("image_format", ["JPEG", "TIFF"])
def test_cmyk_is_converted_by_its_profile(image_format):
    icc = cmyk_profile()
    inks = np.asarray(IMAGE.convert("CMYK"))
    rgb = (1 - inks[..., :3] / 255 * (0.9, 0.8, 0.7)) * (1 - 0.9 * inks[..., 3:] / 255)
    options = {"quality": 98} if image_format == "JPEG" else {}
    data = saved(IMAGE.convert("CMYK"), image_format, icc_profile=icc, **options)
    found = read(data)
    assert found.losses == ["CMYK samples, converted to RGB by its profile"]
    assert "icc" not in found.metadata
    naive = read(saved(IMAGE.convert("CMYK"), image_format, **options))
    assert psnr(found.rgb, 255 * rgb) > 30 > psnr(naive.rgb, 255 * rgb)


def test_lab_is_converted():
    lab = ImageCms.profileToProfile(
        IMAGE,
        ImageCms.createProfile("sRGB"),
        ImageCms.createProfile("LAB"),
        outputMode="LAB",
    )
    found = read(saved(lab, "TIFF"))
    assert psnr(found.rgb, RGB) > 35
    assert found.losses == ["LAB samples, converted to RGB by its profile"]


DEPTHS = [(np.uint16, 10), (np.uint16, 12), (np.uint16, 14), (np.uint16, 16)]
DEPTHS += [(np.uint32, 12), (np.uint32, 24), (np.uint32, 32)]


@pytest.mark.parametrize(("kind", "bits"), DEPTHS)
def test_integers_of_tiff_are_scaled_by_what_they_hold(kind, bits):
    samples = GRAY.astype(kind) << (bits - 8) if bits > 8 else GRAY.astype(kind)
    found = read(tiff(samples))
    assert np.abs(found.rgb[..., 0].astype(int) - GRAY).max() <= 1
    (loss,) = found.losses
    assert loss.startswith("all but 8 bits of the samples")
    assert (f"from {bits} bits" in loss) == (bits != 16)


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_colors_of_tiff_are_scaled_by_what_they_hold(bits):
    samples = RGB.astype(np.uint16) << (bits - 8)
    found = read(tiff(samples))
    assert np.array_equal(found.rgb, RGB)
    assert len(found.losses) == 1


def test_signed_integers_are_scaled_from_the_least():
    values = GRAY.astype(np.int32) - 128
    found = read(saved(Image.fromarray(values * 1000), "TIFF"))
    assert np.abs(np.diff(found.rgb[..., 0].astype(int))).max() <= 2
    assert found.rgb.min() == 0
    assert found.rgb.max() > 230


def test_sixteen_bits_of_png_are_what_they_say():
    dark = Image.fromarray((GRAY // 16).astype(np.uint16) << 8)
    assert read(saved(dark, "PNG")).rgb.max() == 15
    colors = b"P6 128 96 4095\n" + (RGB.astype(np.uint16) << 4).astype(">u2").tobytes()
    found = read(colors)
    assert np.abs(found.rgb.astype(int) - RGB).max() <= 1
    assert found.losses == ["all but 8 bits of the samples"]


def test_deep_samples_of_other_formats_are_said_to_be_cut():
    data = bytearray(saved(IMAGE, "AVIF"))
    at = data.find(b"pixi") + 9
    assert data[at : at + 3] == b"\x08" * 3
    assert read(bytes(data)).losses == []
    data[at : at + 3] = b"\x0a" * 3
    with Image.open(io.BytesIO(saved(IMAGE, "AVIF"))) as image:
        assert is_deep(image, bytes(data))
    deep = Image.fromarray(GRAY.astype(np.uint16) << 8)
    found = read(saved(deep, "JPEG2000"))
    assert np.abs(found.rgb[..., 0].astype(int) - GRAY).max() <= 1
    assert found.losses == ["all but 8 bits of the samples"]
    assert read(saved(IMAGE, "JPEG2000")).losses == []


@pytest.mark.parametrize("quality", [1, 25, 100])
@pytest.mark.parametrize("alpha", [False, True])
def test_gray_in_three_channels_comes_back_gray(quality, alpha):
    image = Image.fromarray(picture(70, 90)).convert("L").convert("RGB")
    image.info["icc_profile"] = bytes(16) + b"RGB "
    if alpha:
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    data = codec.encode(image, quality=quality)
    for options in ({}, {"region": (3, 4, 50, 60)}, {"scale": 1 / 2}):
        decoded = codec.decode(data, **options)
        assert decoded.mode == codec.read_info(data).mode == image.mode
        red, green, blue = (np.asarray(decoded)[..., n] for n in range(3))
        assert np.array_equal(red, green)
        assert np.array_equal(green, blue)
        assert decoded.info["icc_profile"] == image.info["icc_profile"]
    salvaged, _ = codec.salvage(data)
    assert salvaged.mode == image.mode


def test_one_tinted_pixel_is_a_color():
    gray = np.repeat(GRAY[..., None], 3, axis=2)
    assert read_picture(gray).neutral
    tinted = gray.copy()
    tinted[50, 51, 1] ^= 1
    assert not read_picture(tinted).neutral


def test_a_gray_palette_and_a_gray_gif_are_gray(folder):
    for image_format in ("GIF", "PNG"):
        image = Image.fromarray(GRAY).convert("RGB").quantize(64)
        image.save("p", image_format)
        with open("p", "rb") as file:
            found = read(file.read())
        assert found.gray or found.neutral


def test_made_up_colors_of_gray_in_three_channels(folder):
    Image.fromarray(GRAY).convert("RGB").save("gray.png")
    call = ("encode", "gray.png", "--tune", "psnr", "--content", "photo")
    assert aecodec(*call).exit_code == 0
    assert aecodec("decode", "gray.aec", "--colorize", "-o", "c.png").exit_code == 0
    with Image.open("c.png") as image:
        assert image.mode == "RGB"


@pytest.mark.parametrize("color", ["white", "black", "red"])
def test_a_flat_picture_comes_back_as_it_is(color):
    image = Image.new("RGB", (512, 384), color)
    decoded = codec.decode(codec.encode(image))
    assert np.array_equal(np.asarray(decoded), np.asarray(image))
