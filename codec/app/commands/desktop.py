"""`aecodec desktop`."""

import sys
from collections.abc import Callable
from pathlib import Path

import click

from codec.app.command_group import Commands, debug_option
from codec.app.desktop.installation import data_home, install, remove
from codec.app.files import read
from codec.app.own_process import start_engine_silently
from codec.app.picture_files import file_bytes
from codec.app.reporting import run_all, say
from codec.app.screen import thumbnail
from codec.errors import UsageError

THUMBNAIL_MAX_PIXELS = 2**26  # of the picture, as in `serve`


@click.group(cls=Commands)
def desktop() -> None:
    """Make .aec files known to your Linux desktop.

    File managers show thumbnails of them and open them with `aecodec view`; `file` and
    xdg-mime tell what they are; `man aecodec` has the help of all commands. All is for
    one user, in ~/.local/share (XDG_DATA_HOME) and ~/.magic.
    """


@desktop.command("install")
@debug_option
@click.pass_context
def install_desktop(context: click.Context) -> None:
    """Install MIME type, icon, thumbnailer, viewer and man pages.

    Do it again after an update of aecodec.
    """

    def run(home: Path) -> None:
        made = install(context.find_root().command)
        say(f"{home}: {len(made)} files; `aecodec desktop remove` takes them away")

    on_linux(run)


@desktop.command("remove")
@debug_option
@click.pass_context
def remove_desktop(context: click.Context) -> None:
    """Remove what `install` has installed, and nothing else."""

    def run(home: Path) -> None:
        removed = remove(context.find_root().command)
        say(f"{home}: {len(removed)} files removed")

    on_linux(run)


def on_linux(action: Callable[[Path], None]) -> None:
    """Do it for the data folder, where desktops go by freedesktop.org."""

    def run(home: Path) -> None:
        if sys.platform in ("darwin", "win32"):
            raise UsageError(
                "this is for Linux desktops; `aecodec view` works here, too"
            )
        action(home)

    run_all([data_home()], str, run)


@desktop.command("thumbnail")
@click.argument("file")
@click.argument("output")
@click.option(
    "--size",
    "size_px",
    type=click.IntRange(1, 4096),
    default=256,
    show_default=True,
    help="Pixels of the longer side.",
)
@debug_option
def write_thumbnail(file: str, output: str, size_px: int) -> None:
    """Write a thumbnail of FILE to OUTPUT, as PNG, as file managers ask for it."""

    def run(name: str) -> None:
        image = thumbnail(read(name), size_px, THUMBNAIL_MAX_PIXELS)
        # Not by another file in its place: tumbler has this one open, and reads it.
        try:
            Path(output).write_bytes(file_bytes(image, "PNG")[0])
        except OSError as error:
            raise UsageError(f"cannot write {output}: {error.strerror}") from None

    start_engine_silently()
    run_all([file], str, run)
