"""What the subcommands take alike."""

from pathlib import Path

import click

from benchmarks.measurement import image_paths


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
