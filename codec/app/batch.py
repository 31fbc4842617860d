"""Many files, or a folder of them, converted: where each goes, and what is reported."""

import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import click

from codec.app.conversion import Conversion, Converted
from codec.app.files import STREAM, check_target
from codec.app.progress_bar import progress_bar
from codec.app.reporting import run_all
from codec.app.shards import is_shard
from codec.picture.reading import quiet_pillow

FILES_AT_ONCE = 2


def plan(
    inputs: Sequence[str], output: str | None, suffix: str
) -> list[tuple[str, str]]:
    """(input, output) of every file; click.UsageError if two would write the same
    output.
    """
    folder = (
        output is not None
        and output != STREAM
        and (len(inputs) > 1 or output.endswith(("/", os.sep)) or Path(output).is_dir())
    )
    if output == STREAM and len(inputs) > 1:
        raise click.UsageError("several inputs cannot go to standard output")

    def target(source: str) -> str:
        name = Path("stdin" if source == STREAM else source)
        renamed = name if is_shard(source) else name.with_suffix(suffix)
        if folder:
            return str(Path(str(output)) / renamed.name)
        if output is not None:
            return output
        return STREAM if source == STREAM else str(renamed)

    for source in inputs:
        if source != STREAM and not Path(source).name:
            raise click.UsageError(f"{source!r} is not the name of a file")
    pairs = [(source, target(source)) for source in inputs]
    writers: dict[str, str] = {}
    for source, name in pairs:
        key = os.path.realpath(name)
        if STREAM not in (source, name) and key == os.path.realpath(source):
            raise click.UsageError(
                f"{source} would be replaced by its own output; outputs are named by -o"
            )
        if key in writers:
            raise click.UsageError(
                f"{writers[key]} and {source} would both write {name}"
            )
        writers[key] = source
    if folder:
        make_folder(Path(str(output)))
    return pairs


def make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.UsageError(f"{folder} is no folder: {error.strerror}") from None


def convert_folder(
    inputs: Sequence[str],
    output: str | None,
    conversion: Conversion,
    jobs: int | None,
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
    make_folder(Path(output))
    summary = convert_tree(
        Path(inputs[0]),
        Path(output),
        with_threads=conversion.with_threads,
        rename=conversion.rename,
        kinds=conversion.kinds,
        jobs=jobs,
        force=force,
        update=conversion.updates,
    )
    click.echo(f"{inputs[0]} -> {output}: {summary}", err=True)
    if summary.failures:
        sys.exit(1)


def convert_files(
    inputs: Sequence[str],
    output: str | None,
    conversion: Conversion,
    jobs: int | None,
) -> None:
    """Convert every input, report on standard error, exit 1 if one failed. Two are
    worked on at a time: one is read, entropy-coded or written while networks run on the
    other.
    """
    if jobs is not None:
        raise click.UsageError("--jobs is for --recursive")
    pairs = plan(inputs, output, conversion.suffix)
    single = len(pairs) == 1
    stopped = threading.Event()

    def go_on(share: float) -> None:
        if stopped.is_set():
            sys.exit()  # of the thread

    def one(pair: tuple[str, str]) -> Converted:
        source, target = pair
        check_target(target, conversion.force)
        with progress_bar(source) if single else nullcontext(go_on) as progress:
            return conversion(source, target, progress)

    def report(item: tuple[tuple[str, str], Callable[[], Converted]]) -> None:
        (source, target), result = item
        converted = result()
        click.echo(f"{source} -> {target}: {converted.facts}", err=True)
        for line in converted.losses_of(source):
            click.echo(line, err=True)

    # Threads share the filters of warnings, so they are set once for all.
    with quiet_pillow(), ThreadPoolExecutor(FILES_AT_ONCE) as pool:
        results: list[Callable[[], Converted]]
        if single:
            results = [partial(one, pairs[0])]
        else:
            results = [pool.submit(one, pair).result for pair in pairs]
        try:
            run_all(list(zip(pairs, results, strict=True)), lambda i: i[0][0], report)
        finally:
            stopped.set()
            pool.shutdown(cancel_futures=True)
