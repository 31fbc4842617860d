"""A folder and all folders below it, converted by worker processes."""

import itertools
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Collection, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

import click
from tqdm import tqdm

from codec.app.conversion import Conversion, Converted
from codec.errors import CodecError, UsageError, reason
from codec.machine import cpu_count

QUEUED_PER_JOB = 2
JOBS_MAX = 60  # Windows can wait for no more


@dataclass(frozen=True)
class Task:
    source: Path
    target: Path
    size_bytes: int


@dataclass
class Summary:
    """Counts of files, bytes of those done, and a line for each that failed."""

    done: int = 0
    up_to_date: int = 0
    left_out: int = 0  # files of other kinds
    bytes_in: int = 0
    bytes_out: int = 0
    failures: list[str] = field(default_factory=list)

    def fail(self, name: Path | str, why: str) -> None:
        self.failures.append(f"{name}: {why}")
        say(f"aecodec: {self.failures[-1]}")

    def __str__(self) -> str:
        parts = [f"{self.done} done"]
        if self.done:
            ratio = self.bytes_out / max(self.bytes_in, 1)
            sizes = f"{self.bytes_in / 1e6:.3g} MB to {self.bytes_out / 1e6:.3g} MB"
            parts[0] += f", {sizes} ({100 * ratio:.1f} %)"
        for count, what in (
            (self.up_to_date, "up to date"),
            (self.left_out, "of other kinds left out"),
            (len(self.failures), "failed"),
        ):
            parts += [f"{count} {what}"] * bool(count)
        return "; ".join(parts)


def convert_tree(
    source: Path,
    target: Path,
    with_threads: Callable[[int], Conversion],
    rename: Callable[[str], str],
    kinds: Collection[str],
    jobs: int | None,
    force: bool,
    update: bool,
) -> Summary:
    """Convert every file of one of the `kinds` (suffixes) under `source` to a file at
    the same place under `target`, named by `rename`, in as many processes as cores or
    `jobs`.

    `with_threads` gives the conversion that uses so many threads, the share of each
    process. Files whose target is newer are left as they are, unless `force` is given,
    so a run that was stopped goes on; older targets are replaced if `update` is given,
    else they fail. A file that fails does not stop the others. Links to folders are not
    followed.
    """
    summary = Summary()
    found = planned(source, target, rename, kinds, summary)
    tasks = [t for t in found if force or is_due(t, update, summary)]
    jobs = max(1, min(jobs or cpu_count(), len(tasks), JOBS_MAX))
    convert = with_threads(max(1, cpu_count() // jobs))
    bar = tqdm(total=len(tasks), unit="file", disable=not sys.stderr.isatty())
    with bar:
        for task, result in run(tasks, convert, jobs):
            bar.update()
            if isinstance(result, Converted):
                summary.done += 1
                summary.bytes_in += task.size_bytes
                summary.bytes_out += result.size_bytes
                for line in result.losses_of(str(task.source)):
                    say(line)
            else:
                summary.fail(task.source, result)
    return summary


def say(line: str) -> None:
    """Print a line on standard error, above the bar if there is one."""
    with tqdm.external_write_mode(file=sys.stderr):
        click.echo(line, err=True)


def planned(
    source: Path,
    target: Path,
    rename: Callable[[str], str],
    kinds: Collection[str],
    summary: Summary,
) -> Iterator[Task]:
    """A task for every file, by name. The rest is counted in `summary`."""
    writers: dict[str, Path] = {}
    for path in files_under(source, target, summary):
        if path.suffix.lower() not in kinds:
            summary.left_out += 1
            continue
        place = target / path.relative_to(source).with_name(rename(path.name))
        first = writers.setdefault(str(place).casefold(), path)
        try:
            if first is not path:
                raise UsageError(f"{first} is written to {place}, too")
            if not path.is_file():
                raise UsageError("not a file")
            if os.path.realpath(place) == os.path.realpath(path):
                raise UsageError("would be replaced by its own output")
            yield Task(path, place, path.stat().st_size)
        except (OSError, UsageError) as error:
            summary.fail(path, reason(error))


def is_due(task: Task, update: bool, summary: Summary) -> bool:
    """Whether a task is to be done without force. If not, `summary` says why."""
    try:
        if is_newer(task):
            summary.up_to_date += 1
            return False
        if os.path.lexists(task.target) and not update:
            raise UsageError(f"{task.target} exists and is older; --force replaces it")
    except (OSError, UsageError) as error:
        summary.fail(task.source, reason(error))
        return False
    return True


def is_newer(task: Task) -> bool:
    """Whether the target is a file, not empty, and at least as new as the source."""
    if not task.target.is_file() or not task.target.stat().st_size:
        return False
    return task.target.stat().st_mtime >= task.source.stat().st_mtime


def files_under(folder: Path, target: Path, summary: Summary) -> Iterator[Path]:
    """All files under `folder` but those in `target`, if that is under it, too."""

    def unreadable(error: OSError) -> None:
        summary.fail(Path(error.filename), reason(error))

    for place, folders, names in os.walk(folder, onerror=unreadable):
        outputs = os.path.realpath(target)
        folders[:] = sorted(
            name for name in folders if os.path.realpath(Path(place, name)) != outputs
        )
        yield from (Path(place, name) for name in sorted(names))


def run(
    tasks: Collection[Task], convert: Conversion, jobs: int
) -> Iterator[tuple[Task, Converted | str]]:
    """(task, what became of it, or why it failed), as they are done.

    A task whose process dies is tried again, alone, so that no other is lost with it.
    """
    lost: list[Task] = []
    remaining = iter(tasks)
    while broken := (yield from run_pool(remaining, convert, jobs)):
        lost += broken
    for task in lost:
        if is_newer(task):  # written, then the worker died
            yield task, Converted("", [], task.target.stat().st_size)
        elif (yield from run_pool(iter([task]), convert, 1)):
            yield task, "the process that worked on it died; not enough memory?"


def run_pool(
    tasks: Iterator[Task], convert: Conversion, jobs: int
) -> Generator[tuple[Task, Converted | str], None, list[Task]]:
    """As `run`, in one pool of processes. Returns the tasks that were lost with it."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, start_worker)
    pending: dict[Future[Converted | str], Task] = {}
    lost: list[Task] = []
    try:
        while not lost:
            for task in itertools.islice(tasks, QUEUED_PER_JOB * jobs - len(pending)):
                try:
                    pending[pool.submit(work, convert, task)] = task
                except BrokenProcessPool:
                    lost.append(task)
                    break
            if not pending:
                break
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                task = pending.pop(future)
                try:
                    yield task, future.result()
                except BrokenProcessPool:
                    lost.append(task)
        # Some of the others may have been done before the pool broke.
        for future, task in pending.items():
            try:
                yield task, future.result()
            except BrokenProcessPool:
                lost.append(task)
        return lost
    except BaseException:  # stopped: give up what is half done
        for process in multiprocessing.active_children():
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's business
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


def work(convert: Conversion, task: Task) -> Converted | str:
    folder = task.target.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"cannot make {folder}: {reason(error)}"
    try:
        return convert(str(task.source), str(task.target))
    except (CodecError, OSError, MemoryError) as error:
        return reason(error)
    except SystemExit as stop:  # or the pool would take it for a result
        os._exit(int(str(stop.code)))
