"""Fingerprints of the pictures in a folder, in a database that can be searched.

SQLite holds a row for each picture, and the fingerprints in blocks, which NumPy reads
as they are: a search compares with all of them. The database is in the user's cache,
not in the folder. So folders may be read-only, and no stranger's database is opened. It
may be removed at any time.
"""

import hashlib
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codec.api import DEFAULT_MODEL_ID, FINGERPRINT_BYTES, Sought
from codec.errors import UsageError, reason

BLOCK = 256  # pictures
# Compared at once: so few that BLAS starts no threads, which would wait for each other.
ROWS = 32
CACHE = "LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME"
BUSY_S = 60.0  # to wait for another process that writes
# 2 is to be raised when tables or fingerprints change; databases of other versions are
# made anew.
VERSION = 2 << 16 | DEFAULT_MODEL_ID
TABLES = f"""
BEGIN EXCLUSIVE;
CREATE TABLE IF NOT EXISTS pictures (
    id INTEGER PRIMARY KEY, -- the place of its fingerprint
    path BLOB UNIQUE NOT NULL, -- below the folder
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS failures ( -- what could not be described
    path BLOB PRIMARY KEY,
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS free (id INTEGER PRIMARY KEY); -- places of none, any more
CREATE TABLE IF NOT EXISTS blocks (id INTEGER PRIMARY KEY, fingerprints BLOB NOT NULL);
PRAGMA user_version = {VERSION};
COMMIT;
"""


@dataclass(frozen=True)
class State:
    """What tells that a file has changed."""

    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class Found:
    likeness: float  # at most 1, of the same picture
    path: str  # below the folder
    size_bytes: int


def cache_folder() -> Path:
    """Where programs of this user keep what they can make anew. UsageError if there is
    no such place.
    """
    given = os.environ.get(CACHE, "")
    if os.path.isabs(given):
        return Path(given)
    try:
        home = Path.home()
    except RuntimeError:
        raise UsageError("no home folder to keep the index in") from None
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache")


def database_of(folder: Path) -> Path:
    """The database of a folder, whether it is there or not."""
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:32]
    return cache_folder() / "aecodec" / "search" / f"{name}.db"


