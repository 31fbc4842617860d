"""What commands report: --json, --verbose, --quiet and --dry-run."""

import json
from pathlib import Path

import pytest
from command_line import ORIGINAL, aecodec, fails, is_refused, names, succeeds
from pictures import picture
from PIL import Image

import codec
from codec.app.cli import main

pytestmark = pytest.mark.usefixtures("folder")


def records(*arguments: object) -> tuple[list[dict], int]:
    """(the objects on standard output, the exit status)."""
    result = aecodec(*arguments, "--json")
    return [json.loads(line) for line in result.stdout.splitlines()], result.exit_code


@pytest.mark.parametrize("command", ["encode", "decode", "info", "verify", "features"])
def test_commands_on_files_have_the_same_flags(command):
    flags = {name for option in main.commands[command].params for name in option.opts}
    assert {"--json", "--verbose", "-v", "--quiet", "--debug"} <= flags


def test_encode_reports_an_object_for_each_file():
    Image.new("CMYK", (8, 8)).save("print.tif")
    (photo, print_, missing), status = records(
        "encode", "photo.png", "print.tif", "missing.png", "-q", 30
    )
    data = Path("photo.aec").read_bytes()
    assert photo.pop("seconds") > 0
    assert photo == {
        "file": "photo.png",
        "output": "photo.aec",
        "size_bytes": len(data),
        "width": 60,
        "height": 40,
        "rate_bpp": round(codec.read_info(data).rate_bpp, 4),
        "quality": 30.0,
        "model": codec.read_info(data).model,
        "remark": "",
        "lost": [],
    }
    assert print_["lost"] == ["CMYK samples, converted to RGB without a profile"]
    error = "No such file or directory"
    assert missing == {"file": "missing.png", "error": error}
    assert status == 1


def test_errors_go_to_standard_error_as_well_and_nothing_else_does(coded):
    result = aecodec("decode", "photo.aec", "no.aec", "-o", "out", "--json")
    assert result.stderr == "aecodec: no.aec: No such file or directory\n"


def test_decode_reports_the_picture_that_it_wrote(coded):
    (found,), status = records("decode", "photo.aec", "-o", "a.jpg", "--scale", "1/2")
    assert status == 0
    assert found["output"] == "a.jpg"
    assert found["size_bytes"] == Path("a.jpg").stat().st_size
    assert (found["width"], found["height"], found["format"]) == (30, 20, "JPEG")


def test_a_tree_is_reported_file_by_file_what_is_up_to_date_too():
    Path("tree/deep").mkdir(parents=True)
    Path("photo.png").rename("tree/deep/photo.png")
    Path("tree/bad.png").write_text("no picture")
    call = "encode", "-r", "tree", "-o", "coded"
    found, status = records(*call)
    assert status == 1
    first, second = sorted(found, key=lambda record: record["file"])
    assert "not an image" in first["error"]
    assert second["output"] == str(Path("coded/deep/photo.png.aec"))
    assert second["size_bytes"] == len(codec.encode(ORIGINAL))
    found, _ = records(*call)
    again = {"file": second["file"], "output": second["output"], "up_to_date": True}
    assert again in found


def test_targets_out_of_reach_have_a_line_for_each_file_of_a_tree():
    Path("tree").mkdir()
    Path("photo.png").rename("tree/photo.png")
    Image.fromarray(picture(200, 200)).save("tree/large.png")
    call = "encode", "-r", "tree", "-o", "coded", "-j", 1, "--size"
    errors = [li for li in aecodec(*call, "40").stderr.splitlines() if "too few" in li]
    assert len(errors) == 2
    assert all("; quality 1, the lowest, takes " in line for line in errors)
    lines = aecodec(*call, "1M", "-f").stderr.splitlines()
    told = "quality 100, the highest, takes fewer than 1000000 bytes"
    names = [Path("tree", name) for name in ("large.png", "photo.png")]
    assert sorted(lines[:2]) == [f"{name}: {told}" for name in names]


