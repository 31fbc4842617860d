"""A folder and all folders below it, converted by worker processes."""

import os
import tempfile
import unicodedata
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from codec.app import reporting, workers
from codec.app.conversion import Converted, tell_planned
from codec.app.progress_bar import counted
from codec.app.replacement import PREFIX
from codec.app.reporting import DRY_RUN, JSON, QUIET, VERBOSE, asked, tell
from codec.app.walking import files_under
from codec.app.workers import Convert
from codec.errors import UsageError, reason
from codec.machine import cpu_count
from codec.progress import Progress, no_progress


@dataclass(frozen=True)
class Task:
    source: Path
    target: Path
    size_bytes: int


@dataclass
class Summary:
    """Counts of files, bytes of those done, and a line for each that failed."""

    done: int = 0
    to_do: int = 0  # that --dry-run leaves
    up_to_date: int = 0
    left_out: int = 0  # files of other kinds
    bytes_in: int = 0
    bytes_out: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def found(self) -> bool:
        """Whether there was any file to convert."""
        return bool(self.done or self.to_do or self.up_to_date or self.failures)

    def fail(self, name: Path | str, why: str) -> None:
        self.failures.append(f"{name}: {why}")
        reporting.fail(str(name), why)

    def add(self, task: Task, result: Converted | str) -> None:
        """Count a file, and say what is to be said of it."""
        if isinstance(result, str):
            self.fail(task.source, result)
            return
        self.done += 1
        self.bytes_in += task.size_bytes
        self.bytes_out += result.size_bytes
        if asked(VERBOSE) or asked(JSON):
            result.tell(str(task.source), str(task.target))
        elif result.remark and not asked(QUIET):
            reporting.say(f"{task.source}: {result.remark}")
        result.tell_losses(str(task.source))
        for failure in result.failures:
            self.failures.append(f"{task.source}: {failure}")
            reporting.say(f"aecodec: {self.failures[-1]}")

    def __str__(self) -> str:
        parts = [f"{self.to_do} to do" if self.to_do else f"{self.done} done"]
        if self.done:
            ratio = self.bytes_out / max(self.bytes_in, 1)
            sizes = f"{self.bytes_in / 1e6:.3g} MB to {self.bytes_out / 1e6:.3g} MB"
            share = f" ({100 * ratio:.1f} %)" if ratio < 1 else ""
            parts[0] += f", {sizes}{share}"
        for count, what in (
            (self.up_to_date, "up to date"),
            (self.left_out, "of other kinds left out"),
            (len(self.failures), "failed"),
        ):
            parts += [f"{count} {what}"] * bool(count)
        return "; ".join(parts)


@dataclass(frozen=True)
class Mirrored:
    """A conversion that makes the folders of its targets, readable for those who may
    read the folders of the sources.
    """

    convert: Convert
    root: Path  # of the targets; there already

    def __call__(
        self, source: str, target: str, progress: Progress = no_progress
    ) -> Converted:
        self.make_folder(Path(source).parent, Path(target).parent)
        return self.convert(source, target, progress)

    def make_folder(self, source: Path, target: Path) -> None:
        if target == self.root or target.is_dir():
            return
        self.make_folder(source.parent, target.parent)
        try:
            target.mkdir(0o700 | source.stat().st_mode & 0o777, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot make {target}: {reason(error)}") from None


def convert_tree(
    source: Path,
    target: Path,
    with_threads: Callable[[int], Convert],
    rename: Callable[[str], str],
    kinds: Collection[str],
    jobs: int | None,
    force: bool,
    update: bool,
    timeout_s: float | None = None,
    dry_run: bool = False,
) -> Summary:
    """Convert every file of one of the `kinds` (suffixes) under `source` to a file at
    the same place under `target`, named by `rename`, in as many processes as cores or
    `jobs`.

    `with_threads` gives the conversion that uses so many threads, the share of each
    process. Files whose target is newer are left as they are, unless `force` is given,
    so a run that was stopped goes on; older targets are replaced if `update` is given,
    else they fail. A file that fails does not stop the others, nor does one that takes
    more than `timeout_s`. Links to folders are not followed. With `dry_run`, what would
    be done is told instead.
    """
    summary = Summary()
    found = planned(source, target, rename, kinds, summary)
    tasks = [t for t in found if force or is_due(t, update, summary)]
    if dry_run:
        summary.to_do = len(tasks)
        for t in tasks:
            tell_planned(str(t.source), str(t.target))
        return summary
    jobs = max(1, min(jobs or cpu_count(), len(tasks)))
    convert = Mirrored(with_threads(max(1, cpu_count() // jobs)), target)
    work = {workers.Task(str(t.source), str(t.target)): t for t in tasks}
    debug = reporting.debugging()
    results = workers.run(work, convert, jobs, timeout_s, debug)
    for key, result in counted(results, len(tasks)):
        summary.add(work[key], result)
    return summary


def planned(
    source: Path,
    target: Path,
    rename: Callable[[str], str],
    kinds: Collection[str],
    summary: Summary,
) -> Iterator[Task]:
    """A task for every file, by name. The rest is counted in `summary`."""
    writers: dict[str, dict[Path, Path]] = {}  # sources by targets of similar names

    def failed(name: str, error: OSError) -> None:
        summary.fail(name, reason(error))

    for path in files_under(source, failed, but=target):
        if path.suffix.lower() not in kinds:
            summary.left_out += 1
            continue
        place = path.relative_to(source).with_name(rename(path.name))
        similar = writers.setdefault(folded(place), {})
        try:
            for other, first in similar.items():
                if are_one_file(target, place, other):
                    raise UsageError(f"{first} is written to {target / place}, too")
            similar[place] = path
            if not path.is_file():
                raise UsageError("not a file")
            if os.path.realpath(target / place) == os.path.realpath(path):
                raise UsageError("would be replaced by its own output")
            yield Task(path, target / place, path.stat().st_size)
        except (OSError, UsageError) as error:
            summary.fail(path, reason(error))


def folded(place: Path) -> str:
    """The same for all names that a file system may take for one."""
    return unicodedata.normalize("NFKC", str(place).casefold())


def are_one_file(folder: Path, one: Path, other: Path) -> bool:
    """Whether two names below a folder are one to its file system."""
    if one == other:
        return True
    if asked(DRY_RUN):  # which writes nothing
        return False
    with tempfile.TemporaryDirectory(dir=folder, prefix=PREFIX) as place:
        made = Path(place, one)
        made.parent.mkdir(parents=True, exist_ok=True)
        made.touch()
        return os.path.lexists(Path(place, other))


def is_due(task: Task, update: bool, summary: Summary) -> bool:
    """Whether a task is to be done without force. If not, `summary` says why."""
    try:
        if is_newer(task):
            summary.up_to_date += 1
            if asked(VERBOSE) or asked(JSON):
                names = {"file": str(task.source), "output": str(task.target)}
                tell(f"{task.source}: up to date", {**names, "up_to_date": True})
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
