"""Corpora: folders of any file system of fsspec's, converted by the workers of a Ray
cluster, or by Ray on this machine alone.

A worker converts a batch of files, writes what they become, and last the rows of the
batch as one Parquet file in TARGET/_manifest/COMMAND/. So a row stands for what is
there, and another run goes on: files that have a row without an error, made of the same
version of the source, stay as they are. What a lost worker had begun is done again.
"""

import contextlib
import hashlib
import logging
import math
import os
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import IO, Any

os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported home

import fsspec
import numpy as np
import pyarrow as pa
import ray.data
from fsspec.implementations.local import LocalFileSystem
from pyarrow import parquet
from tqdm import tqdm

from codec.api import SUFFIX, read_info
from codec.app.conversion import PNG, Decoding, Encoding, aec_name, png_name
from codec.app.files import replacing
from codec.app.folders import Summary
from codec.app.shards import (
    SHARD_SUFFIX,
    convert_shard,
    is_of,
    is_shard,
    members_of,
    renamed,
)
from codec.errors import CodecError, UsageError, reason
from codec.limits import MAX_PIXELS
from codec.machine import native_stderr_silenced
from codec.picture.color import psnr_of
from codec.picture.formats import readable_suffixes
from codec.picture.reading import picture_in

MANIFEST = "_manifest"
BATCH_MAX, BATCH_BYTES = 32, 2**26  # files, and bytes from which on it is whole
BATCHES_EACH = 4  # of a worker at least, so that all end at about the same time
PSNR_TOLERANCE_DB = 0.1  # between machines
# Of those that file systems tell.
VERSION_KEYS = {"size", "mtime", "ETag", "etag", "md5Hash", "LastModified", "updated"}
VERSION_KEYS |= {"last_modified", "generation"}
TRIES = 3  # of a batch whose worker is lost
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
TASKS = pa.schema(
    {
        "path": pa.string(),
        "version": pa.string(),
        "source_bytes": pa.int64(),
        "expected": pa.list_(pa.struct(list(SCHEMA))),
    }
)
Row = dict[str, Any]  # of the manifest


@dataclass(frozen=True)
class Job:
    """One of three commands: "encode" and "decode" from `source` to `target`, and
    "verify", which compares with `source` what was encoded to `target`; both are URIs
    of folders.
    """

    command: str
    source: str
    target: str
    encoding: Encoding | None = None  # of "encode"
    max_pixels: int = MAX_PIXELS

    @property
    def kinds(self) -> frozenset[str]:
        """Suffixes of the sources."""
        pictures = {SUFFIX} if self.command == "decode" else readable_suffixes()
        return frozenset({SHARD_SUFFIX, *pictures})

    def output(self, path: str) -> str:
        place = PurePosixPath(path)
        rename = png_name if self.command == "decode" else aec_name
        return str(place.with_name(rename(place.name)))


@dataclass(frozen=True)
class Task:
    """A source file; `expected` are the rows of its encoding, to verify."""

    path: str
    version: str
    source_bytes: int
    expected: list[Row]


def folder_of(uri: str) -> tuple[Any, str]:
    """(file system, path) of a URI. UsageError if there is no package for it."""
    try:
        fs, path = fsspec.core.url_to_fs(uri)
    except (ImportError, ValueError) as error:
        raise UsageError(str(error)) from None
    return fs, path.rstrip("/")


def whole_uri(uri: str) -> str:
    """The same place, whatever folder a worker is in."""
    fs, path = folder_of(uri)
    return str(fs.unstrip_protocol(path)) if isinstance(fs, LocalFileSystem) else uri


@contextlib.contextmanager
def written(fs: Any, path: str) -> Iterator[IO[bytes]]:
    """A file that appears when all went well."""
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


def read_manifest(target: str, command: str) -> list[Row]:
    """All rows of a command's runs, the oldest first: of a file that was done again,
    the last ones count.
    """
    fs, root = folder_of(target)
    parts = fs.glob(f"{root}/{MANIFEST}/{command}/*.parquet")
    tables = []
    for part in parts:
        # One that was not written whole counts as none, so what it notes is done again.
        with contextlib.suppress(pa.ArrowInvalid):
            tables.append(parquet.read_table(part, filesystem=fs, schema=SCHEMA))
    if not tables:
        return []
    rows: list[Row] = pa.concat_tables(tables).sort_by("finished").to_pylist()
    return rows