class Index:
    """The database, opened. What is put in and removed is kept by `commit`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def commit(self) -> None:
        self.connection.commit()

    def states(self) -> dict[str, State]:
        """The pictures that are in it, by path."""
        return self.states_in("pictures")

    def failures(self) -> dict[str, State]:
        """The pictures that could not be described, by path, the latest ones last."""
        return self.states_in("failures")

    def states_in(self, table: str) -> dict[str, State]:
        rows = self.connection.execute(
            f"SELECT path, size_bytes, mtime_ns FROM {table} ORDER BY rowid"
        )
        return {os.fsdecode(path): State(*facts) for path, *facts in rows}

    def has(self, path: str, state: State) -> bool:
        """Whether a picture is in it, described as it is now."""
        row = self.one(
            "SELECT size_bytes, mtime_ns FROM pictures WHERE path = ?",
            os.fsencode(path),
        )
        return row is not None and State(*row) == state

    def put(self, path: str, state: State, fingerprint: NDArray[np.int8]) -> None:
        """Add a picture, or replace what is known of it."""
        self.remove(path)
        (free,) = self.one("SELECT min(id) FROM free")
        self.connection.execute("DELETE FROM free WHERE id = ?", (free,))
        number = self.connection.execute(
            "INSERT INTO pictures VALUES (?, ?, ?, ?)",
            (free, os.fsencode(path), state.size_bytes, state.mtime_ns),
        ).lastrowid
        assert number is not None
        block, place = divmod(number, BLOCK)
        fingerprints = self.block(block)
        fingerprints[place] = fingerprint
        self.connection.execute(
            "INSERT OR REPLACE INTO blocks VALUES (?, ?)",
            (block, fingerprints.tobytes()),
        )

    def put_failure(self, path: str, state: State) -> None:
        """Know of a picture that it could not be described."""
        self.remove(path)
        self.connection.execute(
            "INSERT INTO failures VALUES (?, ?, ?)",
            (os.fsencode(path), state.size_bytes, state.mtime_ns),
        )

    def remove(self, path: str) -> None:
        """Forget a picture, if it is known."""
        name = (os.fsencode(path),)
        self.connection.execute("DELETE FROM failures WHERE path = ?", name)
        self.connection.execute(
            "INSERT INTO free SELECT id FROM pictures WHERE path = ?", name
        )
        self.connection.execute("DELETE FROM pictures WHERE path = ?", name)

    def fingerprint(self, path: str) -> NDArray[np.int8] | None:
        """Of a picture; None if it is not known."""
        row = self.one("SELECT id FROM pictures WHERE path = ?", os.fsencode(path))
        if not row:
            return None
        block, place = divmod(row[0], BLOCK)
        return self.block(block)[place]

    def block(self, number: int) -> NDArray[np.int8]:
        """Fingerprints [BLOCK, FINGERPRINT_BYTES], zero where there are none yet."""
        row = self.one("SELECT fingerprints FROM blocks WHERE id = ?", number)
        data = row[0] if row else bytes(BLOCK * FINGERPRINT_BYTES)
        return np.frombuffer(data, np.int8).reshape(BLOCK, -1).copy()

    def one(self, query: str, *values: object) -> Any:
        return self.connection.execute(query, values).fetchone()

    def nearest(
        self,
        sought: Sought,
        count: int,
        wanted: Callable[[str], bool] = lambda path: True,
    ) -> list[Found]:
        """The `count` pictures most like the one sought, the most alike first, of those
        whose path is `wanted`.
        """
        with self.moment():
            return list(islice(self.by_likeness(sought, wanted), count))

    @contextmanager
    def moment(self) -> Iterator[None]:
        """What is read in it is of one moment, whatever others write."""
        begun = not self.connection.in_transaction
        if begun:
            self.connection.execute("BEGIN")
        try:
            yield
        finally:
            if begun:
                self.connection.rollback()

    def by_likeness(
        self, sought: Sought, wanted: Callable[[str], bool]
    ) -> Iterator[Found]:
        """As `nearest`, of all pictures."""
        likeness = self.likeness(sought)
        for number in np.argsort(-likeness, kind="stable"):
            row = self.one(
                "SELECT path, size_bytes FROM pictures WHERE id = ?", int(number)
            )
            if row and wanted(path := os.fsdecode(row[0])):
                alike = min(float(likeness[number]), 1.0)  # it may be rounded up
                yield Found(alike, path, row[1])

    def likeness(self, sought: Sought) -> NDArray[np.float32]:
        """Of every place among the fingerprints."""
        (blocks,) = self.one("SELECT coalesce(max(id) + 1, 0) FROM blocks")
        likeness = np.zeros((blocks, BLOCK), np.float32)
        values = np.empty((BLOCK // ROWS, ROWS, FINGERPRINT_BYTES), np.float32)
        for number, data in self.connection.execute(
            "SELECT id, fingerprints FROM blocks"
        ):
            np.copyto(values, np.frombuffer(data, np.int8).reshape(values.shape))
            ways = sought.templates @ values.swapaxes(1, 2)  # [.., ways, ROWS]
            likeness[number] = (ways - sought.handicaps[:, None]).max(axis=1).ravel()
        return likeness.ravel()


@contextmanager
def opened(database: Path) -> Iterator[Index]:
    """The index in a file, made if there is none, or a damaged one, or one of another
    version. UsageError if it cannot be used.
    """
    try:
        connection = connected_anew(database)
    except OSError as error:
        raise UsageError(
            f"cannot write {database}: {reason(error)}; {CACHE} names another folder"
        ) from None
    except sqlite3.Error as error:
        raise unusable(database, error) from None
    with closing(connection):
        try:
            yield Index(connection)
            connection.commit()
        except sqlite3.Error as error:
            raise unusable(database, error) from None


def unusable(database: Path, error: sqlite3.Error) -> UsageError:
    if "locked" in str(error):  # sqlite_errorcode comes with Python 3.11
        return UsageError(f"another search writes {database}: try again")
    return UsageError(f"cannot use {database}, which may be removed: {error}")


def connected_anew(database: Path) -> sqlite3.Connection:
    """As `connected`, of a new file in place of one that is damaged or of another
    version. Names of files, and what pictures look like, are nobody else's business.
    """
    database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    database.touch(mode=0o600)
    try:
        return connected(database)
    except sqlite3.OperationalError:  # busy, or no space
        raise
    except sqlite3.DatabaseError:
        database.unlink()
        database.touch(mode=0o600)
        return connected(database)


def connected(database: Path) -> sqlite3.Connection:
    """sqlite3.DatabaseError if the file is damaged, or of another version."""
    connection = sqlite3.connect(database, timeout=BUSY_S)
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            connection.executescript(TABLES)
        elif version != VERSION:
            raise sqlite3.DatabaseError("of another version")
    except BaseException:
        connection.close()
        raise
    return connection
