"""Pictures with a layer: drawn in all or in part, and exact ones."""

import dataclasses
import io

import numpy as np
import pytest
from pictures import picture, psnr
from PIL import ExifTags, Image, ImageDraw

import codec
from codec.coding import content, decoder
from codec.coding.choice import Choice
from codec.errors import FormatError
from codec.file.container import pack, unpack
from codec.file.layer import FLAT, LOSSLESS, LOSSY, LayerTile, unpack_layer_tile
from codec.networks.bundle import EXACT
from codec.networks.runtime import Networks
from codec.networks.shipped import TUNES, load_bundle
from codec.options import TARGETS, EncodeOptions
from codec.picture import avif
from codec.picture.avif import pack_lossy
from codec.picture.reading import Picture
from codec.picture.vp8l import pack_lossless
from codec.progress import Stages, no_progress

WHITE = np.full((96, 128, 3), 255, np.uint8)


def text(width=256, height=160):
    """Black on white."""
    image = Image.new("RGB", (width, height), "white")
    for row in range(height // 20):
        line = f"line {row}: quick brown foxes jump"
        ImageDraw.Draw(image).text((7, 20 * row), line, "black")
    return np.asarray(image)


def product():
    """Something with texture on a white ground."""
    image = np.full((512, 640, 3), 255, np.uint8)
    image[180:330, 250:420] = picture(150, 170)
    return image


def page():
    """A picture with texture, as large as a photograph in a page of text."""
    image = np.tile(text(), (5, 4, 1))
    image[96:480, 128:640] = picture(384, 512)
    return image


def shaded():
    """Drawn, with more colors than lossless coding likes."""
    x = np.arange(640) // 2
    ramp = np.stack([x % 256, (2 * x) % 256, 255 - x % 256], -1).astype(np.uint8)
    image = np.repeat(ramp[None], 400, 0)
    image[::40] = 0
    return image


def tiles(data):
    container = unpack(data)
    return [container.tile(number) for number in range(container.header.tile_count)]


def kinds(data):
    return [getattr(tile, "kind", None) for tile in tiles(data)]


def decoded(data, **options):
    return np.asarray(codec.decode(data, **options))


def test_a_photograph_has_no_layer():
    data = codec.encode(picture(200, 300))
    assert kinds(data) == [None]
    assert data == codec.encode(picture(200, 300), content="photo")


def test_a_smooth_photograph_is_not_taken_for_drawn():
    """A part of its neighboring pixels are the same, but no edge is near, no color
    common, and not all of it is smooth.
    """
    smooth = shades()
    random = np.random.default_rng(0)
    smooth[:, :200] += random.integers(0, 16, (300, 200, 3), np.uint8)
    assert not content.may_be_drawn(smooth)
    colors = random.integers(0, 256, (15, 20, 3), np.uint8)
    assert content.may_be_drawn(colors.repeat(20, 0).repeat(20, 1))


def shades():
    across, down = np.meshgrid(np.arange(400), np.arange(300))
    smooth = [across / 6, down / 6 + across / 9, 200 - down / 5]
    return np.stack(smooth, -1).astype(np.uint8)


@pytest.mark.parametrize("way", ["shades", "rows", "columns", "upright shades"])
def test_what_has_runs_in_either_direction_is_exact_and_small(way):
    image = shades()
    if "shades" not in way:
        image = np.random.default_rng(0).integers(0, 256, (1, 300, 3), np.uint8)
        image = image.repeat(200, 0)
    if way in ("rows", "upright shades"):
        image = np.ascontiguousarray(image.swapaxes(0, 1))
    data = codec.encode(image)
    assert kinds(data) == [LOSSLESS]
    assert len(data) < 1.5 * len(codec.encode(image, content="photo"))
    assert np.array_equal(decoded(data), image)


@pytest.mark.parametrize(("height", "width"), [(8, 600), (600, 8)])
def test_the_layer_is_tried_for_strips(height, width):
    assert content.may_be_drawn(picture(height, width))
    assert not content.may_be_drawn(picture(24, 24))


def test_a_frame_of_one_color_makes_no_drawing_of_a_photograph_of_any_size():
    for height, width in ((4096, 64), (64, 4096), (512, 512), (300, 40)):
        framed = picture(height, width)
        framed[0], framed[-1], framed[:, 0], framed[:, -1] = 0, 0, 0, 0
        assert not content.may_be_drawn(framed)


@pytest.mark.parametrize("value", [(255, 255, 255), (1, 2, 3)])
def test_a_flat_picture_is_its_color(value):
    image = np.full((1100, 1500, 3), value, np.uint8)
    data = codec.encode(image)
    assert kinds(data) == [FLAT] * 4
    assert len(data) < 80
    assert np.array_equal(decoded(data), image)


def test_text_is_exact_and_as_small_as_lossless_webp():
    data, file = codec.encode(text()), io.BytesIO()
    Image.fromarray(text()).save(file, "WEBP", lossless=True)
    assert kinds(data) == [LOSSLESS]
    assert np.array_equal(decoded(data), text())
    assert len(data) <= 1.03 * len(file.getvalue())


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA"])
def test_lossless_files_are_exact(mode):
    image = Image.fromarray(picture(70, 1100)).convert(mode)
    if mode.endswith("A"):
        image.putalpha(
            Image.linear_gradient("L").resize(image.size).point(lambda v: v | 1)
        )
    back = codec.decode(codec.encode(image, lossless=True))
    assert back.mode == mode
    assert np.array_equal(np.asarray(back), np.asarray(image))


def logo() -> Image.Image:
    """Discs with soft edges and a text, on transparent ground."""
    random = np.random.default_rng(0)
    image = Image.new("RGBA", (1024, 1024))
    for _ in range(14):
        x, y, radius = random.integers(0, 1024, 3)
        reach = 20 + radius // 8
        box = x - reach, y - reach, x + reach, y + reach
        fill = (*map(int, random.integers(0, 256, 3)), 255)
        ImageDraw.Draw(image).ellipse(box, fill=fill)
    image = image.reduce(4)
    ImageDraw.Draw(image).text((20, 100), "sharp text", fill=(10, 20, 60, 255))
    return image


def test_colors_that_are_not_seen_cost_nearly_nothing():
    image = logo()
    file = io.BytesIO()
    image.save(file, "WEBP", lossless=True, method=6)
    data = codec.encode(image, lossless=True)
    assert len(data) < 1.5 * len(file.getvalue())  # which has no alpha of its own
    found = codec.decode(data)
    seen = np.asarray(image)[..., 3] > 0
    assert np.array_equal(np.asarray(found)[seen], np.asarray(image)[seen])
    assert kinds(codec.encode(image)) != [None]


def test_a_photograph_on_transparent_ground_is_one():
    image = Image.fromarray(picture(256, 256)).convert("RGBA")
    image.putalpha(Image.radial_gradient("L").point(lambda v: 255 * (v < 120)))
    assert kinds(codec.encode(image)) == [None]


def test_a_picture_without_a_visible_pixel_is_flat():
    image = Image.fromarray(picture(64, 80)).convert("RGBA")
    image.putalpha(0)
    assert kinds(codec.encode(image, lossless=True)) == [FLAT]
    codec.encode(image, psnr_db=30)


def test_lossless_of_a_drawn_picture_is_exact_in_all_tiles():
    data = codec.encode(shaded(), lossless=True)
    info = codec.read_info(data)
    assert (info.tiles, info.drawn_tiles, info.exact_tiles) == (1, 1, 1)
    assert np.array_equal(decoded(data), shaded())


def test_what_is_drawn_with_many_colors_is_lossy_and_good():
    data = codec.encode(picture(200, 300), content="graphics", quality=60)
    assert kinds(data) == [LOSSY]
    assert psnr(decoded(data), picture(200, 300)) > 30
    worse = codec.encode(picture(200, 300), content="graphics", quality=20)
    assert len(worse) < len(data)


def test_the_ground_of_a_product_is_exact_and_the_rest_the_networks():
    data = codec.encode(product(), quality=40)
    (tile,) = tiles(data)
    assert tile.kind == LOSSLESS
    assert not tile.covers
    white = (product() == 255).all(-1)
    assert (decoded(data)[white] == 255).mean() > 0.995
    assert psnr(decoded(data)[180:330, 250:420], product()[180:330, 250:420]) > 20


def test_a_photograph_in_a_page_is_found():
    found = content.photographs_in(page())
    inside = np.zeros(found.shape, bool)
    inside[96:480, 128:640] = True
    assert found[inside].mean() > 0.9
    assert found[~inside].mean() < 0.1


@pytest.fixture(scope="module")
def mixed():
    """A file of four tiles: of the networks, of a flat layer, of a layer with a mask,
    of one that is drawn; and its picture.
    """
    image = picture(700, 800)
    covered = np.zeros(image.shape[:2], bool)
    covered[:512, 512:] = covered[512:, :300] = covered[512:, 512:] = True
    image[:512, 512:], image[512:, :300] = 255, 7
    image[512:, 512:] = text(288, 188)
    return layered(image, covered), image


def layered(image, covered):
    """The file of a picture whose layer is what is covered, in tiles of 512 px."""
    options = EncodeOptions(quality=50)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("codec.coding.encoder.TILE_LOG2", 9)
        encoder = Choice(
            Picture(image),
            options,
            Networks(options.model()),
            False,
            Stages(no_progress),
        ).with_layer(covered)
        return encoder.file(options.quality_code())


def test_tiles_have_what_suits_them(mixed):
    data, image = mixed
    first, second, third, _ = tiles(data)
    assert isinstance(first, bytes)
    assert second.kind == FLAT
    assert third.kind == LOSSLESS
    assert not third.covers
    back = decoded(data)
    assert np.array_equal(back[:512, 512:], image[:512, 512:])
    assert np.array_equal(back[512:, :290], image[512:, :290])
    assert psnr(back, image) > 25


def test_a_region_is_the_same_as_in_the_whole(mixed):
    data, _ = mixed
    whole = decoded(data, precision=EXACT)
    for region in ((0, 0, 800, 700), (500, 500, 30, 40), (600, 20, 9, 9)):
        left, top, width, height = region
        part = decoded(data, region=region, precision=EXACT)
        expected = whole[top : top + height, left : left + width]
        assert np.abs(part.astype(int) - expected).max() <= 1


def test_smaller_pictures_have_the_layer_too(mixed):
    data, image = mixed
    for factor in (2, 4, 8):
        small = codec.decode(data, scale=1 / factor)
        expected = Image.fromarray(image).reduce(factor)
        assert small.size == expected.size
        assert psnr(small, expected) > 24
        quarter = 512 // factor
        assert (np.asarray(small)[:quarter, quarter:] == 255).all()


def test_what_a_layer_covers_is_decoded_without_networks(monkeypatch):
    data = codec.encode(text())
    monkeypatch.setattr("codec.networks.runtime.load_graph", None)
    assert np.array_equal(decoded(data), text())


def test_windows_that_a_layer_covers_are_decoded_without_networks(monkeypatch):
    image = picture(128, 3072)
    image[:, 512:] = 255
    covered = np.zeros(image.shape[:2], bool)
    covered[:, 512:] = True
    data = layered(image, covered)
    made = []
    synthesize = Networks.synthesize

    def counted(self, latents, *vectors):
        made.append(16 * latents.shape[2])
        return synthesize(self, latents, *vectors)

    monkeypatch.setattr(Networks, "synthesize", counted)
    found = decoded(data)
    assert len(made) == 1
    monkeypatch.setattr(decoder, "cells_of_tiles", lambda *tiles: None)
    assert np.array_equal(decoded(data), found)
    assert len(made) > 2


def test_damage_of_a_layer_is_located_and_the_rest_salvaged(mixed):
    data, image = mixed
    container = unpack(data)
    _, offset, length = container.spans[1]
    damaged = bytearray(data)
    damaged[offset + length - 1] ^= 1
    with pytest.raises(FormatError, match="tile 2 of 4 is damaged"):
        codec.decode(bytes(damaged))
    assert decoded(bytes(damaged), region=(0, 600, 99, 99)).shape == (99, 99, 3)
    found, faults = codec.salvage(bytes(damaged))
    assert faults == ["tile 2 of 4 is damaged (checksum differs)"]
    assert np.array_equal(np.asarray(found)[560:, :290], image[560:, :290])


def with_tile(tile):
    """A file of 128 x 96 pixels with that layer."""
    container = unpack(codec.encode(WHITE))
    return pack(dataclasses.replace(container.header), [tile])


HOLE = np.ones(WHITE.shape[:2], bool)
HOLE[:20] = False
OTHER_SIZE = pack_lossless(WHITE[:50], None)


@pytest.mark.parametrize(
    ("tile", "message"),
    [
        (LayerTile(3, b"\0\0\0"), "kind 3 of a layer"),
        (LayerTile(FLAT, b"\0\0"), "no single color"),
        (LayerTile(FLAT, b"\0\0\0", b"", b"1234"), "no single color"),
        (LayerTile(FLAT, b"\0\0\0", b"1"), "a mask that it may not have"),
        (LayerTile(LOSSLESS, b""), "no lossless picture of 128 x 96"),
        (LayerTile(LOSSLESS, OTHER_SIZE), "no lossless picture of 128 x 96"),
        (LayerTile(LOSSLESS, pack_lossless(WHITE, None)[:-4]), "cannot be decoded"),
        (LayerTile(LOSSLESS, pack_lossless(WHITE, HOLE)), "does not cover"),
        (LayerTile(LOSSY, b"no AVIF"), "cannot be decoded"),
    ],
)
def test_wrong_layers_are_refused(tile, message):
    with pytest.raises(FormatError, match=f"tile 1 of 1 is damaged.*{message}"):
        codec.decode(with_tile(tile))


def upside_down():
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 3
    return exif


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("RGBA", {}),
        ("RGB", {"icc_profile": b"profile"}),
        ("RGB", {"exif": upside_down()}),
        ("RGB", {"save_all": True, "append_images": [Image.new("RGB", (128, 96))]}),
    ],
)
def test_avif_files_of_more_than_colors_are_refused_in_layers(mode, options):
    file = io.BytesIO()
    Image.new(mode, (128, 96)).save(file, "AVIF", **options)
    with pytest.raises(FormatError, match="has more than colors"):
        codec.decode(with_tile(LayerTile(LOSSY, file.getvalue())))


