"""Files on any file system that fsspec knows."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from codec.app.files import replacing
from codec.errors import UsageError, reason


def folder_of(uri: str) -> tuple[Any, str]:
    """(file system, path) of a URI. UsageError if there is no package for it."""
    try:
        fs, path = fsspec.core.url_to_fs(uri)
    except (ImportError, ValueError) as error:
        raise UsageError(str(error)) from None
    return fs, path.rstrip("/")


def whole_uri(uri: str) -> str:
    """The URI of the same place, for workers in other folders."""
    fs, path = folder_of(uri)
    return str(fs.unstrip_protocol(path)) if isinstance(fs, LocalFileSystem) else uri


@contextlib.contextmanager
def writing(fs: Any, path: str) -> Iterator[IO[bytes]]:
    """A file to write, which appears when all went well."""
    if isinstance(fs, LocalFileSystem):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with replacing(Path(path)) as file:
            yield file
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "file")
        with place.open("wb") as file:
            yield file
        fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        fs.put_file(str(place), path)


def message_of(error: Exception) -> str:
    """The reason of an error, or its kind if it says nothing."""
    return reason(error) or type(error).__name__
