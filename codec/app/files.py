"""Bytes of files and streams; outputs appear whole or not at all."""

import errno
import os
import stat
import sys
from pathlib import Path
from typing import IO

from codec.app.replacement import Traits, replacing, traits_of
from codec.errors import UsageError

STREAM = "-"
ALREADY_THERE = "{} exists; -o names another output, --force replaces it"
INPUT_MAX_BYTES = 2**31  # a picture of the default limit takes 1.6 GB in 16 bits
PIECE_BYTES = 2**20
STANDARD_STREAMS = 3  # descriptors 0, 1 and 2


def occupy_closed_streams() -> None:
    """Open the null device in place of standard streams that are closed, or the next
    files to be opened would take their places, and whatever is printed. What is
    reported on a closed standard error goes nowhere.
    """
    for descriptor in range(STANDARD_STREAMS):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def read(name: str) -> bytes:
    """Content of a file, or of standard input. UsageError if that is closed, or if
    there is more than a picture can be.
    """
    if name == STREAM:
        if sys.stdin is None:
            raise UsageError("standard input is closed")
        return read_pieces(sys.stdin.buffer)
    if os.path.isdir(name):
        raise UsageError("a folder, not a file")
    with open(name, "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            return read_pieces(file)
        check_input(facts.st_size)
        return file.read()


def read_pieces(file: IO[bytes]) -> bytes:
    """All of a stream, which may have no end."""
    data = bytearray()
    while piece := file.read(PIECE_BYTES):
        data += piece
        check_input(len(data))
    return bytes(data)


def check_input(size: int) -> None:
    if size > INPUT_MAX_BYTES:
        raise UsageError(f"larger than {INPUT_MAX_BYTES} bytes")


def traits(source: str, preserve: bool) -> Traits:
    """`traits_of` a file; of standard input there are none."""
    return Traits() if source == STREAM else traits_of(source, preserve)


def check_target(target: str, force: bool) -> None:
    """UsageError if the target cannot be written, or may not be replaced."""
    exists = os.path.lexists(target) and not is_device(Path(target))
    if target != STREAM and not force and exists:
        raise UsageError(ALREADY_THERE.format(target))
    folder = Path(os.path.realpath(target)).parent
    replaces = target != STREAM and not is_device(Path(target))
    if replaces and not (folder.is_dir() and os.access(folder, os.W_OK)):
        number = errno.EACCES if folder.is_dir() else errno.ENOENT
        raise UsageError(f"cannot write {target}: {os.strerror(number)}")
    if target == STREAM and sys.stdout is None:
        raise UsageError("standard output is closed")
    if target == STREAM and sys.stdout.isatty():
        raise UsageError("not writing binary data to a terminal")


def is_device(path: Path) -> bool:
    """Whether `path` is a pipe or a device, which is written to and not replaced."""
    return path.exists() and not path.is_file() and not path.is_dir()


def write(target: str, data: bytes, force: bool, traits: Traits | None = None) -> None:
    """Write a file, or to standard output. UsageError if that fails, or without `force`
    if there is one.
    """
    if target == STREAM:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        if is_device(Path(target)):
            Path(target).write_bytes(data)
            return
        # A link stays, its target is replaced.
        with replacing(Path(os.path.realpath(target)), traits, force) as file:
            file.write(data)
    except FileExistsError:
        raise UsageError(ALREADY_THERE.format(target)) from None
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror}") from None