@pytest.mark.parametrize("kind", ["clap", "deep"])
def test_properties_of_avif_that_a_layer_may_not_have_are_seen(kind):
    data = pack_lossy(WHITE, None, 50, 8, 1)
    assert all(map(avif.is_plain, avif.properties_of(data)))
    if kind == "clap":
        odd = data.replace(b"pixi", b"clap")
    else:
        at = data.index(b"av1C") + 6
        odd = data[:at] + bytes([data[at] | 0x40]) + data[at + 1 :]
    assert not all(map(avif.is_plain, avif.properties_of(odd)))


def test_avif_is_the_same_with_any_number_of_threads():
    found = {pack_lossy(picture(300, 300), None, 43, 6, n) for n in (1, 2, 4)}
    assert len(found) == 1


def test_salvaging_leaves_exact_tiles_as_they_are():
    image = picture(96, 1300)
    data = bytearray(codec.encode(image, lossless=True))
    data[-5] ^= 1  # of the second tile
    found, (fault,) = codec.salvage(bytes(data))
    assert "tile 2 of 2 is damaged" in fault
    assert np.array_equal(np.asarray(found)[:, :1024], image[:, :1024])


def test_a_mask_without_alpha_is_refused():
    colors = pack_lossy(WHITE, None, 50, 8, 1)
    (network,) = tiles(codec.encode(WHITE, content="photo"))
    tile = LayerTile(LOSSY, colors, pack_lossless(WHITE, None), network)
    with pytest.raises(FormatError, match=r"tile 1 of 1 is damaged.*has no alpha"):
        codec.decode(with_tile(tile))


