"""Tar files (shards of WebDataset), whose pictures are encoded or decoded."""

import io
import tarfile
from collections.abc import Callable, Collection, Iterator
from pathlib import PurePosixPath
from typing import IO, TypeVar

from codec.errors import CodecError, UsageError, reason

T = TypeVar("T")
SHARD_SUFFIX = ".tar"


class StrictMember(tarfile.TarInfo):
    """Raises ReadError for damage, which `tarfile` takes for the end of the file."""

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
    copied as it is. Both files are read and written from begin to end, one member in
    memory. UsageError if the source is no tar file, or cut off.
    """
    results: list[tuple[str, T | str]] = []
    taken: set[str] = set()
    try:
        with (
            tarfile.open(fileobj=source, mode="r|*", tarinfo=StrictMember) as members,
            tarfile.open(fileobj=target, mode="w|") as converted,
        ):
            for member in members:
                name = member.name
                content = content_of(members, member)
                if content is None:
                    rename_link(member, kinds, suffix)
                elif is_of(kinds, name):
                    content, result = convert_member(
                        member, content, suffix, taken, convert
                    )
                    results.append((name, result))
                elif name in taken:
                    results.append((name, "there is another of this name"))
                taken.add(member.name)
                member.pax_headers = {}  # they would win over the new name and size
                data = None if content is None else io.BytesIO(content)
                converted.addfile(member, data)
    except (tarfile.TarError, EOFError) as error:
        raise UsageError(f"no tar file, or damaged: {error}") from None
    return results


def convert_member(
    member: tarfile.TarInfo,
    content: bytes,
    suffix: str,
    taken: Collection[str],
    convert: Callable[[bytes], tuple[bytes, T]],
) -> tuple[bytes, T | str]:
    """(new content, result) of a member, which is renamed; (old content, reason) if it
    cannot be converted.
    """
    name = renamed(member.name, suffix)
    try:
        if name in taken:
            raise UsageError(f"there is a {name} already")
        content, result = convert(content)
    except (CodecError, OSError, MemoryError) as error:
        return content, reason(error)
    member.name, member.size = name, len(content)
    return content, result


def rename_link(member: tarfile.TarInfo, kinds: Collection[str], suffix: str) -> None:
    """A link to a member that is converted leads to its new name."""
    if is_of(kinds, member.name) and is_of(kinds, member.linkname):
        member.name = renamed(member.name, suffix)
        member.linkname = renamed(member.linkname, suffix)


def content_of(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes | None:
    """What is in a file; None of links, folders and the like."""
    file = archive.extractfile(member) if member.isfile() else None
    if not file:
        return None
    member.type = tarfile.REGTYPE  # also what was sparse
    return file.read()


def members_of(shard: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the files in a tar file. UsageError as `convert_shard`."""
    try:
        with tarfile.open(fileobj=shard, mode="r|*", tarinfo=StrictMember) as members:
            for member in members:
                content = content_of(members, member)
                if content is not None:
                    yield member.name, content
    except (tarfile.TarError, EOFError) as error:
        raise UsageError(f"no tar file, or damaged: {error}") from None