class Worker:
    """Does batches of a job's tasks, a core for each worker."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.source, self.source_root = folder_of(job.source)
        self.target, self.target_root = folder_of(job.target)
        self.encoding = job.encoding and replace(job.encoding, threads=1)
        self.decoding = Decoding(True, job.max_pixels, threads=1)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Rows, also written to the manifest, of a batch of tasks."""
        tasks = [Task(**row) for row in batch.to_pylist()]
        rows = [row for task in tasks for row in self.rows(task)]
        table = pa.Table.from_pylist(rows, SCHEMA)
        # The same name if it is done again, as its worker was lost just after this.
        names = "\n".join(f"{task.path} {task.version}" for task in tasks)
        name = f"{hashlib.sha256(names.encode()).hexdigest()[:32]}.parquet"
        place = f"{self.target_root}/{MANIFEST}/{self.job.command}/{name}"
        try:
            with written(self.target, place) as file:
                parquet.write_table(table, file)
        except Exception as error:  # file systems raise all kinds
            what = f"not noted in the manifest: {told(error)}"
            rows = [row | {"error": row.get("error") or what} for row in rows]
            return pa.Table.from_pylist(rows, SCHEMA)
        return table

    def rows(self, task: Task) -> list[Row]:
        """What became of a file, or of the pictures in a tar file."""
        work = self.verified if self.job.command == "verify" else self.converted
        start, output = time.perf_counter(), self.job.output(task.path)
        try:
            rows = work(task, output) or [{}]  # a tar file without pictures
        except Exception as error:  # file systems raise all kinds
            rows = [{"error": told(error)}]
        seconds = (time.perf_counter() - start) / len(rows)
        common = {
            "path": task.path,
            "version": task.version,
            "source_bytes": task.source_bytes,
            "output": output,
            "seconds": seconds,
            "finished": datetime.now(timezone.utc),
        }
        return [common | row for row in rows]

    def converted(self, task: Task, output: str) -> list[Row]:
        source = f"{self.source_root}/{task.path}"
        target = f"{self.target_root}/{output}"
        convert, suffix = self.encoded, SUFFIX
        if self.job.command == "decode":
            convert, suffix = self.decoded, PNG
        with self.source.open(source, "rb") as file, written(self.target, target) as to:
            if is_shard(task.path):
                said = convert_shard(file, to, self.job.kinds, suffix, convert)
                return [row_of(member, what) for member, what in said]
            data, row = convert(file.read())
            to.write(data)
            return [row]

    def encoded(self, content: bytes) -> tuple[bytes, Row]:
        assert self.encoding
        picture = picture_in(content, self.job.max_pixels, self.encoding.strip)
        data = self.encoding.coded(picture)
        return data, facts_of(data) | {"psnr_db": self.psnr(data, picture.rgb)}

    def decoded(self, content: bytes) -> tuple[bytes, Row]:
        data, _ = self.decoding.png(content)
        facts = facts_of(content)
        return data, facts | {"output_bytes": len(data), "sha256": digest(data)}

    def psnr(self, data: bytes, rgb: Any) -> float:
        """Of the colors in an .aec file; UsageError for another size."""
        decoded = np.asarray(self.decoding.decoded(data).convert("RGB"))
        if decoded.shape != rgb.shape:
            raise UsageError("the picture has another size")
        return psnr_of(float(np.mean((decoded.astype(np.float32) - rgb) ** 2)))

    def verified(self, task: Task, output: str) -> list[Row]:
        source = f"{self.source_root}/{task.path}"
        target = f"{self.target_root}/{output}"
        if not task.expected:
            raise UsageError("not encoded, or changed since then")
        with self.source.open(source, "rb") as file, self.target.open(target) as coded:
            if not is_shard(task.path):
                return [self.compared(file.read(), coded.read(), task.expected[0])]
            outputs = dict(members_of(coded))
            members = {row["member"]: row for row in task.expected}
            rows = []
            for name, content in members_of(file):
                if not is_of(self.job.kinds, name):
                    continue
                data = outputs.get(renamed(name, SUFFIX), b"")
                try:
                    what: Row | str = self.compared(content, data, members[name])
                except KeyError:
                    what = "not encoded"
                except CodecError as error:
                    what = reason(error)
                rows.append(row_of(name, what))
            return rows

    def compared(self, content: bytes, data: bytes, expected: Row) -> Row:
        """The row of a source and what was encoded of it; UsageError if they differ
        more than they did then.
        """
        if digest(data) != expected["sha256"]:
            raise UsageError("the .aec file is not the one that was written")
        picture = picture_in(content, self.job.max_pixels, ())
        if read_info(data).metadata != tuple(picture.metadata):
            # Without EXIF data it was turned upright.
            strip = set(picture.metadata) - set(read_info(data).metadata)
            picture = picture_in(content, self.job.max_pixels, sorted(strip))
        found, before = self.psnr(data, picture.rgb), expected["psnr_db"]
        if found < before - PSNR_TOLERANCE_DB:
            raise UsageError(f"PSNR is {found:.2f} dB and was {before:.2f} dB")
        return facts_of(data) | {"psnr_db": found}


def told(error: Exception) -> str:
    return reason(error) or type(error).__name__