def test_features_of_small_tiles(mixed):
    assert np.isfinite(codec.features(mixed[0])).all()


def test_progress_ends_with_all_where_no_network_runs():
    told = []
    data = codec.encode(text(), lossless=True, progress=told.append)
    codec.decode(data, progress=told.append)
    assert told == [1, 1]


def test_many_rows_of_tiles_come_in_their_places():
    image = np.zeros((3000, 40, 3), np.uint8)
    image[1500:] = 200
    assert np.array_equal(decoded(codec.encode(image)), image)
    part = decoded(codec.encode(image), region=(3, 1400, 20, 900))
    assert np.array_equal(part, image[1400:2300, 3:23])


def test_a_layer_that_is_cut_off_is_refused():
    for payload in (b"", b"\1", b"\1\5\0ab"):
        with pytest.raises(FormatError, match="cut off"):
            unpack_layer_tile(payload)


@pytest.mark.parametrize("tune", TUNES)
def test_a_layer_has_the_quality_of_what_the_model_is_for(tune):
    """Whatever the options say: an adapted model has no tune of its own."""
    networks = Networks(load_bundle(TUNES[tune].model_id))
    choice = Choice(
        Picture(text()), EncodeOptions(), networks, False, Stages(no_progress)
    )
    assert choice.with_layer(None).layering.tune == tune


