"""An index brought up to date with the files in its folder."""

import os
import stat
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codec.api import SUFFIX, fingerprint_file
from codec.app.files import read
from codec.app.search.index import Index, State
from codec.options import DecodeOptions

FILES_AT_ONCE = 2  # one is read and entropy-decoded while networks run on the other
PLANNED = 32  # files that threads are given, before it is looked what came of them
COMMIT_S = 5.0  # of work that is lost at most

Failed = Callable[[str, BaseException], None]  # (path, why)
Changed = tuple[str, State]  # (path below the folder, the file as it is now)
Described = tuple[str, State, NDArray[np.int8] | None]  # None if it cannot be


def changes(index: Index, folder: Path, failed: Failed) -> list[Changed]:
    """The pictures below a folder that are new or changed, by path, last those that
    could not be described before, the latest ones after the others; those that are
    gone are forgotten. `failed` is told of folders that cannot be read, of which
    nothing is.
    """
    unread: list[Path] = []

    def noted(name: str, error: BaseException) -> None:
        unread.append(Path(name).relative_to(folder))
        failed(name, error)

    there, known = dict(pictures_in(folder, noted)), index.states()
    failures = index.failures()
    for path in (known | failures).keys() - there.keys():
        if not any(Path(path).is_relative_to(place) for place in unread):
            index.remove(path)
    index.commit()  # or nobody else could write
    due = [item for item in there.items() if known.get(item[0]) != item[1]]
    places = {item: number for number, item in enumerate(failures.items())}
    return sorted(due, key=lambda item: (places.get(item, -1), item[0]))


def pictures_in(folder: Path, failed: Failed) -> Iterator[Changed]:
    """All .aec files in a folder and below. Links are not followed."""

    def unreadable(error: OSError) -> None:
        failed(str(error.filename), error)

    for place, _, names in os.walk(folder, onerror=unreadable):
        below = Path(place).relative_to(folder)
        for name in names:
            if name.lower().endswith(SUFFIX):
                path = os.path.join(place, name)
                try:
                    facts = os.lstat(path)
                except OSError as error:
                    failed(path, error)
                    continue
                if stat.S_ISREG(facts.st_mode):
                    state = State(facts.st_size, facts.st_mtime_ns)
                    yield str(below / name), state


def describe(
    index: Index,
    folder: Path,
    due: Sequence[Changed],
    options: DecodeOptions,
    failed: Failed,
) -> Generator[None]:
    """Describe pictures in the index, and yield after each; `failed` is told of those
    that cannot be. Whoever stops, by close(), keeps what is done. Others can write
    meanwhile: the database is locked for a moment every COMMIT_S.
    """

    def fingerprint(path: str) -> NDArray[np.int8]:
        return fingerprint_file(read(str(folder / path)), options)

    done, kept_s, begun = list[Described](), time.monotonic(), dict[str, State]()
    with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
        try:
            for planned in batches(due, index.failures()):
                begun = dict(planned)
                for item in planned:  # if one of them ends the process, they come last
                    if not index.has(*item):  # by another process
                        index.put_failure(*item)
                index.commit()
                futures = [pool.submit(fingerprint, path) for path, _ in planned]
                for (path, state), future in zip(planned, futures, strict=True):
                    if error := future.exception():  # of whatever kind
                        done.append((path, state, None))
                        failed(str(folder / path), error)
                    else:
                        done.append((path, state, future.result()))
                    del begun[path]
                    if time.monotonic() > kept_s + COMMIT_S:
                        keep(index, done)
                        kept_s = time.monotonic()
                    yield
        finally:
            pool.shutdown(cancel_futures=True)
            for item in begun.items():
                if not index.has(*item):
                    index.remove(item[0])
            keep(index, done)


def batches(
    due: Sequence[Changed], failures: dict[str, State]
) -> Iterator[list[Changed]]:
    """The pictures in batches of PLANNED; what could not be described before comes
    alone, for it may end the process.
    """
    batch = list[Changed]()
    for path, state in due:
        alone = failures.get(path) == state
        if batch and (alone or len(batch) == PLANNED):
            yield batch
            batch = []
        batch.append((path, state))
        if alone:
            yield batch
            batch = []
    if batch:
        yield batch


def keep(index: Index, done: list[Described]) -> None:
    """Write what is done, but for what another process has written meanwhile."""
    for path, state, fingerprint in done:
        if index.has(path, state):
            continue
        if fingerprint is None:
            index.put_failure(path, state)
        else:
            index.put(path, state, fingerprint)
    index.commit()
    done.clear()