def row_of(member: str, what: Row | str) -> Row:
    """Of what `convert_shard` says."""
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


def planned(job: Job, force: bool, summary: Summary) -> list[Task]:
    """The tasks that are left to do, all of them with `force`; the rest is noted."""
    fs, root = folder_of(job.source)
    target_fs, target_root = folder_of(job.target)
    if not fs.isdir(root):
        raise UsageError("not a folder")
    if type(fs) is type(target_fs) and f"{target_root}/".startswith(f"{root}/"):
        raise UsageError(f"{job.target} is in the folder that is read")
    try:
        target_fs.makedirs(f"{target_root}/{MANIFEST}/{job.command}", exist_ok=True)
    except Exception as error:  # file systems raise all kinds
        raise UsageError(f"cannot write {job.target}: {told(error)}") from None
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
            facts = [version, *(str(row["sha256"]) for row in expected)]
            version = digest(" ".join([*facts, version_of(there or {})]).encode())
        first = writers.setdefault(output, path)
        if not is_unicode(path):
            summary.fail(path, "its name is no UTF-8")
        elif ".." in PurePosixPath(path).parts:
            summary.fail(path, "leads out of its folder")
        elif first != path:
            summary.fail(path, f"{first} is written to {output}, too")
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
    """What changes when a file does, of what its file system says of it."""
    facts = sorted((key, str(info[key])) for key in VERSION_KEYS & info.keys())
    return digest(repr(facts).encode())[:32]


def latest(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows of the last time that a file was done, by path; of rows from the oldest
    to the newest.
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


def run(job: Job, tasks: Sequence[Task], jobs: int | None) -> Iterator[Row]:
    """The rows of all tasks as they are done, by as many workers as the cluster has
    cores or `jobs`. Tasks whose worker was lost again and again have none.
    """
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # with tracebacks
    stop = signal.getsignal(signal.SIGTERM)
    try:
        with native_stderr_silenced():  # it tells of the level of its log
            ray.init(
                os.environ.get("RAY_ADDRESS") or "local",
                logging_level=logging.ERROR,
                log_to_driver=False,
                ignore_reinit_error=True,
            )
    except (ValueError, ConnectionError) as error:  # of RAY_ADDRESS
        raise UsageError(f"no cluster: {error}") from None
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # the others go on
    signal.signal(signal.SIGTERM, stop)  # Ray's own would abort
    found = ray.cluster_resources()  # type: ignore[no-untyped-call]
    workers = min(jobs or max(1, int(found.get("CPU", 1))), len(tasks))
    size = min(BATCH_MAX, math.ceil(len(tasks) / workers / BATCHES_EACH))
    blocks = [
        pa.Table.from_pylist([asdict(task) for task in batch], TASKS)
        for batch in batches(tasks, size)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # there is no other way yet to limit the tries
        made = ray.data.from_arrow(blocks).map_batches(
            Worker,
            fn_constructor_args=(job,),
            batch_size=None,  # whole blocks
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=1,
            ray_remote_args_fn=lambda: {"max_task_retries": TRIES},
        )
    done: Iterable[Any] = made.iter_batches(batch_size=None, batch_format="pyarrow")
    try:
        for table in done:
            yield from table.to_pylist()
    except ray.exceptions.RayError as error:
        raise UsageError(f"Ray gave up: {str(error).splitlines()[0]}") from None


def batches(tasks: Iterable[Task], size: int) -> Iterator[list[Task]]:
    """The tasks in batches of `size`, or of fewer that are large."""
    batch, total = list[Task](), 0
    for task in tasks:
        batch.append(task)
        total += task.source_bytes
        if len(batch) == size or total >= BATCH_BYTES:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch


def convert_corpus(job: Job, jobs: int | None, force: bool) -> Summary:
    """Do all of a job that is not done, with a bar on standard error."""
    summary = Summary()
    job = replace(job, source=whole_uri(job.source), target=whole_uri(job.target))
    try:
        tasks = planned(job, force, summary)
    except (CodecError, OSError):
        raise
    except Exception as error:  # file systems and damaged manifests raise all kinds
        raise UsageError(told(error)) from None
    waiting = {task.path for task in tasks}
    with tqdm(total=len(tasks), unit="file", disable=not sys.stderr.isatty()) as bar:
        for row in run(job, tasks, jobs) if tasks else ():
            first = row["path"] in waiting
            waiting.discard(row["path"])
            bar.update(first)
            if row["error"]:
                name = "/".join(filter(None, (row["path"], row["member"])))
                summary.fail(name, row["error"])
            else:
                summary.done += 1
                summary.bytes_in += first * row["source_bytes"]
                summary.bytes_out += row["output_bytes"] or 0
    for path in waiting:
        summary.fail(path, "its worker was lost; not enough memory?")
    return summary
