"""`aecodec adapt`."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import click

import codec
from codec.app.arguments import force_option, max_pixels_option, tune_option
from codec.app.command_group import dry_run_option, reporting_options
from codec.app.extras import needs_extra
from codec.app.files import check_target, write
from codec.app.own_process import start_engine_silently
from codec.app.progress_bar import is_shown, progress_bar
from codec.app.reporting import DRY_RUN, asked, run_all, tell
from codec.picture.formats import readable_suffixes


def is_picture(path: Path) -> bool:
    return path.suffix.lower() in readable_suffixes() and path.is_file()


@click.command(short_help="Train a model on pictures like yours.")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    help="Adapted model to write, such as domain.aecm.",
)
@tune_option
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=300,
    show_default=True,
    help="Length of the training; some 0.4 s each on 2 cores.",
)
@force_option
@dry_run_option
@max_pixels_option
@reporting_options
def adapt(
    folder: Path, output: str, tune: str, steps: int, force: bool, max_pixels: int
) -> None:
    """Adapt a model to the pictures right in FOLDER, for --model of encode, decode,
    view, features and verify.

    Needs the packages of the extra `train`.
    """

    def run(folder: Path) -> None:
        check_target(output, force)
        pictures = [p for p in sorted(folder.iterdir()) if is_picture(p)]
        if not pictures:
            raise codec.UsageError("no pictures in it")
        record: dict[str, Any] = {"file": str(folder), "output": output}
        if asked(DRY_RUN):
            line = f"{folder} -> {output}: {len(pictures)} pictures, {steps} steps"
            tell(line, {**record, "pictures": len(pictures), "dry_run": True})
            return
        os.environ["KERAS_BACKEND"] = "tensorflow"
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with needs_extra("adapting", "train", ", Python 3.11 or 3.12"):
            from codec.training.adapt import adapt
        start_engine_silently()
        with progress_bar(str(folder), is_shown()) as progress:
            made = adapt(
                pictures,
                tune,
                steps=steps,
                max_pixels=max_pixels,
                progress=progress,
            )
        write(output, made.data, force)
        record |= {
            "size_bytes": len(made.data),
            "pictures": made.pictures,
            **dataclasses.asdict(made.gain),
        }
        more = f"`aecodec encode --model {output}` uses it"
        tell(f"{folder} -> {output}: {made}", record, more)

    run_all([folder], str, run)
