"""Descriptors of pictures from their latents."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from command_line import aecodec, fails, is_refused, succeeds
from pictures import picture
from PIL import Image, ImageOps

import codec
from codec.networks import descriptors, runtime
from codec.networks import windows as win


def described(image, **options) -> np.ndarray:
    return codec.features(codec.encode(image, **options))


def test_every_picture_has_as_many(bundle):
    length = descriptors.GRID**2 * bundle.latent_channels
    for size in ((1, 1), (17, 300), (200, 130)):
        found = described(picture(*size))
        assert (found.shape, found.dtype) == ((length,), np.float32)
        assert np.isfinite(found).all()


def test_a_picture_is_nearer_to_itself_at_another_quality_than_to_others():
    rows, columns = np.indices((192, 256))
    waves = [np.sin(rows / 3), np.sin(columns / 3), np.sin((rows + columns) / 9)]
    images = [(128 + 90 * wave).astype(np.uint8) for wave in waves]
    good, poor = (
        [described(image, quality=quality) for image in images] for quality in (70, 40)
    )
    for i, sought in enumerate(poor):
        distances = [descriptors.distance(sought, other) for other in good]
        assert int(np.argmin(distances)) == i


@pytest.fixture(scope="module")
def scenes() -> list[Image.Image]:
    """Pictures of discs, light and dark, in pale colors as of photographs."""
    random = np.random.default_rng(5)
    rows, columns = np.indices((128, 192))
    made = []
    for _ in range(6):
        scene = np.full((128, 192, 3), 128, np.uint8)
        for _ in range(5):
            row, column = random.integers(0, 128), random.integers(0, 192)
            disc = (rows - row) ** 2 + (columns - column) ** 2 < 30**2
            scene[disc] = random.integers(20, 236) + random.integers(-20, 21, 3)
        made.append(Image.fromarray(scene))
    return made


@pytest.mark.parametrize(
    "copy",
    [
        lambda image: image.convert("L"),
        ImageOps.mirror,
        lambda image: ImageOps.mirror(image).convert("L"),
        lambda image: image.resize((96, 64)),
    ],
    ids=["gray", "mirrored", "gray and mirrored", "half as large"],
)
def test_a_copy_is_nearest_to_its_original(scenes, copy):
    originals = [described(image, content="photo") for image in scenes]
    for i, image in enumerate(scenes):
        sought = described(copy(image), content="photo", quality=50)
        distances = [descriptors.distance(sought, other) for other in originals]
        assert int(np.argmin(distances)) == i


def test_the_distance_is_the_same_both_ways_and_none_to_itself(scenes):
    one, other = (described(image) for image in scenes[:2])
    there, back = descriptors.distance(one, other), descriptors.distance(other, one)
    assert there == pytest.approx(back)
    assert descriptors.distance(one, one) == 0


def test_the_cells_of_the_grid_are_in_raster_order():
    image = np.full((256, 256, 3), 128, np.uint8)
    image[:128, 128:] = picture(128, 128)
    found = described(image, quality=80).reshape(4, 4, -1).mean(-1)
    assert found[:2, 2:].min() > found[2:].max()
    assert found[:2, 2:].min() > found[:2, 0].max()


def test_what_lies_beyond_the_picture_does_not_count():
    image = picture(128, 128)
    wide = np.pad(image, ((0, 0), (0, 2), (0, 0)), "edge")  # 130: a third cell begins
    assert descriptors.distance(described(image), described(wide)) < 0.6


def test_windows_change_nothing(monkeypatch):
    data = codec.encode(picture(1100, 700), quality=30)
    whole = codec.features(data)
    monkeypatch.setattr(win, "SPAN", 10)
    assert np.allclose(codec.features(data), whole, atol=1e-3)


def test_the_synthesis_does_not_run(monkeypatch, small_picture):
    data = codec.encode(small_picture)
    monkeypatch.setattr(runtime.Networks, "synthesize", None)
    codec.features(data)


def test_pool_takes_means_of_parts_that_may_overlap():
    values = np.arange(6.0)[:, None]
    assert descriptors.pool(values, 0).ravel().tolist() == [0.5, 1.5, 3.5, 4.5]
    assert descriptors.pool(values[:1], 0).ravel().tolist() == [0.0] * 4


@pytest.fixture
def files(folder) -> list[str]:
    for number, part in enumerate((slice(0, 20), slice(20, 44), slice(44, 64))):
        image = np.full((64, 64, 3), 128, np.uint8)
        image[part] = picture(64, 64)[part]
        Path(f"{number}.aec").write_bytes(codec.encode(image))
        Image.fromarray(image).save(f"{number}.png")
    return ["0.aec", "1.aec", "2.aec"]


def test_a_table_has_a_row_for_every_file(files):
    said = succeeds("features", *files, "-o", "all.npz").stderr
    assert said == "all.npz: 3 of 3 files, 5120 numbers each\n"
    succeeds("features", *files, "-o", "all.csv")
    with np.load("all.npz") as data:
        assert data["files"].tolist() == files
        features = data["features"]
    assert np.array_equal(features[1], codec.features(Path("1.aec").read_bytes()))
    with open("all.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][:3] == ["file", "0", "1"]
    assert [row[0] for row in rows[1:]] == files
    assert np.array_equal(np.array(rows[2][1:], np.float32), features[1])


def test_a_query_shows_the_nearest_first(files):
    succeeds("encode", "1.png", "-o", "query.aec", "-q", 50)
    head, *lines = succeeds("features", "--query", "query.aec", *files).stdout.split(
        "\n"
    )[:-1]
    assert head == "distance  file"
    assert lines[0].endswith("  1.aec")
    distances = [float(line.split()[0]) for line in lines]
    assert distances == sorted(distances)
    assert len(distances) == 3


def test_a_query_as_json_has_an_object_for_each_file(files):
    call = "features", "--query", "1.aec", *files, "--json"
    records = [json.loads(line) for line in succeeds(*call).stdout.splitlines()]
    assert records[0] == {"file": "1.aec", "distance": 0.0}
    assert {record["file"] for record in records} == set(files)


def test_what_is_no_file_of_ours_is_named_and_left_out(files):
    Path("bad.aec").write_bytes(b"no")
    result = aecodec("features", "bad.aec", *files, "-o", "all.npz")
    assert result.exit_code == 1
    assert result.stderr.startswith("aecodec: bad.aec: ")
    with np.load("all.npz") as data:
        assert data["files"].tolist() == files
    assert "exists" in fails("features", *files, "-o", "all.npz")


def test_files_of_another_model_are_not_compared(files):
    data = codec.encode(picture(64, 64), tune="psnr")
    Path("psnr.aec").write_bytes(data)
    result = aecodec("features", "0.aec", "psnr.aec", "-o", "all.csv")
    assert result.exit_code == 1
    assert "psnr.aec: made with another model" in result.stderr


@pytest.mark.parametrize(
    "options", [(), ("-o", "all.npz", "--query", "0.aec"), ("-o", "all.txt")]
)
def test_wrong_usage_is_told(files, options):
    assert is_refused("features", *files, *options)
    assert not Path("all.npz").exists()
