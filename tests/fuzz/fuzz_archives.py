"""Tar files: a shard is converted, with what is safe in it, or refused with a
UsageError.
"""

import io
import tarfile

from target import Target

from codec.app.shards import convert_shard
from codec.app.tar_reading import BLOCK, unsafe_name
from codec.errors import UsageError

MAGIC, CHECKSUM = slice(257, 262), slice(148, 156)
KINDS = (".png",)
EXPANSION = 64  # of the output, at most so many times the input, and its blocks


def seeds() -> list[bytes]:
    """Tar files of every format, with links, folders and long names."""
    return [archive(f) for f in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT)] + [
        archive(tarfile.PAX_FORMAT, {"comment": "of all", "mtime": "1.5"}),
        archive(tarfile.PAX_FORMAT, {"GNU.sparse.major": "1", "size": "3"}),
    ]


def archive(tar_format: int, records: dict[str, str] | None = None) -> bytes:
    file = io.BytesIO()
    with tarfile.open(
        fileobj=file, mode="w", format=tar_format, pax_headers=records
    ) as tar:
        for name in ("a.png", "folder/b.txt", "long" * 24 + ".png", "é.png"):
            member = tarfile.TarInfo(name)
            member.size, member.mtime = 5, 1
            member.pax_headers = records or {}
            tar.addfile(member, io.BytesIO(b"12345"))
        for kind in (tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE):
            member = tarfile.TarInfo("odd")
            member.type, member.linkname = kind, "../a"
            tar.addfile(member)
    return file.getvalue()[:8192]


def repaired(data: bytes) -> bytes:
    """`data` with right checksums in all that looks like a header."""
    blocks = bytearray(data)
    for start in range(0, len(data) - BLOCK + 1, BLOCK):
        block = blocks[start : start + BLOCK]
        if block[MAGIC] == b"ustar":
            block[CHECKSUM] = b" " * 8
            block[CHECKSUM] = b"%06o\0 " % sum(block)
            blocks[start : start + BLOCK] = block
    return bytes(blocks)


def outcome(data: bytes) -> str:
    target = io.BytesIO()
    try:
        convert_shard(io.BytesIO(data), target, KINDS, ".aec", lambda b: (b[:3], None))
    except UsageError as error:
        assert "\n" not in str(error)
        return "refused"
    assert len(target.getvalue()) <= EXPANSION * len(data) + tarfile.RECORDSIZE
    target.seek(0)
    with tarfile.open(fileobj=target) as tar:
        for member in tar:
            assert member.isreg() or member.isdir()
            assert not unsafe_name(member.name), member.name
            assert member.mode < 0o1000
    return "converted"


TARGET = Target(seeds, outcome, repaired)
