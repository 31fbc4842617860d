"""A row for every picture, in the Parquet files of TARGET/_manifest/COMMAND/."""

import contextlib
import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from codec.api import read_info
from codec.app.corpus.storage import folder_of, writing

MANIFEST = "_manifest"
PART_SUFFIX = ".parquet"
SCHEMA = pa.schema(
    {
        "path": pa.string(),  # of the source, below its folder
        "member": pa.string(),  # of a tar file, else null
        "version": pa.string(),  # of the source: changes with it
        "source_bytes": pa.int64(),  # of the file at `path`
        "output": pa.string(),  # path below the target
        "output_bytes": pa.int64(),
        "width": pa.int32(),
        "height": pa.int32(),
        "rate_bpp": pa.float64(),
        "psnr_db": pa.float64(),  # of the decoded colors; null where none are compared
        "sha256": pa.string(),  # of the output
        "model_id": pa.int16(),
        "seconds": pa.float64(),
        "error": pa.string(),  # null if all went well
        "finished": pa.timestamp("us", "UTC"),
    }
)
Row = dict[str, Any]  # of the manifest


def read_manifest(target: str, command: str) -> list[Row]:
    """All rows of a command, the oldest first. Of a file that was done more than once,
    the last ones count.
    """
    fs, root = folder_of(target)
    found = fs.find(f"{root}/{MANIFEST}/{command}")  # no pattern, as names may be one
    tables = []
    for part in (path for path in found if path.endswith(PART_SUFFIX)):
        # One that was not written whole counts as none, so what it notes is done again.
        with contextlib.suppress(pa.ArrowInvalid):
            tables.append(parquet.read_table(part, filesystem=fs, schema=SCHEMA))
    if not tables:
        return []
    rows: list[Row] = pa.concat_tables(tables).sort_by("finished").to_pylist()
    return rows


def write_manifest(fs: Any, folder: str, name: str, rows: Sequence[Row]) -> None:
    """Write rows as a file of the folder, which appears whole or not at all."""
    with writing(fs, f"{folder}/{name}{PART_SUFFIX}") as file:
        parquet.write_table(pa.Table.from_pylist(rows, SCHEMA), file)


def row_of(member: str, what: Row | str) -> Row:
    """The row of a result of `convert_shard`."""
    return {"member": member} | ({"error": what} if isinstance(what, str) else what)


def facts_of(data: bytes) -> Row:
    """What an .aec file says of itself."""
    info = read_info(data)
    return {
        "output_bytes": len(data),
        "width": info.width,
        "height": info.height,
        "rate_bpp": info.rate_bpp,
        "sha256": digest(data),
        "model_id": info.model_id,
    }


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def latest(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """By path, the rows of the last time that a file was done. `rows` are from the
    oldest to the newest.
    """
    found: dict[str, list[Row]] = {}
    for row in rows:
        same = found.setdefault(row["path"], [])
        if same and same[0]["finished"] != row["finished"]:
            same.clear()
        same.append(row)
    return found


def went_well(rows: Sequence[Row], version: str) -> bool:
    """Whether this version of a file was done, and nothing failed."""
    return bool(rows) and all(
        row["version"] == version and not row["error"] for row in rows
    )
