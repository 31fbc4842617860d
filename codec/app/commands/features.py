"""`aecodec features`."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

import codec
from codec.api import describe_file
from codec.app import feature_files
from codec.app.arguments import adapted, force_option, max_pixels_option, model_option
from codec.app.command_group import debug_option
from codec.app.files import check_target, read, write
from codec.app.own_process import start_engine_silently
from codec.app.reporting import each, run_all, show
from codec.options import DecodeOptions


@click.command()
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
@max_pixels_option
@debug_option
def features(
    files: Sequence[str],
    output: str | None,
    query: str | None,
    model: str | None,
    force: bool,
    max_pixels: int,
) -> None:
    """Describe the pictures in .aec files by numbers, without decoding them, for
    classification and search.
    """
    if (output is None) == (query is None):
        raise click.UsageError("expected either --output or --query")
    options = DecodeOptions(max_pixels=max_pixels, bundle=adapted(model))
    start_engine_silently()
    described: dict[str, Any] = {}
    models: list[int] = []

    def describe(name: str) -> None:
        data = read(name)
        models.append(codec.read_info(data).model_id)
        if models[-1] != models[0]:
            raise codec.UsageError("made with another model than the first file")
        described[name] = describe_file(data, options)

    if query is None:
        target = str(output)
        if Path(target).suffix.lower() not in feature_files.SUFFIXES:
            raise click.UsageError("--output is a .npz or .csv file")
        run_all([target], str, partial(check_target, force=force))
        well = each(files, str, describe)
        if described:
            data = feature_files.table(target, described)
            run_all([target], str, partial(write, data=data, force=force))
    else:
        run_all([query], str, describe)
        sought = described[query]
        well = each(files, str, describe)
        found = [
            (feature_files.distance(sought, described[f]), f)
            for f in files
            if f in described
        ]
        for how_far, name in sorted(found):
            show(f"{how_far:.3f} {name}")
    if not well:
        sys.exit(1)
