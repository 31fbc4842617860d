"""Bytes of files and streams; outputs appear whole or not at all."""

import contextlib
import errno
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from codec.errors import UsageError

STREAM = "-"
UMASK_LOCK = threading.Lock()  # it is read by setting it, for the whole process


def read(name: str) -> bytes:
    return sys.stdin.buffer.read() if name == STREAM else Path(name).read_bytes()


def check_target(target: str, force: bool) -> None:
    """UsageError if the target cannot be written, or may not be replaced."""
    exists = os.path.lexists(target) and not is_device(Path(target))
    if target != STREAM and not force and exists:
        raise UsageError(f"{target} exists; use --force to replace it")
    folder = Path(os.path.realpath(target)).parent
    replaces = target != STREAM and not is_device(Path(target))
    if replaces and not (folder.is_dir() and os.access(folder, os.W_OK)):
        number = errno.EACCES if folder.is_dir() else errno.ENOENT
        raise UsageError(f"cannot write {target}: {os.strerror(number)}")
    if target == STREAM and sys.stdout.isatty():
        raise UsageError("not writing binary data to a terminal")


def is_device(path: Path) -> bool:
    """Whether `path` is a pipe or a device, which is written to and not replaced."""
    return path.exists() and not path.is_file() and not path.is_dir()


def write(target: str, data: bytes, force: bool) -> None:
    if target == STREAM:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        if is_device(Path(target)):
            Path(target).write_bytes(data)
            return
        # A link stays, its target is replaced.
        with replacing(Path(os.path.realpath(target))) as file:
            file.write(data)
            check_target(target, force)
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror}") from None


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Any]:
    """A temporary file beside `path`. It takes the place of `path` when all went well,
    and is removed otherwise.
    """
    descriptor, name = tempfile.mkstemp(
        dir=path.parent, prefix=".aecodec-", suffix=".tmp"
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        with UMASK_LOCK:
            umask = os.umask(0)
            os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):  # in place, then interrupted
            os.unlink(name)
        raise
