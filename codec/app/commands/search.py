"""`aecodec search`."""

import os
import sys
from contextlib import closing
from pathlib import Path

import click

from codec.api import Sought, sought_picture
from codec.app.arguments import max_pixels_option
from codec.app.command_group import reporting_options
from codec.app.files import read
from codec.app.own_process import start_engine_silently
from codec.app.progress_bar import counted
from codec.app.reporting import (
    JSON,
    QUIET,
    asked,
    debugging,
    explained,
    fail,
    run_all,
    show,
    tell,
)
from codec.app.search.index import database_of, opened
from codec.app.search.update import changes, describe
from codec.errors import UsageError
from codec.options import DecodeOptions


@click.command(short_help="Find pictures that look alike.")
@click.argument(
    "folder", type=click.Path(exists=True, file_okay=False), metavar="FOLDER"
)
@click.argument("query", metavar="PICTURE")
@click.option(
    "-k",
    "count",
    metavar="N",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="How many to show.",
)
@max_pixels_option
@reporting_options
def search(folder: str, query: str, count: int, max_pixels: int) -> None:
    """Find the .aec files in FOLDER and below that look most like PICTURE, which may be
    of any format, a copy or a part of what is sought.

    The first search describes every picture, once; later ones only what has changed.
    What is known is kept in the user's cache, less than 1 kB a picture. Links are not
    followed.
    """
    options = DecodeOptions(max_pixels=max_pixels)
    found: list[Sought] = []
    well = True

    def failed(name: str, error: BaseException) -> None:
        nonlocal well
        well = False
        fail(name, explained(error, debugging()))

    def prepare(name: str) -> None:
        found.append(sought_picture(read(name), options))

    start_engine_silently()
    run_all([query], str, prepare)
    with opened(database_of(Path(folder))) as index:
        due = changes(index, Path(folder), failed)
        with closing(describe(index, Path(folder), due, options, failed)) as described:
            for _ in counted(described, len(due)):
                pass
        nearest = index.nearest(found[0], count)
    if not nearest and well:
        failed(folder, UsageError("no .aec files in it"))
    if nearest and not (asked(JSON) or asked(QUIET)):
        show("likeness      bytes  file")
    for picture in nearest:
        name = os.path.join(folder, picture.path)
        likeness, size_bytes = round(picture.likeness, 4), picture.size_bytes
        facts = {"file": name, "likeness": likeness, "size_bytes": size_bytes}
        tell(f"{picture.likeness:8.3f} {size_bytes:10} {name}", facts, out=show)
    if not well:
        sys.exit(1)
