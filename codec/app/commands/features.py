"""`aecodec features`."""

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

import codec
from codec.api import describe_file
from codec.app import feature_files
from codec.app.arguments import adapted, force_option, max_pixels_option, model_option
from codec.app.command_group import dry_run_option, reporting_options
from codec.app.conversion import check_source, tell_planned
from codec.app.files import check_target, read, write
from codec.app.own_process import start_engine_silently
from codec.app.progress_bar import counted
from codec.app.reporting import (
    DRY_RUN,
    JSON,
    QUIET,
    asked,
    each,
    run_all,
    show,
    tell,
)
from codec.options import DecodeOptions


@click.command(short_help="Describe pictures by numbers, find copies.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Table to write: .npz with the arrays files and features, or .csv.",
)
@click.option(
    "--query",
    metavar="FILE",
    help="Show instead how far the pictures are from this one, the nearest first.",
)
@model_option
@force_option
@dry_run_option
@max_pixels_option
@reporting_options
def features(
    files: Sequence[str],
    output: str | None,
    query: str | None,
    model: str | None,
    force: bool,
    max_pixels: int,
) -> None:
    """Describe the pictures in .aec files by numbers, without decoding them, for
    classification and search. Gray and mirrored copies of a picture are near to it.
    """
    if (output is None) == (query is None):
        raise click.UsageError("expected either --output or --query")

    def rehearse(name: str) -> None:
        check_source(name)
        tell_planned(name, str(output))

    if output is not None:
        if Path(output).suffix.lower() not in feature_files.SUFFIXES:
            raise click.UsageError("--output is a .npz or .csv file")
        run_all([output], str, partial(check_target, force=force))
        if asked(DRY_RUN):
            run_all(files, str, rehearse)
            return
    options = DecodeOptions(max_pixels=max_pixels, bundle=adapted(model))
    start_engine_silently()
    described: dict[str, NDArray[np.float32]] = {}
    models: list[int] = []

    def describe(name: str) -> None:
        data = read(name)
        models.append(codec.read_info(data).model_id)
        if models[-1] != models[0]:
            raise codec.UsageError("made with another model than the first file")
        described[name] = describe_file(data, options)

    if query is not None:
        run_all([query], str, describe)
    well = each(counted(files, len(files)), str, describe)
    found = {name: described[name] for name in files if name in described}
    if query is not None:
        show_nearest(described[query], found)
    elif output is not None and found:
        data = feature_files.table(output, found)
        run_all([output], str, partial(write, data=data, force=force))
        length = len(next(iter(found.values())))
        facts = f"{len(found)} of {len(set(files))} files, {length} numbers each"
        record = {"output": output, "pictures": len(found), "numbers": length}
        tell(f"{output}: {facts}", record)
    if not well:
        sys.exit(1)


def show_nearest(
    sought: NDArray[np.float32], found: Mapping[str, NDArray[np.float32]]
) -> None:
    """A table of how far the files are, the nearest first."""
    distances = [
        (feature_files.distance(sought, other), name) for name, other in found.items()
    ]
    if found and not (asked(JSON) or asked(QUIET)):
        show("distance  file")
    for how_far, name in sorted(distances):
        record = {"file": name, "distance": round(how_far, 4)}
        tell(f"{how_far:8.3f}  {name}", record, out=show)
