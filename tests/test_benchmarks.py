"""The benchmarks: metrics and BD-rate against known answers, and a run end to end."""

import csv
import dataclasses
import json
import math
from pathlib import Path

import click
import numpy as np
import pictures
import pytest
from click.testing import CliRunner
from PIL import Image

pytest.importorskip("scipy")
pytest.importorskip("matplotlib")

import codec
from benchmarks import (
    drawings,
    entropy,
    graphics,
    judges,
    rate_distortion,
    scaling,
    weaknesses,
)
from benchmarks.__main__ import main
from benchmarks.bd_rate import bd_rate
from benchmarks.codecs import CODECS, ImageCodec
from benchmarks.comparison import Comparison, compare, mean_percent
from benchmarks.measurement import (
    Distortion,
    Measurement,
    load_rgb,
    measure,
    measure_image,
)
from benchmarks.metrics import (
    METRICS,
    decibels,
    ms_ssim,
    psnr,
    psnr_ycbcr,
    ssimulacra2,
)
from benchmarks.results import Average, average, read_rows, write_rows
from benchmarks.scaling import mosaic
from benchmarks.tables import TABLES
from codec.coding import layering
from codec.file.container import unpack
from codec.picture import ssimulacra2 as encoded_to
from codec.training.complexity import complexities

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"
RATES = [0.1, 0.25, 0.6, 1.1, 2.3]
QUALITIES = [26.0, 29.5, 33.0, 36.0, 40.5]


