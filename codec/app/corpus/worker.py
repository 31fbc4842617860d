"""A batch of files encoded, decoded or verified, and what became of them noted."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone

import numpy as np
import pyarrow as pa

from codec.api import SUFFIX, decode_file, encode_picture, read_info
from codec.app.conversion import PNG, Decoding
from codec.app.corpus.manifest import (
    MANIFEST,
    SCHEMA,
    Row,
    digest,
    facts_of,
    row_of,
    write_manifest,
)
from codec.app.corpus.planning import Job, Task
from codec.app.corpus.storage import folder_of, writing
from codec.app.own_process import own_process
from codec.app.shards import convert_shard, is_of, is_shard, members_of, renamed
from codec.errors import UsageError, reason
from codec.options import DecodeOptions
from codec.picture.color import psnr_of
from codec.picture.reading import Picture, picture_in

BEGUN = {"error": "not finished"}  # of a task whose output may be there
PSNR_TOLERANCE_DB = 0.1  # between machines


class Worker:
    """Does batches of a job's tasks, a core for each worker."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.source, self.source_root = folder_of(job.source)
        self.target, self.target_root = folder_of(job.target)
        self.encoding = replace(job.options, threads=1)
        self.decoding = DecodeOptions(max_pixels=job.options.max_pixels, threads=1)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Rows, also written to the manifest, of a batch of tasks."""
        tasks = [Task(**row) for row in batch.to_pylist()]
        fault = None
        if self.job.command != "verify":
            # So that outputs are known to be of this corpus if the worker is lost.
            fault = self.note(tasks, [self.row(task) | BEGUN for task in tasks])
        rows = [self.row(task) for task in tasks]
        if fault is None:
            with own_process():
                rows = [row for task in tasks for row in self.rows(task)]
            fault = self.note(tasks, rows)
        if fault is not None:
            rows = [row | {"error": row.get("error") or fault} for row in rows]
        return pa.Table.from_pylist(rows, SCHEMA)

    def note(self, tasks: Sequence[Task], rows: Sequence[Row]) -> str | None:
        """Write the rows of a batch to the manifest; why not, if that fails."""
        # The same name if it is noted again.
        names = "\n".join(f"{task.path} {task.version}" for task in tasks)
        name = hashlib.sha256(names.encode()).hexdigest()[:32]
        folder = f"{self.target_root}/{MANIFEST}/{self.job.command}"
        try:
            write_manifest(self.target, folder, name, rows)
        except Exception as error:  # file systems raise all kinds
            return f"not noted in the manifest: {reason(error)}"
        return None

    def row(self, task: Task) -> Row:
        """What is known of a task now."""
        return {
            "path": task.path,
            "version": task.version,
            "source_bytes": task.source_bytes,
            "output": self.job.output(task.path),
            "finished": datetime.now(timezone.utc),
        }

    def rows(self, task: Task) -> list[Row]:
        """What became of a file, or of the pictures in a tar file."""
        work = self.verified if self.job.command == "verify" else self.converted
        start = time.perf_counter()
        try:
            rows = work(task, self.job.output(task.path))
            rows = rows or [{}]  # a tar file without pictures
        except Exception as error:  # file systems raise all kinds
            rows = [{"error": reason(error)}]
        seconds = (time.perf_counter() - start) / len(rows)
        common = self.row(task) | {"seconds": seconds}
        return [common | row for row in rows]

    def converted(self, task: Task, output: str) -> list[Row]:
        source = f"{self.source_root}/{task.path}"
        target = f"{self.target_root}/{output}"
        convert, suffix = self.encoded, SUFFIX
        if self.job.command == "decode":
            convert, suffix = self.decoded, PNG
        with self.source.open(source, "rb") as file, writing(self.target, target) as to:
            if is_shard(task.path):
                results = convert_shard(file, to, self.job.pictures, suffix, convert)
                return [row_of(member, what) for member, what in results]
            data, row = convert(file.read())
            to.write(data)
            return [row]

    def encoded(self, content: bytes) -> tuple[bytes, Row]:
        options = self.encoding
        picture = picture_in(content, options.max_pixels, options.strip)
        data = encode_picture(picture, options)
        return data, facts_of(data) | {"psnr_db": self.psnr(data, picture)}

    def decoded(self, content: bytes) -> tuple[bytes, Row]:
        data, _ = Decoding(self.decoding, force=True).converted(content)
        facts = facts_of(content)
        return data, facts | {"output_bytes": len(data), "sha256": digest(data)}

    def psnr(self, data: bytes, picture: Picture) -> float:
        """Of the colors in an .aec file that can be seen; UsageError for another
        size.
        """
        decoded = np.asarray(decode_file(data, self.decoding).convert("RGB"))
        if decoded.shape != picture.rgb.shape:
            raise UsageError("the picture has another size")
        error = decoded.astype(np.float32) - picture.rgb
        if picture.visible is not None:
            error = error[picture.visible]
        return psnr_of(float(np.sum(error**2)) / max(error.size, 1))

    def verified(self, task: Task, output: str) -> list[Row]:
        source = f"{self.source_root}/{task.path}"
        target = f"{self.target_root}/{output}"
        if not task.expected:
            raise UsageError("not encoded, or changed since then")
        with self.source.open(source, "rb") as file, self.target.open(target) as coded:
            if not is_shard(task.path):
                return [self.compared(file.read(), coded.read(), task.expected[0])]
            outputs = {n: data for n, data in members_of(coded) if is_of({SUFFIX}, n)}
            members = {row["member"]: row for row in task.expected}
            rows = []
            for name, content in members_of(file):
                if not is_of(self.job.pictures, name):
                    continue
                data = outputs.get(renamed(name, SUFFIX), b"")
                try:
                    what: Row | str = self.compared(content, data, members[name])
                except KeyError:
                    what = "not encoded"
                except Exception as error:  # of whatever kind: the others are done
                    what = reason(error)
                rows.append(row_of(name, what))
            return rows

    def compared(self, content: bytes, data: bytes, expected: Row) -> Row:
        """The row of a source and what was encoded of it; UsageError if they differ
        more than they did then.
        """
        if digest(data) != expected["sha256"]:
            raise UsageError("the .aec file is not the one that was written")
        max_pixels = self.encoding.max_pixels
        picture = picture_in(content, max_pixels, ())
        if read_info(data).metadata != tuple(picture.metadata):
            # Without EXIF data it was turned upright.
            strip = set(picture.metadata) - set(read_info(data).metadata)
            picture = picture_in(content, max_pixels, strip)
        found, before = self.psnr(data, picture), expected["psnr_db"]
        if found < before - PSNR_TOLERANCE_DB:
            raise UsageError(f"PSNR is {found:.2f} dB and was {before:.2f} dB")
        return facts_of(data) | {"psnr_db": found}
