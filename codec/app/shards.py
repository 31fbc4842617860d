"""Tar files of samples, as WebDataset names them: every picture in one coded, or the
.aec files in one decoded.
"""

import io
import tarfile
from collections.abc import Callable, Collection, Iterator
from pathlib import PurePosixPath
from typing import IO, TypeVar

from codec.errors import CodecError, UsageError, reason

T = TypeVar("T")
SHARD_SUFFIX = ".tar"


class StrictMember(tarfile.TarInfo):
    """Raises ReadError where `tarfile` takes damage for the end."""

    @classmethod
    def fromtarfile(cls, file: tarfile.TarFile) -> "StrictMember":
        try:
            return super().fromtarfile(file)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise  # the block of zeros at the end
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from None


def is_shard(name: str) -> bool:
    return name.lower().endswith(SHARD_SUFFIX)


def is_of(kinds: Collection[str], name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in kinds


def renamed(name: str, suffix: str) -> str:
    """With another suffix, and all else as it is."""
    return name.removesuffix(PurePosixPath(name).suffix) + suffix


def convert_shard(
    source: IO[bytes],
    target: IO[bytes],
    kinds: Collection[str],
    suffix: str,
    convert: Callable[[bytes], tuple[bytes, T]],
) -> list[tuple[str, T | str]]:
    """Copy a tar file, the members of one of the `kinds` (suffixes) converted and named
    with another `suffix`: 0001.jpg becomes 0001.aec, of the same sample.

    Returns what `convert` says of the content of each, or the reason for which it stays
    as it is. Both files are read and written from begin to end, one
    member in memory. UsageError if the source is no tar file, or cut off.
    """
    said: list[tuple[str, T | str]] = []
    taken: set[str] = set()
    try:
        with (
            tarfile.open(fileobj=source, mode="r|*", tarinfo=StrictMember) as members,
            tarfile.open(fileobj=target, mode="w|") as converted,
        ):
            for member in members:
                file = members.extractfile(member) if member.isfile() else None
                content = file.read() if file else b""
                if file:
                    member.type = tarfile.REGTYPE  # also what was sparse
                elif is_of(kinds, member.name) and is_of(kinds, member.linkname):
                    member.name = renamed(member.name, suffix)
                    member.linkname = renamed(member.linkname, suffix)
                if file and is_of(kinds, member.name):
                    name = renamed(member.name, suffix)
                    try:
                        if name in taken:
                            raise UsageError(f"there is a {name} already")
                        content, what = convert(content)
                    except (CodecError, OSError, MemoryError) as error:
                        said.append((member.name, reason(error)))
                    else:
                        said.append((member.name, what))
                        member.name, member.size = name, len(content)
                elif member.name in taken and file:
                    said.append((member.name, "there is another of this name"))
                taken.add(member.name)
                member.pax_headers = {}  # they would win over the new name and size
                converted.addfile(member, io.BytesIO(content) if file else None)
    except (tarfile.TarError, EOFError) as error:
        raise UsageError(f"no tar file, or damaged: {error}") from None
    return said


def members_of(shard: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the files in a tar file. UsageError as `convert_shard`."""
    try:
        with tarfile.open(fileobj=shard, mode="r|*", tarinfo=StrictMember) as members:
            for member in members:
                file = members.extractfile(member) if member.isfile() else None
                if file:
                    yield member.name, file.read()
    except (tarfile.TarError, EOFError) as error:
        raise UsageError(f"no tar file, or damaged: {error}") from None
