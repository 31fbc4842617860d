"""`aecodec search`."""

import json
import os
import sys
from pathlib import Path

import click

from codec.api import Sought, sought_picture
from codec.app.arguments import max_pixels_option
from codec.app.command_group import debug_option
from codec.app.files import read
from codec.app.own_process import start_engine_silently
from codec.app.reporting import debugging, explained, run_all, say, show
from codec.app.search.index import opened, place_of
from codec.app.search.update import changes, describe
from codec.errors import UsageError
from codec.options import DecodeOptions


@click.command()
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
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object per line and file."
)
@max_pixels_option
@debug_option
def search(folder: str, query: str, count: int, as_json: bool, max_pixels: int) -> None:
    """Find the .aec files in FOLDER and below that look most like PICTURE, which may be
    of any format, a copy or a part of what is sought.

    The first search describes every picture, once; later ones only what has changed.
    What is known is kept in the user's cache, less than 1 kB a picture. Links are not
    followed.
    """
    from tqdm import tqdm  # takes time to import

    options = DecodeOptions(max_pixels=max_pixels)
    found: list[Sought] = []
    well = True

    def failed(name: str, error: BaseException) -> None:
        nonlocal well
        well = False
        with tqdm.external_write_mode(file=sys.stderr):
            say(f"aecodec: {name}: {explained(error, debugging())}")

    def prepare(name: str) -> None:
        found.append(sought_picture(read(name), options))

    start_engine_silently()
    run_all([query], str, prepare)
    with opened(place_of(Path(folder))) as index:
        due = changes(index, Path(folder), failed)
        with tqdm(total=len(due), unit="file", disable=not sys.stderr.isatty()) as bar:
            for _ in describe(index, Path(folder), due, options, failed):
                bar.update()
        nearest = index.nearest(found[0], count)
    if not nearest and well:
        raise UsageError(f"no .aec files in {folder}")
    if nearest and not as_json:
        show("likeness      bytes  file")
    for picture in nearest:
        name = os.path.join(folder, picture.path)
        if as_json:
            likeness, size_bytes = round(picture.likeness, 4), picture.size_bytes
            facts = {"file": name, "likeness": likeness, "size_bytes": size_bytes}
            show(json.dumps(facts))
        else:
            show(f"{picture.likeness:8.3f} {picture.size_bytes:10} {name}")
    if not well:
        sys.exit(1)