def test_without_avif_the_encoder_goes_without(monkeypatch):
    monkeypatch.setattr("codec.coding.layering.has_avif", lambda: False)
    data = codec.encode(picture(90, 120), content="graphics")
    assert kinds(data) == [LOSSLESS]


def test_without_avif_a_decoder_says_what_is_missing(monkeypatch):
    data = codec.encode(picture(90, 120), content="graphics", quality=40)
    monkeypatch.setattr("codec.picture.avif.has_avif", lambda: False)
    with pytest.raises(codec.CodecError, match="AVIF, which this Pillow cannot read"):
        codec.decode(data)


def test_features_of_a_drawn_picture_are_near_those_of_the_networks():
    drawn = codec.features(codec.encode(page(), content="graphics", quality=90))
    alone = codec.features(codec.encode(page(), content="photo", quality=90))
    cosine = drawn @ alone / np.linalg.norm(drawn) / np.linalg.norm(alone)
    assert cosine > 0.98


def test_a_head_sees_what_a_drawn_picture_shows():
    data = codec.encode(text(), tune="psnr")
    assert kinds(data) == [LOSSLESS]
    assert codec.decode(data, head="upscale").size == (512, 320)


def test_targets_hold_with_a_layer():
    data = codec.encode(page(), content="graphics", size_bytes=20_000)
    assert len(data) <= 20_000
    assert LOSSY in kinds(data)


@pytest.mark.parametrize("other", TARGETS)
def test_lossless_excludes_a_quality(other):
    with pytest.raises(codec.UsageError, match=r"lossless and .* exclude each other"):
        codec.encode(WHITE, lossless=True, **{other: 50})


def test_other_contents_are_refused():
    with pytest.raises(codec.UsageError, match="content is 'screen'; expected auto or"):
        codec.encode(WHITE, content="screen")
    with pytest.raises(codec.UsageError, match="lossless and content photo"):
        codec.encode(WHITE, content="photo", lossless=True)
