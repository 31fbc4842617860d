"""Tar files (shards of WebDataset), whose pictures are encoded or decoded."""

import contextlib
import io
import tarfile
from collections.abc import Callable, Collection, Iterator
from pathlib import PurePosixPath
from typing import IO, TypeVar

from codec.app.tar_reading import Content, Member, members
from codec.errors import UsageError, reason

T = TypeVar("T")
SHARD_SUFFIX = ".tar"
PICTURE_MAX_BYTES = 2**30  # of its file


def is_shard(name: str) -> bool:
    return name.lower().endswith(SHARD_SUFFIX)


def is_of(kinds: Collection[str], name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in kinds


def renamed(name: str, suffix: str) -> str:
    """The name with another suffix."""
    return name.removesuffix(PurePosixPath(name).suffix) + suffix


def convert_shard(
    source: IO[bytes],
    target: IO[bytes],
    kinds: Collection[str],
    suffix: str,
    convert: Callable[[bytes], tuple[bytes, T]],
) -> list[tuple[str, T | str]]:
    """Copy a tar file; members of one of the `kinds` (suffixes) are converted and get
    another `suffix`: 0001.jpg becomes 0001.aec, of the same sample.

    Returns for each of them (name, result of `convert`), or (name, reason) if it was
    copied as it is; also for members that are left out, as they are no plain files or
    folders below the place of their archive. Both files are read and written from begin
    to end, one picture in memory. UsageError if the source is no tar file, or cut off.
    """
    results: list[tuple[str, T | str]] = []
    taken: set[str] = set()
    with (
        readable(),
        tarfile.open(fileobj=target, mode="w|") as converted,
    ):
        for member in members(source):
            name = member.header.name
            if member.odd:
                results.append((name, f"left out, as it {member.odd}"))
                continue
            content: Content | io.BytesIO = member.content
            if member.header.isreg() and is_of(kinds, name):
                content, result = convert_member(member, suffix, taken, convert)
                results.append((name, result))
            elif name in taken and member.header.isreg():
                results.append((name, "there is another of this name"))
            taken.add(member.header.name)
            converted.addfile(safe(member.header), content)  # type: ignore[arg-type]
    return results


def convert_member(
    member: Member,
    suffix: str,
    taken: Collection[str],
    convert: Callable[[bytes], tuple[bytes, T]],
) -> tuple[Content | io.BytesIO, T | str]:
    """(new content, result) of a member, whose header is changed; (old content, reason)
    if it cannot be converted.
    """
    header, name = member.header, renamed(member.header.name, suffix)
    if name in taken:
        return member.content, f"there is a {name} already"
    if header.size > PICTURE_MAX_BYTES:
        return member.content, f"larger than {PICTURE_MAX_BYTES} bytes"
    before = member.content.read(header.size)
    try:
        content, result = convert(before)
    except Exception as error:  # of whatever kind: the others are done
        return io.BytesIO(before), reason(error)
    header.name, header.size = name, len(content)
    return io.BytesIO(content), result


def safe(header: tarfile.TarInfo) -> tarfile.TarInfo:
    """What is written of a header: nothing but what was looked at."""
    written = tarfile.TarInfo(header.name)
    written.type = tarfile.DIRTYPE if header.isdir() else tarfile.REGTYPE
    written.size, written.mtime = header.size, header.mtime
    written.uid, written.gid = header.uid, header.gid
    written.mode = header.mode & 0o777
    return written


@contextlib.contextmanager
def readable() -> Iterator[None]:
    """Raises UsageError if what is read in it is no tar file, or damaged."""
    try:
        yield
    except tarfile.TarError as error:
        raise UsageError(f"no tar file, or damaged: {error}") from None


def members_of(shard: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the files in a tar file. UsageError as `convert_shard`."""
    with readable():
        for member in members(shard):
            if member.header.isreg() and not member.odd:
                size = min(member.header.size, PICTURE_MAX_BYTES)
                yield member.header.name, member.content.read(size)
