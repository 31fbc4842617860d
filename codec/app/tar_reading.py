"""Members of tar files by strangers, read from begin to end under limits.

`tarfile` follows chains of extended headers by recursion, takes their sizes for
allocations, and lets numbers pass that later raise all kinds of errors; of it, only the
plain header is used here.
"""

import tarfile
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import IO

BLOCK = tarfile.BLOCKSIZE
PIECE_BYTES = 2**20  # read at once
EXTENDED_MAX_BYTES = 2**16  # of an extended header
EXTENDED_MAX = 8  # of them before a member
MEMBERS_MAX = 2**20
NAME_MAX_BYTES = 4096  # as Linux's of a path
DIGITS_MAX = 20  # of a size in an extended header
SECONDS_MAX = 2**34  # the year 2514
OWNER_MAX = 2**32
EXTENDED = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
LONG = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
WITHOUT_CONTENT = (
    tarfile.LNKTYPE,
    tarfile.SYMTYPE,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
    tarfile.DIRTYPE,
    tarfile.FIFOTYPE,
)
# Of members that are not passed on.
KINDS = {
    tarfile.LNKTYPE: "is a link",
    tarfile.SYMTYPE: "is a link",
    tarfile.CHRTYPE: "is a device",
    tarfile.BLKTYPE: "is a device",
    tarfile.FIFOTYPE: "is a pipe",
    tarfile.GNUTYPE_SPARSE: "is sparse",
}
COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz"} | {
    b"(\xb5/\xfd": "zstd"
}
CONTROLS = {"Cc", "Zl", "Zp"}  # categories of Unicode
SPARSE_FLAG = 482  # place in the header of GNU's old sparse files: more headers follow
SPARSE_FLAG_AGAIN = 504  # and in those


class Stream:
    """A file that ends with an error where it is cut off."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file

    def pieces(self, size: int) -> Iterator[bytes]:
        """The next bytes; sizes are believed only as far as there is something."""
        while size:
            piece = self.file.read(min(size, PIECE_BYTES))
            if not piece:
                raise tarfile.ReadError("cut off")
            size -= len(piece)
            yield piece

    def read(self, size: int) -> bytes:
        return b"".join(self.pieces(size))

    def skip(self, size: int) -> None:
        for _ in self.pieces(size):
            pass


class Content:
    """What a member holds, as a file."""

    def __init__(self, stream: Stream, size: int) -> None:
        self.stream, self.left = stream, size
        self.padding = -size % BLOCK

    def read(self, size: int) -> bytes:
        data = self.stream.read(min(size, self.left))
        self.left -= len(data)
        return data

    def skip(self) -> None:
        """All that is left, up to the next header."""
        self.stream.skip(self.left + self.padding)
        self.left = self.padding = 0


@dataclass(frozen=True)
class Member:
    """`odd` says why it is not to be passed on, if it is not."""

    header: tarfile.TarInfo
    content: Content
    odd: str | None


def members(file: IO[bytes]) -> Iterator[Member]:
    """Files and folders in a tar file; the content of each is there until the next.

    Raises `tarfile.TarError` if it is none, damaged, or over a limit.
    """
    stream = Stream(file)
    for number in range(MEMBERS_MAX + 1):
        found = next_member(stream)
        if found is None:
            return
        if number == MEMBERS_MAX:
            raise tarfile.ReadError(f"over the limit of {MEMBERS_MAX} members")
        yield found
        found.content.skip()


def next_member(stream: Stream) -> Member | None:
    """The member behind its extended headers; None at the end."""
    records: dict[bytes, bytes] = {}
    for _ in range(EXTENDED_MAX + 1):
        block = stream.read(BLOCK)
        if not any(block):
            return None
        header = plain_header(block)
        if header.type not in EXTENDED + LONG:
            return extended(header, block, records, stream)
        if header.size > EXTENDED_MAX_BYTES:
            raise tarfile.ReadError(
                f"an extended header of {header.size} bytes is over the limit of "
                f"{EXTENDED_MAX_BYTES}"
            )
        data = stream.read(header.size)
        stream.skip(-header.size % BLOCK)
        if header.type == tarfile.GNUTYPE_LONGNAME:
            records[b"path"] = data.rstrip(b"\0")
        elif header.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
            records |= pax_records(data)
    raise tarfile.ReadError(
        f"over the limit of {EXTENDED_MAX} extended headers in a row"
    )


def plain_header(block: bytes) -> tarfile.TarInfo:
    for magic, name in COMPRESSED.items():
        if block.startswith(magic):
            raise tarfile.ReadError(f"it is compressed with {name}")
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (ValueError, OverflowError) as error:
        raise tarfile.ReadError(f"bad header: {error}") from None
    if header.size < 0:
        raise tarfile.ReadError("a size below zero")
    return header


def pax_records(data: bytes) -> dict[bytes, bytes]:
    """Values by key of an extended header: "LENGTH KEY=VALUE\\n" each."""
    records: dict[bytes, bytes] = {}
    start = 0
    while start < len(data) and data[start]:
        space = data.find(b" ", start, start + len(str(EXTENDED_MAX_BYTES)) + 1)
        length = data[start:space] if space > start else b""
        if not length.isdigit():
            raise tarfile.ReadError("bad extended header")
        end = start + int(length)
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not (space < end <= len(data) and equals and data[end - 1] == ord("\n")):
            raise tarfile.ReadError("bad extended header")
        records[key] = value
        start = end
    return records


def extended(
    header: tarfile.TarInfo, block: bytes, records: dict[bytes, bytes], stream: Stream
) -> Member:
    """The member of a plain header and what its extended headers say."""
    if path := records.get(b"path"):
        header.name = path.rstrip(b"/").decode("utf-8", "surrogateescape")
    if size := records.get(b"size"):
        if not size.isdigit() or len(size) > DIGITS_MAX:
            raise tarfile.ReadError("bad size in an extended header")
        header.size = int(size)
    if header.type == tarfile.GNUTYPE_SPARSE:
        more = block[SPARSE_FLAG]
        while more:
            more = stream.read(BLOCK)[SPARSE_FLAG_AGAIN]
    if header.type in WITHOUT_CONTENT:
        header.size = 0
    sparse = any(key.startswith(b"GNU.sparse.") for key in records)
    why = "is sparse" if sparse else oddity(header)
    return Member(header, Content(stream, header.size), why)


def oddity(header: tarfile.TarInfo) -> str | None:
    """Why a member is not to be passed on, if so."""
    if why := KINDS.get(header.type):
        return why
    if not (header.isreg() or header.isdir()):
        return "is of an unknown kind"
    if why := unsafe_name(header.name):
        return why
    if header.isreg() and header.mode & 0o7000:
        return "has bits that give its user another's rights"
    numbers = (header.mtime, SECONDS_MAX), (header.uid, OWNER_MAX)
    for number, limit in (*numbers, (header.gid, OWNER_MAX)):
        if not 0 <= number < limit:
            return "has a number out of range"
    return None


def unsafe_name(name: str) -> str | None:
    """Why a file of this name is not to be written, if so, on any system."""
    windows = PureWindowsPath(name)
    if not name:
        return "has no name"
    if len(name.encode("utf-8", "surrogateescape")) > NAME_MAX_BYTES:
        return f"has a name of more than {NAME_MAX_BYTES} bytes"
    if any(unicodedata.category(c) in CONTROLS for c in name):
        return "has control characters in its name"
    if name.startswith("/") or windows.drive or windows.root:
        return "has an absolute name"
    if ".." in windows.parts or ".." in PurePosixPath(name).parts:
        return "leads out of its folder"
    return None
