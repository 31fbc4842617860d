"""What the subcommands take alike."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from benchmarks.measurement import image_paths

Command = TypeVar("Command", bound=Callable[..., Any])


def with_images(
    context: click.Context, argument: click.Parameter, folder: Path
) -> Path:
    if not image_paths(folder):
        raise click.BadParameter(f"no images in {folder}")
    return folder


folder_argument = click.argument(
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    callback=with_images,
)
output_option = click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("benchmarks/results"),
    show_default=True,
    help="Folder for the results.",
)
results_option = click.option(
    "--results",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path("benchmarks/results"),
    show_default=True,
    help="Folder with the results of the other subcommands.",
)


def megapixels_option(
    default: Sequence[float], least: float = 0.1
) -> Callable[[Command], Command]:
    """Sizes of the pictures that are put together from those of the folder."""
    return click.option(
        "--megapixels",
        "sizes",
        type=click.FloatRange(min=least),
        multiple=True,
        default=default,
        show_default=True,
        help="Size of a picture; repeatable.",
    )
