"""Tar files in and out: samples of WebDataset."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from command_line import complaints, fails, is_refused, names, succeeds
from pictures import picture, psnr
from PIL import Image

import codec

LONG = "deep/" * 30 + "0003"  # too long for the plain header of a tar file


def content_of(array, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind)
    return file.getvalue()


def pack(name, members):
    with tarfile.open(name, "w", format=tarfile.PAX_FORMAT) as shard:
        for key, content in members.items():
            member = tarfile.TarInfo(key)
            member.size, member.mtime = len(content), 1234567890
            shard.addfile(member, io.BytesIO(content))


def unpack(name):
    with tarfile.open(name) as shard:
        return {m.name: shard.extractfile(m).read() for m in shard.getmembers()}


@pytest.fixture
def shard(tmp_path, monkeypatch):
    """shard.tar of three samples; the members by name."""
    monkeypatch.chdir(tmp_path)
    members = {
        "0001.jpg": content_of(picture(40, 60, 1), "JPEG"),
        "0001.cls": b"7",
        "0002.PNG": content_of(picture(50, 30, 2)),
        "0002.mask.png": content_of(picture(50, 30, 3)),
        f"{LONG}.png": content_of(picture(33, 20, 4)),
        f"{LONG}.json": b"{}",
    }
    pack("shard.tar", members)
    return members


CODED = ["0001.aec", "0001.cls", "0002.aec", "0002.mask.aec"] + [
    f"{LONG}.{suffix}" for suffix in ("aec", "json")
]


def test_a_tar_file_with_a_picture_that_failed_is_done_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    pack("in/shard.tar", {"0.png": content_of(picture(9, 9)), "1.png": b"broken"})
    for _ in range(2):
        lines = complaints("encode", "-r", "in", "-o", "out")
        assert "in/shard.tar: 1.png: not an image" in "\n".join(lines)
    pack("in/shard.tar", {"0.png": content_of(picture(9, 9))})
    succeeds("encode", "-r", "in", "-o", "out")
    assert "1 up to date" in succeeds("encode", "-r", "in", "-o", "out").stderr


def test_pictures_in_a_tar_file_are_coded_and_the_rest_is_copied(shard):
    text = succeeds("encode", "shard.tar", "-o", "coded.tar", "-q", 40).stderr
    assert text.startswith("shard.tar -> coded.tar: 4 pictures, ")
    coded = unpack("coded.tar")
    assert [*coded] == CODED
    assert coded["0001.cls"] == b"7"
    assert coded["0002.aec"] == codec.encode(picture(50, 30, 2), quality=40)
    with tarfile.open("coded.tar") as found:
        assert {member.mtime for member in found} == {1234567890}

    succeeds("decode", "coded.tar", "-o", "decoded.tar")
    decoded = unpack("decoded.tar")
    assert [*decoded][:3] == ["0001.png", "0001.cls", "0002.png"]
    image = Image.open(io.BytesIO(decoded["0002.png"]))
    assert np.array_equal(image, codec.decode(coded["0002.aec"]))
    assert psnr(image, picture(50, 30, 2)) > 24


def test_a_member_that_is_no_picture_stays_and_is_named(shard):
    shard["0001.jpg"] = shard["0001.jpg"][:100]
    shard["0002.png"] = shard["0002.PNG"]  # becomes 0002.aec, too
    pack("shard.tar", shard)
    first, second = complaints("encode", "shard.tar", "-o", "coded.tar")
    assert first.startswith("aecodec: shard.tar: 0001.jpg: image cannot be read")
    assert second == "aecodec: shard.tar: 0002.png: there is a 0002.aec already"
    coded = unpack("coded.tar")
    assert coded["0001.jpg"] == shard["0001.jpg"]
    assert coded["0002.png"] == shard["0002.png"]
    assert coded["0002.aec"] == codec.encode(picture(50, 30, 2))


def test_members_of_a_folder_stay_in_their_samples(shard):
    pack("shard.tar", {"./0001.png": content_of(picture(9, 9)), "./0001.cls": b"1"})
    succeeds("encode", "shard.tar", "-o", "coded.tar")
    assert [*unpack("coded.tar")] == ["./0001.aec", "./0001.cls"]


def test_two_members_of_one_name_are_told_of(shard):
    coded = codec.encode(picture(9, 9))
    pack("coded.tar", {"0001.aec": coded, "0001.png": b"a mask"})
    (line,) = complaints("decode", "coded.tar", "-o", "decoded.tar")
    assert line.endswith("0001.png: there is another of this name")


@pytest.mark.parametrize("cut", [1024, 1124])
def test_what_tarfile_takes_for_the_end_is_damage(shard, cut):
    pack("shard.tar", {"1.cls": b"1", "2.cls": b"2", "3.cls": b"3"})
    data = Path("shard.tar").read_bytes()
    Path("shard.tar").write_bytes(data[:cut])
    assert "no tar file, or damaged" in fails("encode", "shard.tar", "-o", "coded.tar")
    Path("shard.tar").write_bytes(data[:1024] + b"x" + data[1025:])
    assert "no tar file, or damaged" in fails("encode", "shard.tar", "-o", "coded.tar")
    assert names() == ["shard.tar"]


def test_folders_are_copied(shard):
    with tarfile.open("shard.tar", "w") as file:
        member = tarfile.TarInfo("a")
        member.type = tarfile.DIRTYPE
        file.addfile(member)
    succeeds("encode", "shard.tar", "-o", "coded.tar")
    with tarfile.open("coded.tar") as found:
        assert [(m.name, m.type) for m in found] == [("a", tarfile.DIRTYPE)]


@pytest.mark.parametrize("content", [b"", b"no tar file", b"\x1f\x8b" + bytes(99)])
def test_what_is_no_tar_file_gives_one_line_and_no_output(shard, content):
    Path("shard.tar").write_bytes(content)
    line = fails("encode", "shard.tar", "-o", "coded.tar")
    assert line.startswith("aecodec: shard.tar: no tar file, or damaged: ")
    assert names() == ["shard.tar"]


def test_a_tar_file_that_is_cut_off_gives_one_line_and_no_output(shard):
    data = Path("shard.tar").read_bytes()
    Path("shard.tar").write_bytes(data[:3000])
    assert "no tar file, or damaged" in fails("encode", "shard.tar", "-o", "coded.tar")
    assert names() == ["shard.tar"]


def test_a_tar_file_replaces_nothing_and_becomes_nothing_else(shard):
    assert "replaced by its own output" in is_refused("encode", "shard.tar")
    assert "becomes one" in fails("encode", "shard.tar", "-o", "coded.aec")
    Path("coded.tar").write_bytes(b"kept")
    assert "exists" in fails("encode", "shard.tar", "-o", "coded.tar")
    assert Path("coded.tar").read_bytes() == b"kept"
    succeeds("encode", "shard.tar", "-o", "coded.tar", "--force")


def test_a_folder_is_not_replaced_by_its_own_output(shard):
    before = Path("shard.tar").read_bytes()
    (line,) = complaints("encode", "-r", ".", "-o", ".", "-f", "-j", 1)
    assert "replaced by its own output" in line
    assert Path("shard.tar").read_bytes() == before


def test_a_link_stays_a_link(shard):
    Path("elsewhere").mkdir()
    Path("coded.tar").symlink_to("elsewhere/coded.tar")
    succeeds("encode", "shard.tar", "-o", "coded.tar", "-f")
    assert Path("coded.tar").is_symlink()
    assert [*unpack("elsewhere/coded.tar")] == CODED


def test_folders_of_tar_files_are_coded(shard):
    Path("in").mkdir()
    Path("shard.tar").rename("in/0.tar")
    succeeds("encode", "-r", "in", "-o", "coded", "-j", 1)
    assert [*unpack("coded/0.tar")] == CODED
    succeeds("decode", "-r", "coded", "-o", "out", "-j", 1)
    assert names("out") == ["0.tar"]
