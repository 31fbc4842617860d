"""A corpus converted by the workers of a Ray cluster, or by Ray on this machine."""

import logging
import math
import os
import signal
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported home

import pyarrow as pa
import ray.data

from codec.app.conversion import tell_planned
from codec.app.corpus.manifest import Row
from codec.app.corpus.planning import TASKS, Job, Task, planned
from codec.app.corpus.storage import whole_uri
from codec.app.corpus.worker import Worker
from codec.app.folders import Summary
from codec.app.progress_bar import files_bar
from codec.app.reporting import DRY_RUN, JSON, VERBOSE, asked, tell
from codec.errors import CodecError, UsageError, reason
from codec.machine import native_stderr_silenced

BATCH_MAX, BATCH_BYTES = 32, 2**26  # files, and bytes from which on it is whole
BATCHES_EACH = 4  # of a worker at least, so that all end at about the same time
TRIES = 3  # of a batch whose worker is lost


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


def tell_done(name: str, row: Row) -> None:
    """Report a file of the corpus, or a member of one."""
    keys = ("width", "height", "rate_bpp", "psnr_db", "seconds")
    size = {"size_bytes": row["output_bytes"] or 0}
    record = {"file": name, "output": row["output"], **size}
    tell(
        f"{name} -> {row['output']}: {row['output_bytes'] or 0} bytes",
        record | {key: row[key] for key in keys},
        f"{row['seconds']:.1f} s",
    )


def convert_corpus(job: Job, jobs: int | None, force: bool) -> Summary:
    """Do all of a job that is not done, with a bar on standard error."""
    summary = Summary()
    job = replace(job, source=whole_uri(job.source), target=whole_uri(job.target))
    try:
        tasks = planned(job, force, summary)
    except (CodecError, OSError):
        raise
    except Exception as error:  # file systems and damaged manifests raise all kinds
        raise UsageError(reason(error)) from None
    if asked(DRY_RUN):
        summary.to_do = len(tasks)
        for task in tasks:
            tell_planned(task.path, job.output(task.path))
        return summary
    waiting, counted = {task.path for task in tasks}, set[str]()
    with files_bar(len(tasks)) as advance:
        for row in run(job, tasks, jobs) if tasks else ():
            if row["path"] in waiting:
                advance()
            waiting.discard(row["path"])
            name = "/".join(filter(None, (row["path"], row["member"])))
            if row["error"]:
                summary.fail(name, row["error"])
            else:
                if asked(VERBOSE) or asked(JSON):
                    tell_done(name, row)
                summary.done += 1
                if row["path"] not in counted:
                    summary.bytes_in += row["source_bytes"]
                counted.add(row["path"])
                summary.bytes_out += row["output_bytes"] or 0
    for path in waiting:
        summary.fail(path, "its worker was lost; not enough memory?")
    return summary