def test_json_and_a_picture_cannot_both_go_to_standard_output():
    message = is_refused("encode", "photo.png", "-o", "-", "--json")
    assert "--json needs standard output, and -o - does" in message


def test_verbose_adds_what_was_chosen_and_how_long_it_took(coded):
    model = codec.read_info(coded).model
    line = succeeds("encode", "photo.png", "-f", "-v").stderr
    assert f" bpp; 60 x 40 pixels, quality 60, model {model}, 0." in line
    assert line.endswith(" s\n")


def test_verbose_names_the_files_of_a_tree():
    Path("tree").mkdir()
    Path("photo.png").rename("tree/photo.png")
    call = "encode", "-r", "tree", "-o", "coded"
    first, summary = succeeds(*call, "-v").stderr.splitlines()
    assert first.startswith(f"{Path('tree/photo.png')} -> ")
    assert summary.startswith("tree -> coded: 1 done")
    assert f"{Path('tree/photo.png')}: up to date" in succeeds(*call, "-v").stderr
    assert len(succeeds(*call).stderr.splitlines()) == 1


def test_quiet_says_nothing_but_errors(coded):
    result = aecodec("encode", "photo.png", "no.png", "-f", "--quiet")
    assert result.stderr == "aecodec: no.png: No such file or directory\n"
    Image.new("CMYK", (8, 8)).save("print.tif")
    for call in (
        ("encode", "print.tif"),
        ("decode", "photo.aec", "-f"),
        ("info", "photo.aec"),
        ("verify", "photo.aec"),
        ("encode", "-r", ".", "-o", "tree"),
    ):
        result = succeeds(*call, "--quiet")
        assert (result.stdout, result.stderr) == ("", "")


@pytest.mark.parametrize("output", [(), ("-o", "out/")])
def test_a_dry_run_of_files_says_what_goes_where_and_writes_nothing(output):
    before = names()
    folder = "out/" if output else ""
    line = succeeds("encode", "photo.png", *output, "-n").stderr
    assert line == f"photo.png -> {folder}photo.aec\n"
    (found,), _ = records("encode", "photo.png", *output, "-n")
    expected = {"file": "photo.png", "output": f"{folder}photo.aec", "dry_run": True}
    assert found == expected
    assert names() == before


def test_a_dry_run_finds_what_would_be_in_the_way(coded):
    result = aecodec("encode", "photo.png", "no.png", "-n")
    assert result.exit_code == 1
    exists, missing = result.stderr.splitlines()
    assert "photo.aec exists; -o names another output, --force" in exists
    assert missing == "aecodec: no.png: No such file or directory"
    assert succeeds("encode", "photo.png", "-n", "-f").stderr
    assert Path("photo.aec").read_bytes() == coded
    assert aecodec("decode", "photo.aec", "-o", "x.psd", "-n").exit_code == 1
    assert aecodec("decode", "photo.aec", "-f", "-q", "50", "-n").exit_code == 1
    line = fails("features", "no.aec", "-o", "f.csv", "-n")
    assert line.startswith("aecodec: no.aec: ")
    Path("shard.tar").touch()
    assert "a tar file becomes one" in fails("encode", "shard.tar", "-o", "x.aec", "-n")
    assert "cannot make" in fails("encode", "photo.png", "-o", "photo.png/out/", "-n")


def test_a_dry_run_of_a_tree_lists_what_is_to_do():
    Path("tree").mkdir()
    Image.fromarray(picture(9, 9)).save("tree/new.png")
    Path("photo.png").rename("tree/done.png")
    succeeds("encode", "-r", "tree", "-o", "coded")
    Path("coded/new.png.aec").unlink()
    call = "encode", "-r", "tree", "-n", "-o"
    line, summary = succeeds(*call, "coded").stderr.splitlines()
    assert line == f"{Path('tree/new.png')} -> {Path('coded/new.png.aec')}"
    assert summary == "tree -> coded: 1 to do; 1 up to date"
    assert names("coded") == ["done.png.aec"]
    assert "2 to do" in succeeds(*call, "other").stderr
    assert not Path("other").exists()
