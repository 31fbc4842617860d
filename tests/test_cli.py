"""The command line: files in and out, messages and exit status."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import ORIGINAL, aecodec, fails, is_refused, names, pixels, succeeds
from pictures import picture, psnr
from PIL import Image

import codec
from codec.app.cli import main
from codec.networks.shipped import DEFAULT_MODEL_ID

README = Path(__file__).parent.parent / "README.md"
pytestmark = pytest.mark.usefixtures("folder")


# Where the output goes


def test_encode_writes_beside_the_input(folder):
    result = succeeds("encode", "photo.png")
    data = Path("photo.aec").read_bytes()
    assert data == codec.encode(ORIGINAL)
    assert result.stdout == ""
    bpp = 8 * len(data) / (40 * 60)
    expected = f"photo.png -> photo.aec: {len(data)} bytes, {bpp:.3f} bpp\n"
    assert result.stderr == expected
    assert names() == ["photo.aec", "photo.png"]


def test_encode_writes_beside_an_input_of_another_folder(folder):
    Path("pictures").mkdir()
    Path("photo.png").rename("pictures/photo.png")
    succeeds("encode", "pictures/photo.png")
    assert names("pictures") == ["photo.aec", "photo.png"]
    assert names() == ["pictures"]


def test_decode_writes_a_png_beside_the_input(coded):
    Path("photo.png").unlink()
    result = succeeds("decode", "photo.aec")
    assert result.stderr == "photo.aec -> photo.png: 60 x 40 pixels\n"
    assert np.array_equal(pixels("photo.png"), np.asarray(codec.decode(coded)))
    assert names() == ["photo.aec", "photo.png"]


def test_output_names_a_file(coded):
    succeeds("encode", "photo.png", "-o", "small.bin")
    assert Path("small.bin").read_bytes() == coded
    succeeds("decode", "photo.aec", "-o", "big.bmp")
    with Image.open("big.bmp") as image:
        assert image.format == "BMP"


def test_output_names_an_existing_folder(coded):
    Path("out").mkdir()
    succeeds("encode", "photo.png", "-o", "out")
    succeeds("decode", "photo.aec", "-o", "out")
    assert names("out") == ["photo.aec", "photo.png"]


def test_several_inputs_go_into_a_folder_that_is_made(coded):
    Image.fromarray(ORIGINAL[::-1]).save("other.png")
    succeeds("encode", "photo.png", "other.png", "-o", "new/deep")
    assert names("new/deep") == ["other.aec", "photo.aec"]
    succeeds("decode", "new/deep/photo.aec", "new/deep/other.aec", "-o", "back")
    assert names("back") == ["other.png", "photo.png"]


def test_several_inputs_go_beside_themselves_without_output():
    Image.fromarray(ORIGINAL[::-1]).save("other.png")
    succeeds("encode", "photo.png", "other.png")
    assert names() == ["other.aec", "other.png", "photo.aec", "photo.png"]


def test_a_dash_is_standard_input_and_output(coded):
    stdin = Path("photo.png").read_bytes()
    result = succeeds("encode", "-", stdin=stdin)
    assert result.stdout_bytes == coded
    result = succeeds("decode", "-", stdin=coded)
    assert np.array_equal(pixels(result.stdout_bytes), np.asarray(codec.decode(coded)))
    assert names() == ["photo.aec", "photo.png"]


def test_a_file_may_go_to_standard_output_and_standard_input_to_a_file(coded):
    assert succeeds("encode", "photo.png", "-o", "-").stdout_bytes == coded
    succeeds("encode", "-", "-o", "in.aec", stdin=Path("photo.png").read_bytes())
    assert Path("in.aec").read_bytes() == coded


def test_standard_input_in_a_folder_is_named_stdin(coded):
    Path("out").mkdir()
    succeeds("decode", "-", "-o", "out", stdin=coded)
    assert names("out") == ["stdin.png"]


@pytest.mark.parametrize(
    ("suffix", "image_format"),
    [(".jpg", "JPEG"), (".JPG", "JPEG"), (".webp", "WEBP"), ("", "PNG")],
)
def test_the_suffix_of_the_output_names_the_format(coded, suffix, image_format):
    succeeds("decode", "photo.aec", "-o", f"out{suffix}")
    with Image.open(f"out{suffix}") as image:
        assert image.format == image_format
        assert psnr(image, codec.decode(coded)) > 25


def test_quality_is_passed_on():
    succeeds("encode", "photo.png", "-q", "12.5")
    assert Path("photo.aec").read_bytes() == codec.encode(ORIGINAL, quality=12.5)


def test_losses_are_named():
    Image.new("CMYK", (8, 8)).save("print.tif")
    result = succeeds("encode", "print.tif")
    assert result.stderr.endswith(
        "bpp\nprint.tif: lost: CMYK samples, converted to RGB without a profile\n"
    )


def test_outputs_have_the_usual_permissions(coded):
    Path("usual").touch()
    succeeds("decode", "photo.aec", "-o", "out.png")
    assert Path("out.png").stat().st_mode == Path("usual").stat().st_mode


# What is refused


def test_two_inputs_of_the_same_output_are_refused_before_anything_is_written():
    Image.fromarray(ORIGINAL).save("photo.bmp")
    message = is_refused("encode", "photo.png", "photo.bmp")
    assert "photo.png and photo.bmp would both write photo.aec" in message
    is_refused("encode", "photo.png", "./photo.png")
    is_refused("encode", "photo.png", "photo.bmp", "-o", "out")
    assert names() == ["photo.bmp", "photo.png"]


def test_several_inputs_to_standard_output_are_refused():
    message = is_refused("encode", "photo.png", "other.png", "-o", "-")
    assert "standard output" in message


def test_several_inputs_to_a_file_are_refused(coded):
    message = is_refused("encode", "photo.png", "other.png", "-o", "photo.aec")
    assert "photo.aec is the name of a file; with several inputs" in message
    Path("file").touch()
    line = fails("encode", "photo.png", "other.png", "-o", "file")
    assert line == "aecodec: cannot make file: File exists"


def test_outputs_are_not_named_like_other_kinds(coded):
    for name in ("model.aecm", "photo.jpg"):
        assert f"{name} is the name of" in is_refused("encode", "photo.png", "-o", name)
    for command, name in (("encode", "photo.png"), ("decode", "photo.aec")):
        line = fails(command, name, "-o", "x.tar")
        assert line.endswith("x.tar is the name of a tar file, and this is none")
    assert "is not the name of a file" in is_refused("encode", "photo.png", "-o", "")
    assert names() == ["photo.aec", "photo.png"]


def test_an_aec_file_is_not_encoded_again(coded):
    line = fails("encode", "photo.aec", "-o", "twice.aec")
    assert line.endswith("is an .aec file already; `aecodec decode` reads it")


def test_metadata_to_strip_are_named_with_commas_between(coded):
    succeeds(
        "encode", "photo.png", "-o", "x.aec", "--strip", "EXIF,xmp", "--strip", "icc"
    )
    message = is_refused("encode", "photo.png", "-o", "y.aec", "--strip", "exif,maker")
    assert "maker; expected all, icc" in message


def test_a_file_of_the_wrong_kind_is_told_what_it_is(coded):
    assert "`aecodec decode` reads it" in is_refused("encode", "photo.aec")
    assert "`aecodec encode` makes one" in is_refused("decode", "photo.png")


def test_a_name_that_was_made_by_adding_a_suffix_loses_it(coded):
    Path("other.png.aec").write_bytes(coded)
    succeeds("decode", "other.png.aec")
    assert "other.png" in names()
    assert Path("photo.aec").read_bytes() == coded


@pytest.mark.parametrize("quality", ["0", "100.5", "-3", "high", ""])
def test_a_quality_outside_its_range_is_wrong_usage(quality):
    assert "--quality" in is_refused("encode", "photo.png", "-q", quality)
    assert names() == ["photo.png"]


def test_a_quality_that_is_no_number_is_wrong_usage():
    is_refused("encode", "photo.png", "-q", "nan")


@pytest.mark.parametrize("command", ["encode", "decode", "info"])
def test_no_input_is_wrong_usage(command):
    assert "Missing argument" in is_refused(command)


def test_an_unknown_command_is_wrong_usage():
    assert "No such command" in is_refused("transcode", "photo.png")
    assert "Did you mean one of: 'decode', 'encode'" in is_refused("encod", "photo.png")


BAD_PICTURES = {
    "missing": None,
    "empty": b"",
    "text": b"no picture at all\n",
    "truncated": b"\x89PNG\r\n\x1a\n\0\0\0",
}


def make(name: str, data: bytes | None) -> None:
    if data is not None:
        Path(name).write_bytes(data)


@pytest.mark.parametrize("kind", BAD_PICTURES)
def test_a_bad_picture_gives_one_line_and_the_others_are_done(kind, coded):
    Path("photo.aec").unlink()
    make("bad.png", BAD_PICTURES[kind])
    before = names()
    reasons = {
        "missing": "No such file or directory",
        "empty": "file is empty",
        "text": "not an image in a format that is read here",
        "truncated": "",
    }
    line = fails("encode", "bad.png")
    assert line.startswith(f"aecodec: bad.png: {reasons[kind]}")
    assert names() == before

    result = aecodec("encode", "bad.png", "photo.png")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[0] == line
    assert len(result.stderr.splitlines()) == 2
    assert names() == sorted([*before, "photo.aec"])
    assert Path("photo.aec").read_bytes() == coded


def test_a_picture_cut_in_its_pixels_gives_one_line():
    data = Path("photo.png").read_bytes()
    Path("bad.png").write_bytes(data[: len(data) // 2])
    assert "bad.png: image cannot be read: " in fails("encode", "bad.png")
    assert names() == ["bad.png", "photo.png"]


@pytest.mark.parametrize("command", ["decode", "info"])
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("missing", "No such file or directory"),
        ("empty", "file is cut off"),
        ("text", "not an .aec file"),
        ("truncated", "file is cut off"),
        ("damaged", "damaged"),
    ],
)
def test_a_bad_aec_file_gives_one_line(command, kind, reason, coded):
    data = {
        "missing": None,
        "empty": b"",
        "text": b"no picture\n",
        "truncated": coded[:-1],
        "damaged": coded[:7] + b"?" + coded[8:],
    }[kind]
    make("bad.aec", data)
    before = names()
    line = fails(command, "bad.aec")
    assert line.startswith("aecodec: bad.aec: ")
    assert reason in line
    assert names() == before


def test_decode_goes_on_after_a_bad_file(coded):
    Path("bad.aec").write_bytes(coded[:-1])
    result = aecodec("decode", "bad.aec", "photo.aec", "missing.aec", "-o", "out")
    assert result.exit_code == 1
    first, second, third = result.stderr.splitlines()
    assert first.startswith("aecodec: bad.aec: ")
    assert second.startswith("photo.aec -> ")
    assert third.startswith("aecodec: missing.aec: ")
    assert names("out") == ["photo.png"]


def test_a_folder_as_input_gives_one_line():
    Path("album").mkdir()
    assert fails("encode", "album") == (
        "aecodec: album: a folder; --recursive converts what is in it"
    )
    assert names() == ["album", "photo.png"]


@pytest.mark.parametrize("name", [".", ""])
def test_an_input_without_a_name_gives_no_traceback(name):
    assert aecodec("encode", name).exit_code in (1, 2)


@pytest.mark.parametrize("suffix", [".xyz", ".aec", ".psd"])
def test_an_output_format_that_cannot_be_written_gives_one_line(coded, suffix):
    line = fails("decode", "photo.aec", "-o", f"out{suffix}")
    assert line == f"aecodec: photo.aec: cannot write {suffix} files"
    assert names() == ["photo.aec", "photo.png"]


def test_a_format_that_cannot_hold_the_picture_gives_one_line(coded):
    fails("decode", "photo.aec", "-o", "out.blp")


@pytest.mark.parametrize("command", ["encode", "decode"])
def test_a_picture_over_the_limit_gives_one_line(command, coded):
    name = {"encode": "photo.png", "decode": "photo.aec"}[command]
    line = fails(command, name, "-o", "out", "--max-pixels", 4095)
    assert "60 x 40 pixels is over the limit of 4095" in line
    succeeds(command, name, "-o", "out", "--max-pixels", 4096)


def test_a_file_of_another_model_is_said_to_be_so(coded, monkeypatch):
    from codec.networks import shipped

    monkeypatch.setattr(shipped, "SHIPPED", {99: ("base-99", "")})
    assert f"needs model {DEFAULT_MODEL_ID}, which this program does not have" in fails(
        "decode", "photo.aec", "-o", "out.png"
    )


# info and help


def test_info_shows_what_the_file_is(coded):
    facts = codec.read_info(coded)
    result = succeeds("info", "photo.aec")
    assert result.stderr == ""
    assert result.stdout == (
        f"photo.aec: 60 x 40 RGB, quality 60, {len(coded)} bytes, {facts.rate_bpp:.3f} "
        f"bpp, model {DEFAULT_MODEL_ID} ({facts.model}), 1 tile, format 2\n"
    )


def test_info_as_json_has_a_line_per_file(coded):
    Path("wide.aec").write_bytes(codec.encode(picture(3, 1030), quality=1))
    result = succeeds("info", "--json", "photo.aec", "wide.aec")
    first, second = map(json.loads, result.stdout.splitlines())
    assert first == {
        "file": "photo.aec",
        "kind": "aec",
        "width": 60,
        "height": 40,
        "mode": "RGB",
        "metadata": [],
        "quality": 60.0,
        "model_id": DEFAULT_MODEL_ID,
        "model": codec.read_info(coded).model,
        "bundle_digest": codec.read_info(coded).bundle_digest,
        "format_version": 2,
        "tiles": 1,
        "drawn_tiles": 0,
        "exact_tiles": 0,
        "size_bytes": len(coded),
        "orientation": 1,
        "rate_bpp": round(8 * len(coded) / 2400, 4),
    }
    assert (second["width"], second["tiles"]) == (1030, 2)


def test_info_says_what_is_exact():
    Image.new("RGB", (1030, 9), "white").save("white.png")
    succeeds("encode", "white.png")
    found = succeeds("info", "white.aec").stdout
    assert "2 tiles (2 with a layer, 2 exact), format 2" in found


def test_lossless_gives_the_picture_back():
    Image.fromarray(picture(30, 40)).save("exact.png")
    succeeds("encode", "exact.png", "--lossless")
    succeeds("decode", "exact.aec", "-o", "back.png")
    assert np.array_equal(pixels("back.png"), picture(30, 40))
    assert "exclude each other" in is_refused(
        "encode", "exact.png", "--lossless", "-q", 9
    )


def test_info_reads_standard_input(coded):
    assert succeeds("info", "-", stdin=coded).stdout.startswith("-: 60 x 40 RGB, ")


def test_info_goes_on_after_a_bad_file(coded):
    result = aecodec("info", "missing.aec", "photo.aec")
    assert result.exit_code == 1
    assert result.stdout.startswith("photo.aec: 60 x 40")
    assert len(result.stderr.splitlines()) == 1


def test_help_of_encode_has_ranges_and_defaults():
    text = " ".join(succeeds("encode", "--help").stdout.split())
    assert re.search(r"1(\.0)?<=x<=100", text)
    assert f"default: {2**28}; x>=1" in text


def test_help_names_every_command_and_the_exit_status():
    text = succeeds("-h").stdout
    for command in main.commands:
        assert f"\n  {command} " in text
    assert "..." not in text.partition("Commands:")[2]  # of what does not fit
    assert "Exit status: 0 all done, 1 a file failed" in text


@pytest.mark.parametrize("command", main.commands)
def test_every_command_has_help(command):
    assert f"Usage: main {command}" in succeeds(command, "-h").stdout


def test_the_version_is_that_of_the_package():
    assert succeeds("--version").stdout == f"aecodec, version {codec.__version__}\n"


@pytest.mark.parametrize("command", main.commands)
def test_every_command_is_named_in_the_documents(command):
    pages = [README, *(README.parent / "docs").glob("*.md")]
    assert any(f"aecodec {command}" in page.read_text() for page in pages)


def test_the_package_runs_as_a_program(coded):
    def run(*arguments: str, **options) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "codec", *arguments], capture_output=True, **options
        )

    result = run("encode", "-", "-q", "60", input=Path("photo.png").read_bytes())
    assert result.returncode == 0
    assert result.stdout == coded
    assert len(result.stderr.splitlines()) == 1

    result = run("web", "site", "photo.png")
    assert result.returncode == 0
    assert len(result.stderr.splitlines()) == 1

    result = run("decode", "missing.aec")
    assert result.returncode == 1
    expected = b"aecodec: missing.aec: No such file or directory"
    assert result.stderr.splitlines() == [expected]
    assert run("--help").stdout.startswith(b"Usage: aecodec ")


def test_an_output_that_ends_in_a_slash_is_a_folder():
    succeeds("encode", "photo.png", "-o", "coded/")
    assert names("coded") == ["photo.aec"]


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--bpp", "1.5", {"rate_bpp": 1.5}),
        ("--size", "2k", {"size_bytes": 2000}),
        ("--size", "2kB", {"size_bytes": 2000}),
        ("--size", "2KiB", {"size_bytes": 2048}),
        ("--size", "64.1k", {"size_bytes": 64100}),
        ("--size", "0.0015M", {"size_bytes": 1500}),
        ("--psnr", "25", {"psnr_db": 25.0}),
        ("--ssimulacra2", "50", {"ssimulacra2": 50.0}),
    ],
)
def test_targets_are_passed_on(option, value, expected):
    succeeds("encode", "photo.png", option, value)
    assert Path("photo.aec").read_bytes() == codec.encode(ORIGINAL, **expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("encode photo.png -q 60 --bpp 1", "--quality and --bpp exclude"),
        ("encode photo.png --size 9k --psnr 30", "--size and --psnr exclude"),
        ("encode photo.png -q 5 --ssimulacra2 30", "--quality and --ssimulacra2 exc"),
        ("encode photo.png --ssimulacra2 101", "101.0 is not in the range 0<x<=100"),
        ("encode photo.png --lossless --content photo", "--lossless and --content"),
        ("decode photo.aec --denoise --scale 1/2", "--denoise and --scale"),
        ("decode photo.aec --salvage --region 0,0,1,1", "--salvage and --region"),
        ("encode photo.png --qualty 5", "Did you mean one of: '--quality'"),
    ],
)
def test_wrong_usage_names_the_options(arguments, message):
    assert message in is_refused(*arguments.split())


def test_what_is_no_model_is_named_with_its_option(coded):
    line = fails("decode", "photo.aec", "-o", "x.png", "--model", "photo.png")
    assert line.startswith("aecodec: --model photo.png: not an adapted model")


def test_a_target_out_of_reach_says_what_the_best_quality_gives():
    line = succeeds("encode", "photo.png", "--size", "1M").stderr
    told = "bpp; quality 100, the highest, takes fewer than 1000000 bytes\n"
    assert line.endswith(told)
    line = succeeds("encode", "photo.png", "--psnr", "5", "-f").stderr
    assert re.search(r"bpp; quality 1, the lowest, has \d\d\.\d\d dB\n$", line)


def test_info_says_what_other_files_are(coded):
    Path("text.txt").write_text("no picture")
    size = Path("photo.png").stat().st_size
    result = aecodec("info", "photo.png", "text.txt", ".")
    assert result.stdout == f"photo.png: PNG picture, 60 x 40 RGB, {size} bytes\n"
    text, folder = result.stderr.splitlines()
    assert "text.txt: neither an .aec file nor an adapted model, and not" in text
    assert folder.startswith("aecodec: .: a folder; ")


@pytest.mark.parametrize("value", ["", "k", "-1", "10kBB", "1e3", "nan", "9" * 400])
def test_a_wrong_size_is_wrong_usage(value):
    assert aecodec("encode", "photo.png", "--size", value).exit_code == 2


def test_a_size_too_small_fails_and_writes_nothing():
    result = aecodec("encode", "photo.png", "--size", "20")
    assert result.exit_code == 1
    assert (
        "photo.png: 20 bytes (0.067 bits per pixel) are too few; quality 1,"
        in result.stderr
    )
    assert not Path("photo.aec").exists()


def test_a_region_is_decoded_alone(coded):
    succeeds("decode", "photo.aec", "--region", "5,6,20,10", "-o", "part.png")
    with Image.open("part.png") as part:
        assert np.array_equal(part, codec.decode(coded, region=(5, 6, 20, 10)))


@pytest.mark.parametrize("value", ["1,2,3", "a,b,c,d", "-1,0,5,5", "1,2,3,4,5"])
def test_a_wrong_region_is_wrong_usage(coded, value):
    assert aecodec("decode", "photo.aec", "--region", value).exit_code == 2


def test_a_damaged_file_is_salvaged_with_exit_status_1(coded):
    Path("photo.aec").write_bytes(coded[:-1] + bytes([coded[-1] ^ 1]))
    result = aecodec("decode", "photo.aec", "--salvage", "-o", "rest.png")
    assert result.exit_code == 1
    assert "photo.aec: salvaged to rest.png; tile 1 of 1 is damaged" in result.stderr
    with Image.open("rest.png") as rest:
        assert rest.size == codec.decode(coded).size
