"""Pictures of every kind and shape that people have, from their files to ours."""

import io
from pathlib import Path

import numpy as np
import png
import pytest
from command_line import succeeds
from pictures import picture, psnr
from PIL import Image

import codec
from codec.limits import MAX_PIXELS
from codec.picture.reading import picture_in

HEIGHT, WIDTH = 9, 14
RANDOM = np.random.default_rng(5)
KINDS = {
    "gray": (1, (1, 2, 4, 8, 16)),
    "gray with alpha": (2, (8, 16)),
    "color": (3, (8, 16)),
    "color with alpha": (4, (8, 16)),
}
PALETTE = RANDOM.integers(0, 256, (256, 3))


def loaded(data: bytes):
    Path("picture").write_bytes(data)
    return picture_in(Path("picture").read_bytes(), MAX_PIXELS, ())


def png_file(samples: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    rows = samples.reshape(HEIGHT, -1)
    writer = png.Writer(WIDTH, HEIGHT, **options)
    if options.get("interlace"):
        writer.write_array(file, rows.ravel().tolist())
    else:
        writer.write(file, rows.tolist())
    return file.getvalue()


def in_8_bits(samples: np.ndarray, bits: int) -> np.ndarray:
    """As Pillow's users expect: the upper 8 bits, and few bits stretched."""
    return samples >> 8 if bits == 16 else samples * (255 // (2**bits - 1))


@pytest.fixture(autouse=True)
def in_folder(folder):
    """All tests write files."""


@pytest.mark.parametrize("interlace", [False, True])
@pytest.mark.parametrize(
    ("kind", "bits"), [(kind, b) for kind, (_, depths) in KINDS.items() for b in depths]
)
def test_png_files_of_every_type_and_depth(kind, bits, interlace):
    channels, _ = KINDS[kind]
    samples = RANDOM.integers(0, 2**bits, (HEIGHT, WIDTH, channels))
    options = {"greyscale": channels < 3, "alpha": channels % 2 == 0}
    found = loaded(png_file(samples, bitdepth=bits, interlace=interlace, **options))
    expected = in_8_bits(samples, bits)
    assert found.gray == (channels < 3)
    assert ("all but 8 bits of the samples" in found.losses) == (bits == 16)
    if options["alpha"]:
        assert np.array_equal(found.alpha, expected[..., -1])
        expected = expected[..., :-1]
        seen = found.alpha > 0
        assert np.array_equal(found.rgb[seen], (expected + np.zeros(3))[seen])
    else:
        assert found.alpha is None
        assert np.array_equal(found.rgb, expected + np.zeros(3))


@pytest.mark.parametrize("interlace", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("transparent", [False, True])
def test_png_files_with_a_palette(bits, interlace, transparent):
    index = RANDOM.integers(0, 2**bits, (HEIGHT, WIDTH))
    palette = PALETTE[: 2**bits]
    if transparent:
        palette = np.concatenate([palette, 255 - 20 * np.arange(2**bits)[:, None]], 1)
        palette %= 256
    entries = [tuple(map(int, entry)) for entry in palette]
    found = loaded(png_file(index, bitdepth=bits, palette=entries, interlace=interlace))
    assert not found.gray
    if transparent:
        assert np.array_equal(found.alpha, palette[index][..., 3])
        seen = found.alpha > 0
        assert np.array_equal(found.rgb[seen], palette[index][..., :3][seen])
    else:
        assert np.array_equal(found.rgb, palette[index])


@pytest.mark.parametrize(("gray", "color"), [(True, 77), (False, (10, 20, 30))])
def test_png_files_with_a_transparent_color(gray, color):
    samples = RANDOM.integers(0, 256, (HEIGHT, WIDTH, 1 if gray else 3))
    samples[2:5, 3:9] = color
    found = loaded(png_file(samples, greyscale=gray, transparent=color))
    assert np.array_equal(found.alpha == 0, (samples == color).all(-1))


SAVED = {
    "jpeg": ("RGB", "JPEG", {}),
    "jpeg-progressive": ("RGB", "JPEG", {"progressive": True}),
    "jpeg-gray": ("L", "JPEG", {}),
    "jpeg-cmyk": ("CMYK", "JPEG", {}),
    "webp": ("RGB", "WEBP", {}),
    "webp-lossless-alpha": ("RGBA", "WEBP", {"lossless": True}),
    "avif": ("RGB", "AVIF", {}),
    "gif": ("P", "GIF", {}),
    "tiff": ("RGB", "TIFF", {}),
    "tiff-lzw": ("RGB", "TIFF", {"compression": "tiff_lzw"}),
    "tiff-bilevel": ("1", "TIFF", {"compression": "group4"}),
    "tiff-16-bit": ("I;16", "TIFF", {}),
    "tiff-cmyk": ("CMYK", "TIFF", {}),
    "bmp": ("RGB", "BMP", {}),
    "bmp-palette": ("P", "BMP", {}),
    "ico": ("RGBA", "ICO", {}),
    "ppm": ("RGB", "PPM", {}),
    "tga": ("RGB", "TGA", {}),
    "jpeg-2000": ("RGB", "JPEG2000", {}),
}


def image_of(mode: str) -> Image.Image:
    image = Image.fromarray(picture(32, 32))
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) << 8)
    return image.convert(mode)


@pytest.mark.parametrize("name", SAVED)
def test_files_of_every_format_are_read_as_pillow_reads_them(name):
    mode, image_format, options = SAVED[name]
    image_of(mode).save("picture", image_format, **options)
    found = picture_in(Path("picture").read_bytes(), MAX_PIXELS, ())
    with Image.open("picture") as read:
        if mode == "I;16":
            expected = np.repeat(np.asarray(read)[..., None] >> 8, 3, axis=2)
        else:
            expected = np.asarray(read.convert("RGB"))
    assert np.array_equal(found.rgb, expected)
    assert found.gray == (mode in ("1", "L", "I;16"))


def test_the_first_frame_of_an_animation_is_taken():
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "lime", "blue")]
    for image_format in ("GIF", "WEBP", "PNG"):
        frames[0].save("moving", image_format, save_all=True, append_images=frames[1:])
        found = picture_in(Path("moving").read_bytes(), MAX_PIXELS, ())
        assert found.rgb[0, 0].argmax() == 0
        assert found.losses == ["all frames but the first"]


@pytest.mark.parametrize(
    ("width", "height"),
    [(1, 1), (1, 70), (70, 1), (65, 64), (1024, 3), (1025, 3), (16384, 2), (2, 16384)],
)
def test_pictures_of_every_shape_come_back(width, height):
    image = Image.fromarray(picture(height, width))
    image.save("shape.png")
    succeeds("encode", "shape.png", "-q", "20", "-e", "1")
    succeeds("decode", "shape.aec", "-o", "back.png")
    with Image.open("back.png") as back:
        assert back.size == (width, height)
        error = np.abs(np.asarray(back, int) - np.asarray(image))
    assert error.mean() < 20


@pytest.mark.parametrize(
    ("mode", "decoded_mode"),
    [("L", "L"), ("LA", "L"), ("I;16", "L")]  # alpha is opaque here
    + [(mode, "RGB") for mode in ("P", "RGB", "RGBA", "CMYK")],
)
def test_a_picture_of_every_mode_comes_back_in_its_colors(mode, decoded_mode):
    image = image_of(mode)
    decoded = codec.decode(codec.encode(image, quality=100))
    assert decoded.mode == decoded_mode
    expected = image_of("L") if mode == "I;16" else image.convert(decoded_mode)
    assert psnr(decoded, expected) > 22  # the palette is dithered, so hard to code
