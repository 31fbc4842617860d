"""Files that appear whole or not at all, and that nobody reads who may not."""

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows, where files that are open cannot be removed anyway
    fcntl = None  # type: ignore[assignment]

PREFIX, SUFFIX = ".aecodec-", ".tmp"
READ_WRITE = 0o666
OWNERS = 0o600
READERS = stat.S_IRGRP | stat.S_IROTH
ACCESS_LIST = "system.posix_acl_access"
POSIX = os.name == "posix"


@dataclass(frozen=True)
class Traits:
    """What an output takes over from its input."""

    mode: int = READ_WRITE  # before the umask
    times_ns: tuple[int, int] | None = None  # of access and of change; None for now


def traits_of(source: str, preserve: bool = False) -> Traits:
    """Who may read a file may read what is made of it, and nobody else; with
    `preserve`, it has the same times.
    """
    facts = os.stat(source)
    if not stat.S_ISREG(facts.st_mode):
        return Traits()
    readers = facts.st_mode & READERS
    if access_list(source):
        readers &= ~stat.S_IRGRP  # which is of the list, not of the group
    mode = OWNERS | readers | readers >> 1  # the umask says who of them may write
    times = (facts.st_atime_ns, facts.st_mtime_ns) if preserve else None
    return Traits(mode, times)


def access_list(path: str | Path) -> bytes | None:
    """POSIX access control list of a file, as Linux stores it; None without."""
    if hasattr(os, "getxattr"):
        with contextlib.suppress(OSError):  # none, or none on this file system
            return os.getxattr(path, ACCESS_LIST)
    return None


@contextlib.contextmanager
def replacing(
    path: Path, traits: Traits | None = None, force: bool = True
) -> Iterator[IO[bytes]]:
    """A temporary file beside `path` that takes its place when all went well, and
    vanishes otherwise. A file that was there leaves its mode, owner and access list;
    without `force`, it stays, and FileExistsError is raised.
    """
    traits = traits or Traits()
    remove_abandoned(path.parent)
    mode = OWNERS if os.path.lexists(path) else traits.mode
    file = temporary_file(path.parent, mode)
    name = file.name
    try:
        with file:
            yield file
            file.flush()
            if POSIX:
                take_over(file.fileno(), path)
            os.fsync(file.fileno())
            if traits.times_ns:
                os.utime(name, ns=traits.times_ns)
            if POSIX:  # while it is locked
                put_in_place(name, path, force)
        if not POSIX:  # where a file that is open cannot be renamed
            put_in_place(name, path, force)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):  # in place, then interrupted
            os.unlink(name)
        raise


def put_in_place(name: str, path: Path, force: bool) -> None:
    """Rename a file; FileExistsError without `force`, if there is another."""
    if force:
        os.replace(name, path)
    elif not POSIX:
        os.rename(name, path)
    else:
        try:
            os.link(name, path)  # unlike rename, replaces nothing
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))  # ours, now
            os.replace(name, path)
        else:
            os.unlink(name)


def temporary_file(folder: Path, mode: int) -> IO[bytes]:
    """New and locked, so that others see that it is not abandoned; the umask of the
    process or the default access list of the folder applies to the mode.
    """
    while True:
        name = str(folder / f"{PREFIX}{secrets.token_hex(8)}{SUFFIX}")
        file = open(  # noqa: SIM115
            name, "xb", opener=lambda path, flags: os.open(path, flags, mode)
        )
        if fcntl is None:
            return file
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # it was removed before it was locked


def take_over(descriptor: int, path: Path) -> None:
    """Give a file the mode, owner and access list of the one that it replaces, if there
    is one, as far as that is permitted.
    """
    try:
        before = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(before.st_mode):
        return
    mode, now = before.st_mode & 0o777, os.fstat(descriptor)
    if before.st_gid != now.st_gid:
        try:
            os.fchown(descriptor, -1, before.st_gid)
        except OSError:
            mode &= ~0o070  # it would be another group's
    if before.st_uid != now.st_uid:
        with contextlib.suppress(OSError):
            os.fchown(descriptor, before.st_uid, -1)
    os.fchmod(descriptor, mode)
    if hasattr(os, "setxattr"):
        entries = access_list(path)
        with contextlib.suppress(OSError):  # none of the folder's either
            if entries is None:
                os.removexattr(descriptor, ACCESS_LIST)
            else:
                os.setxattr(descriptor, ACCESS_LIST, entries)


@cache
def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files of runs that were killed, once in a process."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX) and entry.name.endswith(SUFFIX):
                with contextlib.suppress(OSError):  # in use, or somebody else's
                    remove_if_unlocked(entry.path)


def remove_if_unlocked(name: str) -> None:
    """OSError if somebody has the file locked, or, on Windows, open."""
    if fcntl is None:
        os.unlink(name)
        return
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(name)
    finally:
        os.close(descriptor)
