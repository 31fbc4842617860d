"""Tar files by strangers: what is refused, and what is left of the rest."""

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from command_line import complaints, fails, names, succeeds
from pictures import picture
from PIL import Image

from codec.app import conversion, shards, tar_reading

resource = pytest.importorskip("resource")
pytestmark = pytest.mark.usefixtures("folder")
END = bytes(1024)


def png() -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture(9, 12)).save(file, "PNG")
    return file.getvalue()


def packed(name: str, content: bytes = b"", **facts: object) -> bytes:
    """A member; its header says what `facts` do."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in facts.items():
        setattr(member, key, value)
    header = member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
    return header + content + bytes(-len(content) % 512)


def pax(records: bytes, kind: bytes = tarfile.XHDTYPE, **facts: object) -> bytes:
    return packed("pax", records, type=kind, **facts)


def record(key: bytes, value: bytes) -> bytes:
    size = len(key) + len(value) + 3
    size += len(str(size + len(str(size))))
    return b"%d %b=%b\n" % (size, key, value)


def written(*members: bytes, end: bytes = END) -> None:
    Path("in.tar").write_bytes(b"".join(members) + end)


def found(name: str = "out.tar") -> list[tarfile.TarInfo]:
    with tarfile.open(name) as archive:
        return archive.getmembers()


ODD = {
    "character device": packed("dev.png", type=tarfile.CHRTYPE),
    "block device": packed("dev.png", type=tarfile.BLKTYPE),
    "pipe": packed("pipe.png", type=tarfile.FIFOTYPE),
    "link": packed("link.png", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "hard link": packed("link.png", type=tarfile.LNKTYPE, linkname="0.png"),
    "absolute": packed("/tmp/photo.png", png()),
    "absolute by its long name": pax(record(b"path", b"/tmp/x.png")) + packed("x"),
    "absolute on Windows": packed("C:\\photo.png", png()),
    "share on Windows": packed("\\\\server\\share\\photo.png", png()),
    "above": packed("../photo.png", png()),
    "above, within": packed("a/../../photo.png", png()),
    "above on Windows": packed("a\\..\\..\\photo.png", png()),
    "folder above": packed("..", type=tarfile.DIRTYPE),
    "setuid": packed("photo.png", png(), mode=0o4755),
    "setgid text": packed("run.txt", b"text", mode=0o2755),
    "escape": packed("a\x1b[31m.png", png()),
    "line end": packed("a\nb.png", png()),
    "C1 control": packed("a\x9b.png", png()),
    "no name": packed("", png()),
    "long name": pax(record(b"path", b"a" * 5000 + b".png")) + packed("x", png()),
    "time before time": packed("photo.png", png(), mtime=-5),
    "time after time": packed("photo.png", png(), mtime=8**20),
    "owner": packed("photo.png", png(), uid=-1),
    "sparse": pax(record(b"GNU.sparse.major", b"1")) + packed("x.png", bytes(512)),
    "old sparse": packed("x.png", bytes(512), type=tarfile.GNUTYPE_SPARSE),
    "unknown kind": packed("x.png", bytes(512), type=b"M"),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_an_odd_member_is_left_out_by_name_and_the_rest_is_done(odd):
    written(packed("0.png", png()), odd, packed("1.png", png()), packed("2.cls", b"7"))
    (line,) = complaints("encode", "in.tar", "-o", "out.tar")
    assert line.startswith("aecodec: in.tar: ")
    assert ": left out, as it " in line
    assert line.isprintable()
    assert [member.name for member in found()] == ["0.aec", "1.aec", "2.cls"]


def test_what_is_written_is_plain():
    folder = packed("a", type=tarfile.DIRTYPE, mode=0o2755)
    xattr = pax(record(b"SCHILY.xattr.security.capability", b"\1\0\0\2"))
    written(folder, xattr + packed("a/0.png", png(), mode=0o777, uname="root\x1b[31m"))
    succeeds("encode", "in.tar", "-o", "out.tar")
    for member in found():
        assert not member.mode & 0o7000
        assert (member.uname, member.pax_headers) == ("", {})


CHAINS = {
    "many": pax(record(b"path", b"a.png")) * 5000,
    "many of all members": pax(record(b"path", b"a"), tarfile.XGLTYPE) * 5000,
    "many long names": packed("x", b"name\0", type=tarfile.GNUTYPE_LONGNAME) * 5000,
    "large": pax(b"1" * 200_000),
    "larger than the file": pax(b"", size=8 * 2**30),
    "large long name": packed("x", b"n" * 10**6, type=tarfile.GNUTYPE_LONGNAME),
    "digits": pax(b"1" * 65_000),
    "digits of a size": pax(record(b"size", b"9" * 5000)),
    "size of no digits": pax(record(b"size", b"1e9")),
    "other digits": pax("٣ a=b\n".encode()),
    "negative": pax(b"-5 a=b\n"),
    "no key": pax(b"5 abc\n"),
    "too long": pax(b"99 a=b\n"),
    "too short": pax(b"2 a=b\n"),
    "no length": pax(b" a=b\n"),
    "no length, further on": pax(b"6 a=b\n" + b"x" * 20 + b"=\n"),
    "length zero": pax(b"6 a=b\n0 a=b\n"),
    "size below zero": packed("x", size=-512),
    "damaged": bytes([1]) * 512,
}


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS.keys())
def test_headers_over_a_limit_give_one_line(chain):
    written(packed("0.png", png()), chain, packed("1.png", png()))
    line = fails("encode", "in.tar", "-o", "out.tar")
    assert line.startswith("aecodec: in.tar: no tar file, or damaged: ")
    assert names() == ["in.tar", "photo.png"]


def test_a_damaged_tar_file_in_a_tree_costs_itself_alone():
    written(CHAINS["many"], packed("0.png", png()))
    Path("tree").mkdir()
    for name in ("in.tar", "photo.png"):
        Path(name).rename(Path("tree", name))
    (line,) = complaints("encode", "-r", "tree", "-o", "out", "-j", "1")
    assert line.endswith("over the limit of 8 extended headers in a row")
    assert names("out") == ["photo.png.aec"]


@pytest.mark.parametrize("value", [b"nan", b"inf", b"1e999", b"9" * 5000, b"", b"x"])
@pytest.mark.parametrize("key", [b"mtime", b"uid", b"atime", b"GNU.x"])
def test_numbers_of_extended_headers_that_are_none_are_no_matter(key, value):
    written(pax(record(key, value)) + packed("0.png", png()))
    succeeds("encode", "in.tar", "-o", "out.tar")
    assert [member.name for member in found()] == ["0.aec"]


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_what_is_compressed_is_refused_by_the_name_of_that(kind):
    with tarfile.open("in.tar", f"w:{kind}") as archive:
        archive.add("photo.png")
    line = fails("encode", "in.tar", "-o", "out.tar")
    assert "it is compressed with" in line


@pytest.mark.parametrize("kind", ["0.png", "0.txt"])
@pytest.mark.parametrize("size", [10**6, 8 * 2**30, 2**80])
def test_sizes_are_believed_as_far_as_there_is_something(kind, size):
    written(packed(kind, png(), size=size))
    limit = 4 * 2**30

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    command = [sys.executable, "-m", "codec", "encode", "in.tar", "-o", "out.tar"]
    result = subprocess.run(
        command, capture_output=True, text=True, preexec_fn=limited, check=False
    )
    assert result.returncode == 1
    assert names() in (["in.tar", "photo.png"], ["in.tar", "out.tar", "photo.png"])
    assert "cut off" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_picture_that_is_too_large_to_be_read_is_copied(monkeypatch):
    monkeypatch.setattr(shards, "PICTURE_MAX_BYTES", 1000)
    large = png() + bytes(2000)
    written(packed("0.png", large), packed("1.png", png()))
    (line,) = complaints("encode", "in.tar", "-o", "out.tar")
    assert line.endswith("0.png: larger than 1000 bytes")
    with tarfile.open("out.tar") as archive:
        assert archive.extractfile("0.png").read() == large
        assert archive.extractfile("1.aec")


def test_too_many_members_are_refused(monkeypatch):
    monkeypatch.setattr(tar_reading, "MEMBERS_MAX", 3)
    members = [packed(f"{number}.txt", b"text") for number in range(4)]
    written(*members[:3])
    succeeds("encode", "in.tar", "-o", "out.tar")
    written(*members)
    assert "limit of 3 members" in fails("encode", "in.tar", "-o", "out.tar", "-f")


def test_names_that_are_no_utf8_are_kept():
    name = b"na\xefve.png".decode("utf-8", "surrogateescape")
    written(packed(name, png()))
    succeeds("encode", "in.tar", "-o", "out.tar")
    assert [member.name for member in found()] == [name.replace("png", "aec")]


def test_an_old_sparse_file_is_skipped_with_all_its_headers():
    header = bytearray(packed("s.png", type=tarfile.GNUTYPE_SPARSE, size=512))
    header[482] = 1
    checksum = sum(header) - sum(header[148:156]) + 8 * 32
    header[148:156] = b"%06o\0 " % checksum
    more = bytearray(512)
    more[504] = 1
    written(bytes(header), bytes(more), bytes(512), bytes(512), packed("0.png", png()))
    (line,) = complaints("encode", "in.tar", "-o", "out.tar")
    assert "s.png: left out, as it is sparse" in line
    assert [member.name for member in found()] == ["0.aec"]


def test_any_error_on_a_member_is_its_line(monkeypatch):
    real = conversion.encode_and_tell

    def encode(picture, *options):
        if picture.rgb.shape[0] == 9:
            raise RecursionError("maximum recursion depth exceeded\nand more")
        return real(picture, *options)

    monkeypatch.setattr(conversion, "encode_and_tell", encode)
    photo = Path("photo.png").read_bytes()
    written(packed("0.png", png()), packed("1.png", photo))
    (line,) = complaints("encode", "in.tar", "-o", "out.tar")
    assert line == (
        "aecodec: in.tar: 0.png: RecursionError: maximum recursion depth exceeded"
    )
    assert [member.name for member in found()] == ["0.png", "1.aec"]
