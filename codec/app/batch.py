"""Many files, or a folder of them, converted: where each goes, and what is reported."""

import errno
import os
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from functools import partial
from pathlib import Path

import click

from codec.api import SUFFIX
from codec.app.conversion import (
    Conversion,
    Converted,
    check_source,
    tell_planned,
    timed,
)
from codec.app.files import STREAM
from codec.app.own_process import start_engine_silently
from codec.app.progress_bar import counted, is_shown, progress_bar
from codec.app.reporting import (
    DRY_RUN,
    JSON,
    QUIET,
    asked,
    debugging,
    each,
    run_all,
    say,
)
from codec.app.shards import SHARD_SUFFIX, is_shard
from codec.errors import CodecError, UsageError
from codec.picture.formats import SUFFIXES

FILES_AT_ONCE = 2
FILE_SUFFIXES = {SUFFIX, SHARD_SUFFIX, *SUFFIXES}  # that no folder has
Pair = tuple[str, str]  # of names: input, output
Results = Generator[tuple[Pair, Callable[[], Converted]], None, None]


def plan(
    inputs: Sequence[str], output: str | None, conversion: Conversion
) -> tuple[list[Pair], Path | None]:
    """((input, output) of every file, the folder that they go to if one is named);
    click.UsageError if two would write the same output.
    """
    named = output is not None and output != STREAM
    place = Path(output or "")
    folder = named and (str(output).endswith(("/", os.sep)) or place.is_dir())
    if len(inputs) > 1 and not folder:
        if output == STREAM:
            raise click.UsageError("several inputs cannot go to standard output")
        if place.suffix.lower() in FILE_SUFFIXES:
            raise click.UsageError(
                f"{output} is the name of a file; with several inputs -o names a folder"
            )
        folder = named

    def target(source: str) -> str:
        name = Path("stdin" if source == STREAM else source)
        renamed = name
        if name.name and not is_shard(source):
            renamed = name.with_name(conversion.beside(name.name))
        if folder:
            return str(place / renamed.name)
        if output is not None:
            return output
        return STREAM if source == STREAM else str(renamed)

    for source in inputs:
        if source != STREAM and not Path(source).name:
            raise click.UsageError(f"{source!r} is not the name of a file")
    pairs = [(source, target(source)) for source in inputs]
    writers: dict[str, str] = {}
    for source, name in pairs:
        key, own = (os.path.normcase(os.path.realpath(n)) for n in (name, source))
        if STREAM not in (source, name) and key == own:
            why = "would be replaced by its own output; outputs are named by -o"
            if Path(source).suffix.lower() == conversion.suffix and output is None:
                why = conversion.made_already
                if not Path(source).exists():
                    why = f"is not there; an output is named by -o {source}"
            raise click.UsageError(f"{source} {why}")
        if key in writers:
            raise click.UsageError(
                f"{writers[key]} and {source} would both write {name}"
            )
        writers[key] = source
    return pairs, place if folder else None


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """UsageError if there is none and none can be made."""
    try:
        folder.mkdir(mode, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make {folder}: {error.strerror}") from None


def check_folder(folder: Path) -> None:
    """UsageError as `make_folder`, for what is plain before it is made."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        number = errno.EACCES if there.is_dir() else errno.ENOTDIR
        raise UsageError(f"cannot make {folder}: {os.strerror(number)}")


def convert_folder(
    inputs: Sequence[str],
    output: str | None,
    conversion: Conversion,
    jobs: int | None,
    timeout_s: float,
    force: bool,
) -> None:
    """Convert the folder that is the one input, report on standard error, exit 1 if a
    file failed; see `convert_tree`.
    """
    from codec.app.folders import convert_tree  # takes time to import

    if len(inputs) > 1:
        raise click.UsageError("--recursive takes one folder")
    if not Path(inputs[0]).is_dir():
        raise click.UsageError(f"{inputs[0]} is no folder; --recursive takes one")
    if output is None or output == STREAM:
        raise click.UsageError("--recursive needs a folder to write to, -o FOLDER")
    dry_run = asked(DRY_RUN)
    if dry_run:
        check_folder(Path(output))
    else:
        readers = Path(inputs[0]).stat().st_mode & 0o777
        make_folder(Path(output), 0o700 | readers)
    summary = convert_tree(
        Path(inputs[0]),
        Path(output),
        with_threads=conversion.with_threads,
        rename=conversion.rename,
        kinds=conversion.kinds,
        jobs=jobs,
        force=force,
        update=conversion.updates,
        timeout_s=timeout_s,
        dry_run=dry_run,
    )
    if not summary.found:
        summary.fail(inputs[0], f"no {conversion.sought} in it")
    elif not (asked(QUIET) or asked(JSON)):
        say(f"{inputs[0]} -> {output}: {summary}")
    if summary.failures:
        sys.exit(1)


def convert_files(
    inputs: Sequence[str],
    output: str | None,
    conversion: Conversion,
    jobs: int | None,
    timeout_s: float | None,
) -> None:
    """Convert every input, report on standard error, exit 1 if one failed."""
    if jobs is not None:
        raise click.UsageError("--jobs is for --recursive")
    if timeout_s is not None and STREAM in (*inputs, output):
        raise click.UsageError("--timeout is for files")
    pairs, folder = plan(inputs, output, conversion)
    if asked(JSON) and any(target == STREAM for _, target in pairs):
        raise click.UsageError("--json needs standard output, and -o - does")
    if asked(DRY_RUN):
        run_all(pairs, lambda pair: pair[0], partial(rehearse, conversion, folder))
        return
    if folder:
        make_folder(folder)
    if timeout_s is None:
        results = converted_here(pairs, conversion)
    else:
        results = converted_by_worker(pairs, conversion, timeout_s)
    failures: list[str] = []

    def report(item: tuple[Pair, Callable[[], Converted]]) -> None:
        (source, target), result = item
        converted = result()
        converted.tell(source, target)
        converted.tell_losses(source)
        for failure in converted.failures:
            say(f"aecodec: {source}: {failure}")
            failures.append(failure)

    with closing(results):
        shown = counted(results, len(pairs))
        if not each(shown, lambda item: item[0][0], report) or failures:
            sys.exit(1)


def rehearse(conversion: Conversion, folder: Path | None, pair: Pair) -> None:
    """Say what would become of a pair, or raise what would keep it from that."""
    if folder and not folder.exists():
        check_source(pair[0])
        check_folder(folder)
    else:
        conversion.check(*pair)
    tell_planned(*pair)


def converted_here(pairs: Sequence[Pair], conversion: Conversion) -> Results:
    """What becomes of every pair, by calls that raise what failed. Two are worked on at
    a time: one is read, entropy-coded or written while networks run on the other.
    """
    single, shown = len(pairs) == 1, is_shown()  # which threads cannot tell
    stopped = threading.Event()

    def go_on(share: float) -> None:
        if stopped.is_set():
            sys.exit()  # of the thread

    def one(pair: Pair) -> Converted:
        bar = progress_bar(pair[0], shown) if single else nullcontext(go_on)
        with bar as progress:
            return timed(conversion, *pair, progress)

    start_engine_silently()
    with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
        if single:
            yield pairs[0], partial(one, pairs[0])
            return
        futures = [pool.submit(one, pair) for pair in pairs]
        try:
            for pair, future in zip(pairs, futures, strict=True):
                yield pair, future.result
        finally:
            stopped.set()
            pool.shutdown(cancel_futures=True)


def converted_by_worker(
    pairs: Sequence[Pair], conversion: Conversion, timeout_s: float
) -> Results:
    """As `converted_here`, in a process that is ended when it takes too long."""
    from codec.app.workers import Task, run  # takes time to import

    def told(result: Converted | str) -> Converted:
        if isinstance(result, str):
            raise CodecError(result)
        return result

    tasks = [Task(*pair) for pair in pairs]
    for task, result in run(tasks, conversion, 1, timeout_s, debugging()):
        yield (task.source, task.target), partial(told, result)
