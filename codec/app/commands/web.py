"""`aecodec web`."""

from pathlib import Path

import click

from codec.app.command_group import debug_option
from codec.app.reporting import run_all, say
from codec.web.site import write_site


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@debug_option
def web(folder: Path) -> None:
    """Write a decoder for browsers into FOLDER, as files for any web server.

    Pages load aec.js and show files by <aec-img src="photo.aec">. Files of an older
    version are replaced.
    """

    def run(name: str) -> None:
        size_bytes = write_site(folder)
        say(
            f"{name}: {size_bytes / 1e6:.1f} MB; load {name}/aec.js in a page as "
            'type="module", then <aec-img src="photo.aec"> shows a file'
        )

    run_all([str(folder)], str, run)
