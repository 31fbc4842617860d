"""What a command has to do, and what of it is left."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa

from codec.api import SUFFIX
from codec.app.conversion import aec_name, picture_name
from codec.app.corpus.manifest import (
    MANIFEST,
    SCHEMA,
    Row,
    digest,
    latest,
    read_manifest,
    went_well,
)
from codec.app.corpus.storage import folder_of
from codec.app.folders import Summary
from codec.app.reporting import DRY_RUN, asked
from codec.app.shards import SHARD_SUFFIX, is_of
from codec.errors import UsageError, reason
from codec.options import EncodeOptions
from codec.picture.formats import readable_suffixes

# What file systems say of the version of a file; each says some of it.
VERSION_KEYS = {"size", "mtime", "ETag", "etag", "md5Hash", "LastModified", "updated"}
VERSION_KEYS |= {"last_modified", "generation"}
TASKS = pa.schema(
    {
        "path": pa.string(),
        "version": pa.string(),
        "source_bytes": pa.int64(),
        "expected": pa.list_(pa.struct(list(SCHEMA))),
    }
)


@dataclass(frozen=True)
class Job:
    """One of three commands: "encode" and "decode" from `source` to `target`, and
    "verify", which compares with `source` what was encoded to `target`; both are URIs
    of folders.
    """

    command: str
    source: str
    target: str
    # Of these, "decode" and "verify" need `max_pixels` alone.
    options: EncodeOptions = field(default_factory=EncodeOptions)

    @property
    def pictures(self) -> frozenset[str]:
        """Suffixes of the pictures, in folders or in tar files."""
        return frozenset({SUFFIX}) if self.command == "decode" else readable_suffixes()

    @property
    def kinds(self) -> frozenset[str]:
        """Suffixes of the sources."""
        return self.pictures | {SHARD_SUFFIX}

    def output(self, path: str) -> str:
        place = PurePosixPath(path)
        rename = picture_name if self.command == "decode" else aec_name
        return str(place.with_name(rename(place.name)))


@dataclass(frozen=True)
class Task:
    """A source file; `expected` are the rows of its encoding, to verify."""

    path: str
    version: str
    source_bytes: int
    expected: list[Row]


def planned(job: Job, force: bool, summary: Summary) -> list[Task]:
    """The tasks that are left to do, all of them with `force`. The rest is counted in
    `summary`.
    """
    fs, root = folder_of(job.source)
    target_fs, target_root = folder_of(job.target)
    if not fs.isdir(root):
        raise UsageError("not a folder")
    if type(fs) is type(target_fs) and f"{target_root}/".startswith(f"{root}/"):
        raise UsageError(f"{job.target} is in the folder that is read")
    try:
        if not asked(DRY_RUN):
            target_fs.makedirs(f"{target_root}/{MANIFEST}/{job.command}", exist_ok=True)
    except Exception as error:  # file systems raise all kinds
        raise UsageError(f"cannot write {job.target}: {reason(error)}") from None
    present = target_fs.find(target_root, detail=True)
    done = latest(read_manifest(job.target, job.command))
    verify = job.command == "verify"
    coded, doubts = dict[str, list[Row]](), dict[str, list[Row]]()
    if verify:
        coded = latest(read_manifest(job.target, "encode"))
    elif job.command == "encode":
        doubts = latest(read_manifest(job.target, "verify"))
    tasks, writers = [], dict[str, str]()
    for place, info in fs.find(root, detail=True).items():
        path = below(root, place)
        if path.startswith(f"{MANIFEST}/"):
            continue
        if not is_of(job.kinds, path):
            summary.left_out += 1
            continue
        version, expected = version_of(info), list[Row]()
        output = job.output(path)
        there = present.get(f"{target_root}/{output}")
        if verify:
            rows = coded.get(path, [])
            expected = [r for r in rows if r["version"] == version and not r["error"]]
            version = version_to_verify(version, expected, there)
        fault = fault_of(path, output, writers.setdefault(output, path))
        if not fault and there and path not in done and not (verify or force):
            fault = f"{output} exists, and is not of this corpus; --force replaces it"
        if fault:
            summary.fail(path, fault)
        elif (
            there
            and not force
            and went_well(done.get(path, []), version)
            and not is_doubted(done[path], doubts.get(path, []))
        ):
            summary.up_to_date += 1
        else:
            tasks.append(Task(path, version, int(info["size"]), expected))
    return tasks


def version_to_verify(
    version: str, expected: Sequence[Row], there: dict[str, Any] | None
) -> str:
    """What changes when a source does, or what was encoded of it."""
    facts = [version, *(str(row["sha256"]) for row in expected)]
    return digest(" ".join([*facts, version_of(there or {})]).encode())


def fault_of(path: str, output: str, first: str) -> str | None:
    """Why a source cannot be done; `first` is the first one with this output."""
    if not is_unicode(path):
        return "its name is no UTF-8"
    if ".." in PurePosixPath(path).parts:
        return "leads out of its folder"
    return None if first == path else f"{first} is written to {output}, too"


def is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_doubted(done: Sequence[Row], verified: Sequence[Row]) -> bool:
    """Whether "verify" has found a fault since then."""
    return any(
        row["error"] and row["finished"] > done[0]["finished"] for row in verified
    )


def below(root: str, path: str) -> str:
    """The path, from `root` on."""
    return path[len(root) + 1 :]


def version_of(info: dict[str, Any]) -> str:
    """What changes when a file does: all that its file system says of its version."""
    facts = sorted((key, str(info[key])) for key in VERSION_KEYS & info.keys())
    return digest(repr(facts).encode())[:32]
