"""Whether files are whole: `codec.verify` and `aecodec verify`."""

import errno
import json
import os
import zlib
from pathlib import Path

import numpy as np
import pytest
from command_line import aecodec, complaints, fails, is_refused, succeeds
from pictures import picture
from PIL import Image

import codec
from codec.errors import FormatError
from codec.file.chunks import ALPHA_CHUNK, EMPTY_CHUNKS, METADATA_CHUNKS
from codec.file.container import pack, unpack
from codec.limits import NO_LIMIT


@pytest.fixture(scope="module")
def layered() -> bytes:
    """A file of 3 tiles in a row, with alpha and a text."""
    image = Image.fromarray(picture(8, 2100)).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.info["text"] = {"Title": "wide"}
    return codec.encode(image, quality=5)


def damaged(data: bytes, *numbers: int) -> bytes:
    """The file with the last byte of some of its chunks changed."""
    changed = bytearray(data)
    for number in numbers:
        _, offset, length = unpack(data, max_pixels=NO_LIMIT).spans[number]
        changed[offset + length - 1] ^= 1
    return bytes(changed)


def test_all_tiles_and_chunks_are_counted(layered):
    expected = codec.Verified(tiles=3, chunks=2, size_bytes=len(layered))
    assert codec.verify(layered) == expected


@pytest.mark.parametrize("number", range(5))
def test_damage_of_every_chunk_is_found_and_named(layered, number):
    what = f"tile {number + 1} of 3" if number < 3 else "chunk 0x8"
    with pytest.raises(FormatError, match=f"^{what}.*checksum differs"):
        codec.verify(damaged(layered, number))


def test_three_faults_are_named_and_the_others_counted(layered):
    with pytest.raises(FormatError, match=r"; tile 3 of 3 is .*; and 2 more$"):
        codec.verify(damaged(layered, *range(5)))


@pytest.mark.parametrize("missing", [1, 9])
def test_a_file_that_is_cut_off_is_not_whole(layered, missing):
    with pytest.raises(FormatError, match="cut off"):
        codec.verify(layered[:-missing])


@pytest.mark.parametrize("chunk_id", sorted(EMPTY_CHUNKS))
def test_a_chunk_that_has_to_be_empty_is(coded, chunk_id):
    container = unpack(coded, max_pixels=NO_LIMIT)
    for payload, whole in ((b"", True), (b"x", False)):
        data = pack(container.header, [container.tile(0)], [(chunk_id, payload)])
        for work in (codec.verify, codec.decode):
            if whole:
                work(data)
                continue
            with pytest.raises(FormatError, match="not empty"):
                work(data)


@pytest.mark.parametrize(
    ("chunk_id", "payload"),
    [
        (ALPHA_CHUNK, b"garbage"),
        (METADATA_CHUNKS["dpi"], zlib.compress(b"123")),
        (METADATA_CHUNKS["text"], zlib.compress(b"abc\0")),
    ],
)
def test_what_decode_refuses_is_not_whole(chunk_id, payload, coded):
    container = unpack(coded)
    data = pack(container.header, [container.tile(0)], [(chunk_id, payload)])
    for way in (codec.decode, codec.verify):
        with pytest.raises(FormatError):
            way(data)


def test_no_network_is_asked(layered, monkeypatch):
    from codec.networks import runtime

    monkeypatch.setattr(runtime.Networks, "graph", None)
    codec.verify(layered)


def test_the_command_says_what_it_verified(coded):
    found = succeeds("verify", "photo.aec").stdout
    rest = f"1 tile, 0 other chunks, {len(coded)} bytes"
    assert found == f"photo.aec: whole: {rest}, not decoded\n"
    found = succeeds("verify", "--deep", "photo.aec").stdout
    assert found == f"photo.aec: whole: {rest}, decoded, too\n"


@pytest.mark.parametrize("option", [("--max-pixels", 1), ("--model", "m.aecm")])
def test_options_of_decoding_are_refused_without_it(coded, option):
    assert f"{option[0]} is of use with --deep" in is_refused(
        "verify", "photo.aec", *option
    )
    assert "photo.aec: " not in aecodec("verify", "--deep", "photo.aec", *option).stdout


def test_a_tree_is_verified_and_damaged_files_are_named(coded):
    for name in ("a.aec", "deep/b.aec", "deep/bad.aec"):
        Path("tree", name).parent.mkdir(parents=True, exist_ok=True)
        Path("tree", name).write_bytes(coded)
    Path("tree/deep/bad.aec").write_bytes(coded[:-1] + bytes([coded[-1] ^ 1]))
    result = aecodec("verify", "-r", "tree")
    assert result.exit_code == 1
    assert result.stdout == (
        f"2 of 3 files whole: 2 tiles, 0 other chunks, {2 * len(coded)} bytes, "
        "not decoded; 1 damaged or not read\n"
    )
    (line,) = complaints("verify", "-r", "tree")
    name = Path("tree/deep/bad.aec")
    assert line == f"aecodec: {name}: tile 1 of 1 is damaged (checksum differs)"


def test_folders_that_cannot_be_read_are_named(coded, monkeypatch):
    Path("tree/locked").mkdir(parents=True)
    Path("tree/a.aec").write_bytes(coded)
    scandir = os.scandir

    def refusing(place):  # as if by its mode, which does not keep root out
        if Path(place).name == "locked":
            raise PermissionError(errno.EACCES, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refusing)
    result = aecodec("verify", "-r", "tree")
    assert result.exit_code == 1
    assert result.stdout.startswith("1 of 1 files whole: ")
    assert result.stdout.endswith("; 1 damaged or not read\n")
    (line,) = complaints("verify", "-r", "tree")
    assert line == f"aecodec: {Path('tree/locked')}: Permission denied"


def test_a_folder_without_coded_files_is_no_success(coded):
    Path("empty").mkdir()
    assert fails("verify", "-r", "empty") == "aecodec: empty: no .aec files in it"
    result = aecodec("verify", "-r", "empty", "photo.aec")
    assert result.exit_code == 1
    assert "1 of 1 files whole" in result.stdout


def test_what_checksums_do_not_tell_is_found_when_it_is_decoded(bundle, coded):
    container = unpack(coded, max_pixels=NO_LIMIT)
    tile = container.tile(0)
    assert isinstance(tile, bytes)
    noise = np.random.default_rng(0).integers(0, 256, len(tile), np.uint8)
    Path("photo.aec").write_bytes(pack(container.header, [noise.tobytes()]))
    succeeds("verify", "photo.aec")
    assert "tile 1 of 1 is damaged" in fails("verify", "--deep", "photo.aec")


def test_every_file_is_an_object_with_json(coded):
    result = aecodec("verify", "photo.aec", "photo.png", ".", "--json")
    whole, *wrong = map(json.loads, result.stdout.splitlines())
    assert whole == {
        "file": "photo.aec",
        "size_bytes": len(coded),
        "tiles": 1,
        "chunks": 0,
        "decoded": False,
    }
    assert [record["file"] for record in wrong] == ["photo.png", "."]
    assert "not an .aec file" in wrong[0]["error"]
    assert "--recursive" in wrong[1]["error"]
