"""Benchmarks of small decodes and of trees of files, end to end."""

import csv
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from pictures import picture
from PIL import Image

pytest.importorskip("scipy")
pytest.importorskip("matplotlib")

import codec
from benchmarks import (
    adaptation,
    crowd,
    example,
    features,
    folders,
    heads,
    previews,
    profile,
    refusals,
    search,
)
from benchmarks.__main__ import main
from benchmarks.tables import TABLES
from codec.networks.adaptation import pack_model
from codec.networks.fingerprints import PART_LENGTH
from codec.networks.heads import HEADS
from codec.networks.shipped import DEFAULT_MODEL_ID, model_name


def csv_of(path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_previews_are_compared_with_the_whole_at_every_scale(tmp_path, monkeypatch):
    Image.fromarray(picture(200, 320)).save(tmp_path / "a.png")
    monkeypatch.setattr(previews, "MEGAPIXELS", 0.1)
    arguments = ["previews", str(tmp_path), "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    rows = csv_of(tmp_path / "out" / "previews.csv")
    assert [row["factor"] for row in rows] == 6 * ["1", "2", "4", "8"]
    assert {row["decoded_psnr"] for row in rows[::4]} == {"inf"}
    assert all(float(row["decoded_psnr"]) > 25 for row in rows)
    assert all(float(row["seconds"]) > 0 for row in rows)


def test_stages_are_compared_with_the_peaks_of_the_machine(tmp_path, monkeypatch):
    Image.fromarray(picture(200, 320)).save(tmp_path / "a.png")
    monkeypatch.setattr(profile, "MEGAPIXELS", 0.1)
    monkeypatch.setattr(profile, "ROUNDS", 1)
    peak = profile.Peak("all", 100.0, 200.0, 400.0, 10.0)
    monkeypatch.setattr(profile, "peaks", lambda: [peak])
    monkeypatch.setattr(profile, "on_cores", lambda threads, call, *args: call(*args))
    arguments = ["profile", str(tmp_path), "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    rows = csv_of(tmp_path / "out" / "profile.csv")
    found = {(r["direction"], r["setting"], r["stage"]): r for r in rows}
    exact = found["encode", "exact", "analysis"]
    assert (
        exact["kmac_per_pixel"] == found["encode", "fast", "analysis"]["kmac_per_pixel"]
    )
    for key, arithmetic, limit in (("exact", "float32", 100), ("fast", "int8", 400)):
        row = found["decode", key, "synthesis"]
        assert row["arithmetic"] == arithmetic
        share = float(row["gmac_s"]) / limit
        assert float(row["peak_share"]) == pytest.approx(share, rel=0.01)


def test_an_example_shows_files_of_the_same_size_alone(tmp_path, monkeypatch):
    path, output = tmp_path / "a.png", tmp_path / "example.webp"
    Image.fromarray(picture(96, 96)).save(path)
    arguments = ["example", str(path), "-o", str(output)]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 2
    assert "sizes are too far apart" in result.output
    assert not output.exists()
    monkeypatch.setattr(example, "NEAR", 100)
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    with Image.open(output) as image:
        assert image.width == 2 * 96 + example.GAP_PX


@pytest.mark.skipif(sys.platform != "linux", reason="kills a worker, by /proc")
def test_trees_are_encoded_right_whatever_happens_to_a_worker(tmp_path, monkeypatch):
    pytest.importorskip("ray")
    call = folders.call  # slow and with few workers, so that one is there to be killed
    slow = ("--tune", "psnr", "-e", "7", "-j", "2")

    def called(command: str, *others: object) -> list[str]:
        return call(command, *others, *(slow if command != "decode" else ()))

    monkeypatch.setattr(folders, "call", called)
    Image.fromarray(picture(300, 320)).save(tmp_path / "a.png")
    arguments = ["folders", str(tmp_path), "-o", str(tmp_path / "out"), "--files", "6"]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    rows = csv_of(tmp_path / "out" / "folders.csv")
    assert [row["command"] for row in rows] == [*folders.COMMANDS, *folders.SQUARES]
    assert {row["wrong"] for row in rows} == {"0"}


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_service_is_asked_by_many(tmp_path):
    pytest.importorskip("starlette")
    Image.fromarray(picture(400, 400)).save(tmp_path / "a.png")
    arguments = ["service", str(tmp_path), "-o", str(tmp_path), "--clients", "4"]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    rows = csv_of(tmp_path / "service.csv")
    assert [int(row["requests"]) for row in rows] == 4 * [50, 12]
    assert {row["errors"] for row in rows} == {"0"}
    for row in rows:
        assert 0 < float(row["p50_s"]) <= float(row["p99_s"]) <= float(row["seconds"])


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_service_is_asked_in_a_crowd(tmp_path, monkeypatch):
    pytest.importorskip("starlette")
    Image.fromarray(picture(400, 400)).save(tmp_path / "a.png")
    all_of = crowd.clients_of
    few = {"idle": 20, "slow": 20, "busy": 4, "thumbnail": 2, "health": 1}

    def clients_of(names):
        return {kind: (few[kind], of) for kind, (_, of) in all_of(names).items()}

    monkeypatch.setattr(crowd, "clients_of", clients_of)
    arguments = ["crowd", str(tmp_path), "-o", str(tmp_path), "--seconds", "5"]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    rows = {row["kind"]: row for row in csv_of(tmp_path / "crowd.csv")}
    assert {kind: int(row["clients"]) for kind, row in rows.items()} == few
    assert {row["errors"] for row in rows.values()} == {"0"}
    assert int(rows["health"]["answered"]) > 0


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_bad_files_are_refused_and_measured(tmp_path, monkeypatch):
    names = (refusals.GOOD, "PostScript", "5,000 extended headers", "noise as .aec")
    chosen = {name: refusals.cases()[name] for name in names}
    monkeypatch.setattr(refusals, "cases", lambda: chosen)
    arguments = ["refusals", "-o", str(tmp_path)]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    rows = csv_of(tmp_path / "refusals.csv")
    assert [row["input"] for row in rows] == list(names)
    assert [row["exit_code"] for row in rows] == ["0", "1", "1", "1"]
    assert rows[1]["line"].startswith("aecodec: ghost.jpg: not an image")
    assert all(1 < float(row["peak_mib"]) < 200 for row in rows)
    assert TABLES["refusals"](tmp_path).count("\n") == 2 + len(names)


def test_a_wrong_output_counts(tmp_path):
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    for name in ("good", "missing", "cut", "other"):
        Image.fromarray(picture(30, 40)).save(tmp_path / "in" / f"{name}.png")
    data = codec.encode(picture(30, 40))
    (tmp_path / "out" / "good.png.aec").write_bytes(data)
    (tmp_path / "out" / "cut.png.aec").write_bytes(data[:-1])
    other = codec.encode(Image.new("RGB", (40, 30)))
    (tmp_path / "out" / "other.png.aec").write_bytes(other)
    assert folders.wrong_outputs(tmp_path / "in", tmp_path / "out") == 3


def write_two_kinds(folder):
    """20 pictures and labels.csv."""
    rows = ["file,kind"]
    for number in range(20):
        name, smooth = f"{number}.png", number % 2 == 0
        image = Image.fromarray(picture(64, 64, number)).convert("L")
        (image.reduce(16).resize((64, 64)) if smooth else image).save(folder / name)
        rows.append(f"{name},{'smooth' if smooth else 'rough'}")
    (folder / "labels.csv").write_text("\n".join(rows))


def test_an_adapted_model_is_compared_with_its_base(tmp_path, monkeypatch, refinable):
    pytest.importorskip("sklearn")
    write_two_kinds(tmp_path)

    def adapt(paths, file, steps):
        assert (len(paths), steps) == (14, 2)
        file.write_bytes(pack_model(refinable, {}))

    monkeypatch.setattr(adaptation, "adapt", adapt)
    monkeypatch.setattr(adaptation, "HELD_OUT_SHARE", 0.3)
    monkeypatch.setattr(adaptation, "QUALITIES", (20, 60))
    out = tmp_path / "out"
    arguments = ["adaptation", str(tmp_path), "-o", str(out), "--steps", "2"]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    rows = csv_of(out / "adaptation.csv")
    assert [row["model"] for row in rows] == ["base", "base", "adapted", "adapted"]
    for base, adapted in zip(rows[:2], rows[2:], strict=True):
        assert (base["bpp"], base["psnr"]) == (adapted["bpp"], adapted["psnr"])
    assert f"| {tmp_path.name} | 14, 6 | 0.0 % |" in TABLES["adaptation"](out)
    moved = csv_of(out / "adaptation_features.csv")
    assert len(moved) == len(adaptation.DEGRADATIONS) * (1 + len(adaptation.ALIGNMENTS))
    assert {row["accuracy"] for row in moved if row["domain"] == "clean"} == {"1.0000"}
    assert "| clean | 100.0% | 100.0% |" in TABLES["transfer"](out)


def test_pictures_of_two_kinds_are_told_apart(tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    pytest.importorskip("skimage")
    write_two_kinds(tmp_path)
    monkeypatch.setattr(features, "QUALITIES", (60,))
    monkeypatch.setattr(features, "PCA_PARTS", 5)
    arguments = ["features", str(tmp_path), "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found = csv_of(tmp_path / "out" / "features.csv")
    assert [row["method"] for row in found] == list(features.METHODS)
    assert float(found[0]["accuracy"]) > 0.9
    assert all(float(row["milliseconds"]) > 0 for row in found)


def test_changed_copies_are_searched_for(tmp_path, monkeypatch):
    for number in range(4):
        image = picture(160, 192, number)
        image[:, 40 * number : 40 * number + 30] = 50 * number
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    for name, value in {"QUERIES": 2, "FITTED": 2, "SIZES": (300,), "TRIES": 2}.items():
        monkeypatch.setattr(search, name, value)
    out, target = tmp_path / "out", tmp_path / "made" / "projection.npz"
    arguments = ["search", str(tmp_path), "-o", str(out), "--fit", str(target)]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    rows = csv_of(out / "search.csv")
    assert [row["copies"] for row in rows] == list(search.COPIES)
    assert {(row["pictures"], row["queries"]) for row in rows} == {("4", "2")}
    assert all(float(row["first"]) <= float(row["first_five"]) == 1 for row in rows)
    (speed,) = csv_of(out / "search_speed.csv")
    assert 512 < float(speed["bytes_each"]) < 1500
    assert TABLES["search"](out).count("\n") == 2 + len(rows)
    assert "| 300 |" in TABLES["search-speed"](out)
    with np.load(target) as made:
        assert made["matrix"].shape == (320, PART_LENGTH)


def test_every_head_is_compared_on_every_harm(tmp_path):
    pytest.importorskip("cv2")
    pytest.importorskip("pywt")
    Image.fromarray(picture(192, 192)).save(tmp_path / "a.png")
    arguments = ["heads", str(tmp_path), "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    rows = csv_of(tmp_path / "out" / "heads.csv")
    assert {row["use"] for row in rows} == set(HEADS)
    ours = [row for row in rows if row["method"] == heads.OURS]
    assert len(ours) == 2 * len({row["harm"] for row in rows if row["harm"]})
    assert all(float(row["psnr"]) > 10 for row in rows)


def test_gray_has_no_colorfulness_and_red_against_cyan_much():
    gray = np.full((8, 8, 3), 77, np.uint8)
    assert heads.colorfulness(gray) == 0
    colors = np.zeros((2, 1, 3), np.uint8)
    colors[0, 0, 0] = colors[1, 0, 1] = colors[1, 0, 2] = 200
    # red - green is 200 and -200, yellow - blue 100 and -100: no mean, spread only
    assert heads.colorfulness(colors) == pytest.approx(np.hypot(200, 100))


@pytest.mark.skipif(sys.platform != "linux", reason="sets the cores of a process")
def test_a_browser_is_timed(tmp_path):
    Image.fromarray(picture(200, 320)).save(tmp_path / "a.png")
    arguments = ["browser", str(tmp_path), "-o", str(tmp_path), "--rounds", "1"]
    arguments += ["--megapixels", "0.1"]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    if "needs `pip install" in result.output:
        pytest.skip(result.output)
    assert result.exit_code == 0, result.output
    rows = csv_of(tmp_path / "browser.csv")
    assert [row["codec"] for row in rows] == 2 * ["aecodec", "avif-fast"]
    assert [row["cores"] for row in rows] == ["1", "1", "2", "2"]
    assert all(float(row["first_s"]) > float(row["preview_s"]) for row in rows[::2])
    sizes = {
        r["files"]: int(r["bytes"]) for r in csv_of(tmp_path / "browser_files.csv")
    }
    name = model_name(DEFAULT_MODEL_ID)
    assert sizes["modules"] < sizes[f"model {name}"]
    for table in ("browser", "browser-files"):
        text = TABLES[table](tmp_path)
        assert name in text or "aecodec" in text