def picture(width: int, height: int, seed: int) -> Image.Image:
    """A gradient under noise that is smooth over a few pixels."""
    random = np.random.default_rng(seed)
    cells = random.uniform(-60, 60, (height // 8, width // 8, 3))
    noise = cells.repeat(8, axis=0).repeat(8, axis=1)
    gradient = np.linspace(60, 190, width)[None, :, None]
    return Image.fromarray((gradient + noise).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize(("factor", "percent"), [(0.7, -30), (1, 0), (1.25, 25)])
def test_bd_rate_of_scaled_rate(factor, percent):
    rates = [factor * rate for rate in RATES]
    result = bd_rate(RATES, QUALITIES, rates, QUALITIES)
    assert result.percent == pytest.approx(percent, abs=1e-9)
    assert (result.low, result.high) == (QUALITIES[0], QUALITIES[-1])


def test_bd_rate_of_partial_overlap():
    """Along a straight line in log rate any part of the curve gives the same factor."""
    quality = np.linspace(25, 40, 6)
    rate = np.exp(0.2 * quality)
    shifted = quality[1:] + 0.7
    result = bd_rate(rate, quality, 0.7 * np.exp(0.2 * shifted), shifted)
    assert result.percent == pytest.approx(-30)
    assert (result.low, result.high) == pytest.approx((28.7, 40))


def test_bd_rate_is_symmetric():
    other_rates, other_qualities = [0.08, 0.3, 0.9, 2.0], [25.0, 31.0, 36.5, 41.0]
    forward = bd_rate(RATES, QUALITIES, other_rates, other_qualities).percent
    backward = bd_rate(other_rates, other_qualities, RATES, QUALITIES).percent
    assert (1 + forward / 100) * (1 + backward / 100) == pytest.approx(1)


def test_bd_rate_takes_points_in_any_order_and_drops_those_not_increasing():
    rates, qualities = [*RATES[::-1], 0.7, 0.25], [*QUALITIES[::-1], 30.0, 29.5]
    result = bd_rate(RATES, QUALITIES, rates, qualities)
    assert result.percent == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("rates", "qualities", "message"),
    [
        (RATES, [quality + 30 for quality in QUALITIES], "in common"),
        ([0.1, 0.2], [30.0, 29.0], "two points"),
        ([0.1, 0.2], [30.0, math.nan], "finite"),
        ([0.0, 0.2], [30.0, 31.0], "above zero"),
    ],
)
def test_bd_rate_refuses(rates, qualities, message):
    with pytest.raises(ValueError, match=message):
        bd_rate(RATES, QUALITIES, rates, qualities)


def test_psnr_of_known_error():
    image = np.full((20, 30, 3), 100, np.uint8)
    assert psnr(image, image) == math.inf
    assert psnr(image, image + 1) == pytest.approx(20 * math.log10(255))
    other = image.copy()
    other[..., 0] = 97  # MSE 9 / 3
    assert psnr(image, other) == pytest.approx(10 * math.log10(255**2 / 3))


def test_bd_rate_between_two_qualities():
    rates = [0.5 * RATES[0], *RATES[1:]]
    assert bd_rate(RATES, QUALITIES, rates, QUALITIES).percent < -5
    result = bd_rate(RATES, QUALITIES, rates, QUALITIES, (33, 99))
    assert result.percent == pytest.approx(0, abs=1e-9)
    assert (result.low, result.high) == (33, QUALITIES[-1])


def test_psnr_of_ycbcr_weighs_luma_most():
    gray = np.full((16, 16, 3), 100, np.uint8)
    assert psnr_ycbcr(gray, gray) == math.inf
    lighter, redder = gray + np.uint8(8), gray.copy()
    redder[..., 0] += 24
    assert psnr_ycbcr(gray, redder) > psnr(gray, redder)
    assert math.isinf(psnr_ycbcr(gray, lighter))  # chroma is the same


def test_ssimulacra2_falls_with_the_error():
    image = np.asarray(picture(64, 64, 0))
    noise = np.random.default_rng(0).normal(0, 1, image.shape)
    scores = [
        ssimulacra2(image, (image + level * noise).clip(0, 255).astype(np.uint8))
        for level in (0, 5, 20)
    ]
    assert scores[0] == pytest.approx(100, abs=0.5)
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("size", [(225, 256), (304, 233), (257, 264)])
@pytest.mark.parametrize("step", [2, 12, 40])
def test_the_score_that_files_are_encoded_to_is_that_of_the_package(size, step):
    height, width = size
    image = np.asarray(picture(304, 264, 0))[:height, :width]
    other = image // step * step
    found = encoded_to.ssimulacra2(image, other)
    assert found == pytest.approx(ssimulacra2(image, other), abs=0.01)


def test_every_metric_has_a_column():
    assert list(METRICS) == [field.name for field in dataclasses.fields(Distortion)]


@pytest.mark.parametrize("name", ["cvvdp", "butteraugli"])
def test_a_judge_likes_a_picture_less_the_more_it_is_changed(name):
    judge = METRICS[name]
    if judge.version is None:
        pytest.skip("needs `pip install aecodec[judges]` or butteraugli_main")
    image = np.asarray(picture(128, 128, 0))
    noise = np.random.default_rng(0).normal(0, 1, image.shape)
    values = [
        judge.even(
            judge.measure(image, (image + level * noise).clip(0, 255).astype(np.uint8))
        )
        for level in (0, 5, 20)
    ]
    assert values == sorted(set(values), reverse=True)


def test_ms_ssim_limits():
    image = np.asarray(picture(176, 184, 0))
    assert ms_ssim(image, image) == pytest.approx(1)
    assert ms_ssim(image, 255 - image) == 0
    assert math.isnan(ms_ssim(image[:175], image[:175]))


def test_decibels():
    assert decibels(0.99) == pytest.approx(20)
    assert decibels(1) == math.inf
    assert math.isnan(decibels(math.nan))


@pytest.mark.parametrize("size", [(256, 192), (203, 181)])
@pytest.mark.parametrize("deviation", [4, 40])
def test_ms_ssim_is_that_of_tensorflow(size, deviation):
    tensorflow = pytest.importorskip("tensorflow")
    image = np.asarray(picture(256, 192, 1).resize(size))
    noise = np.random.default_rng(2).normal(0, deviation, image.shape)
    other = (image + noise).clip(0, 255).astype(np.uint8)
    expected = tensorflow.image.ssim_multiscale(image[None], other[None], 255)[0]
    assert ms_ssim(image, other) == pytest.approx(float(expected), abs=1e-5)


def test_wrong_size_does_not_count():
    cropped = dataclasses.replace(CODECS["jpeg"], decode=lambda _: picture(8, 8, 0))
    with pytest.raises(ValueError, match=r"jpeg at quality 5 decodes to \(8, 8\)"):
        measure(picture(16, 16, 0), "a.png", cropped, 5)


def test_metadata_is_left_out(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: rotate by 90 degrees
    picture(64, 32, 0).save(tmp_path / "a.png", exif=exif, icc_profile=b"profile")
    image = load_rgb(tmp_path / "a.png")
    assert (image.size, image.mode, image.info) == ((32, 64), "RGB", {})


def few_qualities(codec: ImageCodec) -> ImageCodec:
    return dataclasses.replace(codec, qualities=(10, 50, 90))


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "tiny"
    folder.mkdir()
    for number in range(2):
        picture(256, 192, number).save(folder / f"{number}.png")
    (folder / "notes.txt").write_text("not an image")
    return folder


def run(*arguments):
    return CliRunner().invoke(main, ["rate-distortion", *map(str, arguments)])


@pytest.mark.parametrize("jobs", [1, 2])
def test_run_end_to_end(folder, tmp_path, monkeypatch, jobs):
    codecs = {name: few_qualities(codec) for name, codec in CODECS.items()}
    monkeypatch.setattr(rate_distortion, "CODECS", codecs)
    output = tmp_path / "results"
    result = run(folder, "-o", output, "--jobs", jobs)
    assert result.exit_code == 0, result.output

    with (output / "tiny.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["image"], row["codec"], row["quality"]) for row in rows] == [
        (image, codec, quality)
        for image in ("0.png", "1.png")
        for codec in ("aecodec", "jpeg")
        for quality in ("10", "50", "90")
    ]
    for row in rows:
        assert (row["width"], row["height"]) == ("256", "192")
        bpp = 8 * int(row["bytes"]) / (256 * 192)
        assert float(row["bpp"]) == pytest.approx(bpp, abs=1e-6)
        assert 10 < float(row["psnr"]) < 60
        assert 10 < float(row["psnr_ycbcr"]) < 60
        assert 0 < float(row["ms_ssim"]) < 1
        assert -100 < float(row["ssimulacra2"]) < 100

    with (output / "tiny_summary.csv").open() as file:
        summary = list(csv.DictReader(file))
    assert len(summary) == 6
    for column in ("bpp", "psnr", "psnr_ycbcr", "ms_ssim"):
        values = [float(row[column]) for row in rows[0::6]]  # aecodec at 10
        assert float(summary[0][column]) == pytest.approx(sum(values) / 2, abs=1e-4)

    versions = json.loads((output / "tiny_versions.json").read_text())
    assert versions["codecs"]["jpeg"]["qualities"] == [10, 50, 90]
    assert versions["images"] == 2
    with Image.open(output / "tiny.png") as plot:
        assert plot.format == "PNG" and plot.width > 1000
    here = [name for name, metric in METRICS.items() if metric.version is not None]
    assert result.stdout.count("against jpeg") == len(here)
    assert "4/4" in result.stderr

    comparisons = read_rows(output / "tiny_bd_rates.csv", Comparison)
    assert [row.metric for row in comparisons] == here
    for row in comparisons:
        assert row.codec == "aecodec"
        np.testing.assert_equal(row.common_percent, row.percent)  # no third codec
    assert comparisons[0].image_least <= comparisons[0].image_median


def test_no_bd_rates_of_other_measurements_stay(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(
        rate_distortion, "CODECS", {"jpeg": few_qualities(CODECS["jpeg"])}
    )
    bd_rates = tmp_path / "tiny_bd_rates.csv"
    bd_rates.write_text("of an older model\n")
    assert run(folder, "-o", tmp_path, "--codec", "jpeg").exit_code == 0
    assert not bd_rates.exists()


def test_a_judge_that_does_not_run_is_not_there(tmp_path, monkeypatch):
    program = tmp_path / judges.BUTTERAUGLI
    program.write_text("#!/bin/sh\nexit 127\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert judges.butteraugli_version() is None


def test_results_with_a_metric_that_cannot_be_measured_here_are_left_alone(
    folder, tmp_path, monkeypatch
):
    few = {"jpeg": few_qualities(CODECS["jpeg"])}
    monkeypatch.setattr(rate_distortion, "CODECS", few)
    output = tmp_path / "results"
    assert run(folder, "-o", output).exit_code == 0
    versions = output / "tiny_versions.json"
    facts = json.loads(versions.read_text())
    facts["codecs"]["jpeg"]["measured_by"]["vmaf"] = "3"
    versions.write_text(json.dumps(facts))
    before = (output / "tiny.csv").read_text()
    result = run(folder, "-o", output)
    assert result.exit_code == 2
    assert "has vmaf, which cannot be measured here" in " ".join(result.output.split())
    assert (output / "tiny.csv").read_text() == before


def test_a_run_goes_on_with_what_is_missing_or_has_changed(
    folder, tmp_path, monkeypatch
):
    few = {
        name: dataclasses.replace(CODECS[name], qualities=(10, 90))
        for name in ("aecodec", "jpeg")
    }
    measured = []

    def measure_images(tasks, jobs):
        measured.append([(path.name, codec.name) for path, codec in tasks])
        return (measure_image(*task) for task in tasks)

    monkeypatch.setattr(rate_distortion, "measure_images", measure_images)
    monkeypatch.setattr(rate_distortion, "CODECS", few)
    everything = [(f"{i}.png", name) for i in (0, 1) for name in few]

    def rows():
        assert run(folder, "-o", tmp_path / "results").exit_code == 0
        return (tmp_path / "results" / "tiny.csv").read_text()

    first = rows()
    assert rows() == first
    assert measured == [everything, []]
    lines = first.splitlines(keepends=True)
    (tmp_path / "results" / "tiny.csv").write_text("".join(lines[:3]))  # stopped
    assert rows() == first
    assert measured[-1] == everything[1:]
    few["jpeg"] = dataclasses.replace(few["jpeg"], version="another")
    monkeypatch.setattr(rate_distortion, "measure_images", stopped)
    assert run(folder, "-o", tmp_path / "results").exit_code == 1
    monkeypatch.setattr(rate_distortion, "measure_images", measure_images)
    assert rows() == first
    assert measured[-1] == [("0.png", "jpeg"), ("1.png", "jpeg")]
    assert run(folder, "-o", tmp_path / "results", "--codec", "jpeg").exit_code == 0
    assert rows() == first  # the other codec's rows were kept
    assert measured[-2:] == [[], []]
    (folder / "1.png").unlink()
    assert len(rows().splitlines()) == 1 + 4


def stopped(tasks, jobs):
    raise KeyboardInterrupt


def curve(image: str, codec: str, rate: float, top: float) -> list[Measurement]:
    return [
        Measurement(image, codec, q, 8, 8, 1, rate * q, top - 10 + q, 30, 0.9, 50)
        for q in (1.0, 5.0, 10.0)
    ]


def test_a_codec_without_a_curve_leaves_no_common_range():
    rows = curve("a", "jpeg", 1, 40) + curve("a", "webp", 0.5, 40)
    rows += [dataclasses.replace(row, psnr=30.0) for row in curve("a", "avif", 1, 40)]
    found = {row.codec: row for row in compare(average(rows), rows)[:2]}
    assert found["webp"].percent == pytest.approx(-50)
    assert math.isnan(found["webp"].common_percent)
    assert math.isnan(found["avif"].percent)


def test_images_without_a_bd_rate_do_not_spoil_the_others():
    rows = curve("a", "jpeg", 1, 40) + curve("a", "webp", 0.5, 60)  # nothing in common
    rows += curve("b", "jpeg", 1, 40) + curve("b", "webp", 0.8, 40)
    (row, *_) = compare(average(rows), rows)
    assert row.image_median == row.image_least == row.image_most
    assert row.image_median == pytest.approx(-20)


def test_the_mean_of_half_and_twice_the_rate_is_none():
    assert mean_percent([-50, 100]) == pytest.approx(0)
    assert mean_percent([-20]) == pytest.approx(-20)


@pytest.mark.parametrize(
    ("tune", "ours", "metric"),
    [("visual", "aecodec", "ssimulacra2"), ("psnr", "aecodec-psnr", "psnr")],
)
def test_layers_have_the_quality_of_the_photographs_around_them(tune, ours, metric):
    """By what AVIF and we reach on the Kodak images."""
    rows = read_rows(RESULTS / "kodak_summary.csv", Average)
    here, avif = (
        {row.quality: getattr(row, metric) for row in rows if row.codec == name}
        for name in (ours, "avif")
    )
    same = np.interp(
        [here[quality] for quality in layering.QUALITIES],
        list(avif.values()),
        list(avif),
    )
    assert np.abs(same - layering.AVIF_QUALITY[tune]).max() < 1


def test_results_are_replaced_as_a_whole(tmp_path):
    path = tmp_path / "a.csv"
    write_rows(path, Measurement, curve("a", "jpeg", 1, 40))
    before = path.read_text()

    def failing():
        yield from curve("a", "jpeg", 1, 40)[:1]
        raise ValueError

    with pytest.raises(ValueError):
        write_rows(path, Measurement, failing())
    assert path.read_text() == before
    assert len(read_rows(path, Measurement)) == 3
    with pytest.raises(click.UsageError, match="other columns"):
        read_rows(path, Average)


def test_folder_without_images(tmp_path):
    result = run(tmp_path, "-o", tmp_path)
    assert result.exit_code == 2 and "no images" in result.output


def test_codec_that_pillow_lacks(folder, tmp_path, monkeypatch):
    missing = dataclasses.replace(CODECS["webp"], pillow_format="NONE")
    monkeypatch.setitem(rate_distortion.CODECS, "webp", missing)
    result = run(folder, "-o", tmp_path, "--codec", "webp")
    assert result.exit_code == 2 and "cannot write NONE" in result.output


def test_scaling_measures_every_size_and_shape_and_plots(tmp_path, monkeypatch):
    picture(320, 200, seed=1).save(tmp_path / "a.png")
    monkeypatch.setattr(scaling, "SHAPES", ((330, 10), (10, 330)))
    arguments = ["scaling", str(tmp_path), "-o", str(tmp_path / "out")]
    arguments += ["--megapixels", "0.6", "--megapixels", "0.7"]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    with (tmp_path / "out" / "scaling.csv").open(newline="") as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    assert [row["megapixels"] for row in rows] == [0.6, 0.7]
    for row in rows:
        assert all(value > 0 for value in row.values())
        assert row["decode_peak_mib"] > row["pixels_mib"]
    with (tmp_path / "out" / "scaling_shapes.csv").open(newline="") as file:
        shapes = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    assert [(row["width"], row["height"]) for row in shapes] == [(330, 10), (10, 330)]
    assert all(value > 0 for row in shapes for value in row.values())
    with Image.open(tmp_path / "out" / "scaling.png") as image:
        assert image.format == "PNG"


def test_speed_measures_all_codecs_in_turn(tmp_path):
    photograph = Image.fromarray(pictures.picture(200, 320))
    photograph.save(tmp_path / "a.png")
    arguments = ["speed", str(tmp_path), "-o", str(tmp_path / "out"), "--rounds", "1"]
    arguments += ["--megapixels", "0.1"]
    for name in ("aecodec", "jpeg", "webp"):
        arguments += ["--codec", name]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output

    def rows(name: str) -> list[dict[str, str]]:
        with (tmp_path / "out" / name).open(newline="") as file:
            return list(csv.DictReader(file))

    speeds = rows("speed.csv")
    assert [(row["codec"], row["threads"]) for row in speeds] == [
        (name, threads) for threads in "12" for name in ("aecodec", "jpeg", "webp")
    ]
    assert {float(row["encode_ratio"]) for row in speeds[::3]} == {1.0}
    ours, jpeg = speeds[0], speeds[1]
    expected = float(ours["encode_mp_s"]) / float(jpeg["encode_mp_s"])
    assert float(jpeg["encode_ratio"]) == pytest.approx(expected, rel=0.01)
    assert all(float(row["decode_peak_mib"]) > 1 for row in speeds)
    stages = {(row["direction"], row["stage"]) for row in rows("speed_stages.csv")}
    assert ("encode", "analysis") in stages
    assert ("decode", "synthesis") in stages
    assert ("decode", "analysis") not in stages
    commands = [row["command"] for row in rows("speed_start_up.csv")]
    assert commands == ["--help", "encode", "info", "decode"]


def test_the_shipped_model_keeps_its_limits(bundle):
    rows = {row.part: row for row in complexities(bundle)}
    assert 12 < rows["whole decode"].kmac_per_pixel <= 16
    assert 12 < rows["whole encode"].kmac_per_pixel <= 16
    assert rows["bundle"].bytes <= 16e6
    assert rows["scales"].kmac_per_pixel > 0.1


@pytest.mark.parametrize("coder", entropy.CODERS)
def test_entropy_coders_give_the_symbols_back_near_the_ideal(coder, bundle):
    if coder.startswith("tensorflow"):
        pytest.importorskip("tensorflow_compression_ops")
    data = codec.encode(np.asarray(picture(256, 192, 0)), quality=80)
    symbols = entropy.residuals(data, bundle)
    tables = bundle.residual_tables
    row = entropy.measured(coder, 80, symbols, tables, 1)
    assert row.symbols == len(symbols[0]) > 1000
    assert abs(row.overhead_percent) < 1


def test_the_symbols_of_a_file_are_those_of_its_tiles(bundle):
    """The scale network sees zeros outside a tile."""
    data = codec.encode(np.asarray(picture(1096, 64, 0)), quality=60, content="photo")
    values, index = entropy.residuals(data, bundle)
    payloads = [unpack(data).payload(number) for number in (0, 1)]
    bits = bundle.residual_tables.bits(values, index)
    assert bits < 8 * sum(map(len, payloads)) < 1.1 * bits + 2000


def test_weaknesses_compare_every_kind(folder, tmp_path, monkeypatch):
    few = {name: few_qualities(CODECS[name]) for name in weaknesses.NAMES}
    monkeypatch.setattr(weaknesses, "CODECS", few)
    kinds = {"text on white": drawings.text}
    monkeypatch.setattr(weaknesses, "KINDS", kinds)
    arguments = ["weaknesses", str(folder), "-o", str(tmp_path)]
    assert CliRunner().invoke(main, arguments).exit_code == 2  # no kodak.csv
    photographs = [
        Measurement("a.png", name, q, 8, 8, 1, q / 10, 32 + q, 40, 0.9, 50)
        for name in weaknesses.NAMES
        for q in (2, 5, 8)
    ]
    write_rows(tmp_path / "kodak.csv", Measurement, photographs)
    versions = {name: {"version": entry.version} for name, entry in few.items()}
    facts = {"codecs": versions | {"avif": {"version": "another"}}}
    (tmp_path / "kodak_versions.json").write_text(json.dumps(facts))
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "kodak of avif," in result.output
    (tmp_path / "kodak_versions.json").write_text(json.dumps({"codecs": versions}))
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    with (tmp_path / "weaknesses.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {float(row["percent"]) for row in rows[-3:]} == {0}
    assert {float(row["low"]) for row in rows[-3:]} == {36}
    assert [row["codec"] for row in rows] == 3 * ["aecodec-psnr", "webp", "avif"]
    assert [row["kind"] for row in rows[::3]] == [
        "text on white",
        "photographs of 32 x 32 pixels",
        "photographs over 36 dB",
    ]


def test_an_exact_file_is_compared_with_the_largest_jpeg():
    rows = curve("a", "jpeg", 1, 40) + curve("a", "avif", 1, 40)
    rows += curve("a", "aecodec-psnr", 0.5, 40) + curve("a", "webp", 0.5, 40)
    for row in curve("b", "webp", 0.2, 40):  # all are exact
        rows.append(dataclasses.replace(row, image="a", quality=20, psnr=math.inf))
    ours, webp, avif = weaknesses.compared("text", rows)
    assert (ours.percent, avif.percent) == pytest.approx((-50, 0))
    assert math.isnan(ours.exact_percent)
    assert webp.percent == pytest.approx(-50)  # of those that are not exact
    assert webp.exact_percent < 0


@pytest.mark.parametrize("kind", weaknesses.KINDS)
def test_a_made_picture_is_the_same_every_time(kind):
    one, two = (np.asarray(weaknesses.KINDS[kind]()) for _ in range(2))
    assert one.shape == (384, 512, 3)
    assert np.array_equal(one, two)


def test_a_page_holds_its_photograph():
    photograph = picture(320, 200, 0)
    page = np.asarray(drawings.page(photograph))
    assert page.shape == (600, 384, 3)
    assert np.array_equal(page[200:400, 32:352], np.asarray(photograph))
    assert (page[:200] == 0).any() and (page[400:] == 0).any()


@pytest.mark.parametrize("name", ["aecodec-lossless", *graphics.LOSSLESS])
def test_lossless_codecs_are_exact(name):
    if not CODECS[name].available:
        pytest.skip("needs a package for this format")
    row = graphics.measure(picture(64, 48, 0), "a", CODECS[name], 100)
    assert (row.exact, row.psnr, row.ssimulacra2) == (1, math.inf, 100)


def drawing(codec: str, size: int, score: float, exact: float = 0.5):
    return graphics.Drawing("a", codec, 1, 8, 8, size, size / 8, 30, score, exact)


def test_lossy_files_are_compared_by_score_and_exact_ones_by_size():
    rows = [drawing("avif-fast", 100, 50), drawing("avif-fast", 400, 90)]
    rows += [drawing("aecodec", 80, 50), drawing("aecodec", 320, 90)]
    rows += [drawing("aecodec", 500, 100, 1), drawing("aecodec", 550, 100, 1)]
    rows += [drawing("jpeg", 100, 20), drawing("jpeg", 400, 40)]
    rows += [drawing("png", 1000, 100, 1), drawing("aecodec-lossless", 400, 100, 1)]
    found = {(row.ours, row.codec): row for row in graphics.advantages(rows)}
    assert len(found) == 4
    lossy = found["aecodec", "avif-fast"]
    assert lossy.percent == pytest.approx(-20)
    assert (lossy.low, lossy.high) == (50, 90)
    assert math.isnan(found["aecodec", "jpeg"].percent)  # no score in common
    assert found["aecodec", "png"].percent == pytest.approx(-50)
    assert found["aecodec-lossless", "png"].percent == pytest.approx(-60)


def test_graphics_are_measured_and_tabulated(tmp_path, monkeypatch):
    if not CODECS["avif-fast"].available:
        pytest.skip("needs a Pillow with AVIF")
    screen = Image.new("RGB", (96, 64), "white")
    screen.paste(picture(48, 32, 0), (24, 16))
    screen.save(tmp_path / "screen.png")
    picture(64, 64, 1).save(tmp_path / "photograph.jpg")
    monkeypatch.setattr(
        graphics, "DRAWN", {"sprite": lambda: screen.crop((0, 0, 9, 9))}
    )
    monkeypatch.setattr(graphics, "QUALITIES", (20, 80))
    monkeypatch.setattr(graphics, "LOSSY", ("avif-fast", "jpeg"))
    monkeypatch.setattr(graphics, "LOSSLESS", ("png", "webp-lossless"))
    folder = tmp_path / "screens"
    folder.mkdir()
    screen.save(folder / "screen.png")
    arguments = ["graphics", folder, "-o", tmp_path]
    arguments += ["--photograph", tmp_path / "photograph.jpg"]
    result = CliRunner().invoke(main, map(str, arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    rows = read_rows(tmp_path / "graphics.csv", graphics.Drawing)
    names = ["screen.png", "sprite", "page with photograph.jpg"]
    assert list(dict.fromkeys(row.image for row in rows)) == names
    assert len(rows) == 3 * (3 * 2 + 3)
    for row in rows:
        assert 0 <= row.exact <= 1
        assert (row.exact == 1) == (row.ssimulacra2 == 100) == math.isinf(row.psnr)
    summary = read_rows(tmp_path / "graphics_summary.csv", graphics.Advantage)
    assert len(summary) == 3 * (2 + 2 * 2)
    lines = TABLES["graphics-pictures"](tmp_path).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [f"| {n}" for n in names]
    assert " | 20 | " in lines[3]  # one color
    assert "| **aecodec** | JPEG: 4:2:0" in TABLES["graphics"](tmp_path)
    with Image.open(tmp_path / "graphics.png") as plot:
        assert plot.format == "PNG"


def test_a_mosaic_is_filled_with_the_images(tmp_path):
    picture(320, 200, seed=1).save(tmp_path / "a.png")
    found = mosaic([tmp_path / "a.png"], 0.5)
    assert found.shape == (500, 1000, 3)
    tile = np.asarray(picture(320, 200, seed=1))
    assert np.array_equal(found[400:500, 640:960], tile[:100])
