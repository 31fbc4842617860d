"""`aecodec web`."""

from collections.abc import Iterable
from pathlib import Path

import click

from codec.app.arguments import force_option
from codec.app.command_group import debug_option
from codec.app.files import write
from codec.app.own_process import start_engine_silently
from codec.app.progress_bar import is_shown, progress_bar
from codec.app.reporting import run_all, say
from codec.app.samples import samples_of
from codec.errors import UsageError
from codec.web.site import site_files

DECODER = "aec.js"


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.argument(
    "pictures", nargs=-1, type=click.Path(path_type=Path), metavar="[PICTURE...]"
)
@force_option
@debug_option
def web(folder: Path, pictures: tuple[Path, ...], force: bool) -> None:
    """Write a decoder for browsers into FOLDER, as static files.

    Pages load aec.js and show files by <aec-img src="photo.aec">. Where there is an
    aec.js already, the files of that version are replaced. playground.html shows
    PICTUREs at some qualities, beside JPEG, WebP and AVIF at the same sizes.
    """

    def refuse_others(paths: Iterable[str]) -> None:
        for path in () if force or (folder / DECODER).exists() else paths:
            if (folder / path).exists():
                raise UsageError(f"{folder / path} exists; --force replaces it")

    def run(name: str) -> None:
        files = site_files()
        refuse_others(files)  # before the time that samples take
        with progress_bar(name, is_shown()) as progress:
            files = {**files, **samples_of(pictures, progress)}
        refuse_others(files)
        for path, data in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            write(str(target), data, force=True)
        size_bytes = sum(map(len, files.values()))
        say(
            f"{name}: {size_bytes / 1e6:.1f} MB; load {name}/aec.js in a page as "
            'type="module", then <aec-img src="photo.aec"> shows a file'
        )

    if pictures:
        start_engine_silently()
    run_all([str(folder)], str, run)
