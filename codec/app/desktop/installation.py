"""Files put into the data folder of one user, and taken away again."""

import contextlib
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import click

from codec.app.desktop.entries import (
    MAGIC_LINES,
    MIME_PACKAGE,
    desktop_entry,
    thumbnailer_entry,
)
from codec.app.desktop.man_pages import man_pages
from codec.app.files import write
from codec.errors import UsageError
from codec.web.site import PAGES

MAN = Path("man", "man1")
ICONS = Path("icons", "hicolor")


def data_home() -> Path:
    """Where the XDG Base Directory Specification has the data of a user."""
    given = Path(os.environ.get("XDG_DATA_HOME", ""))
    return given if given.is_absolute() else Path.home() / ".local" / "share"


def program() -> str:
    """Absolute path of the command `aecodec` that runs, or is installed beside this
    Python. UsageError if there is none.
    """
    installed = Path(sysconfig.get_path("scripts"), "aecodec")
    for place in (Path(sys.argv[0]).absolute(), installed):
        if place.name == "aecodec" and place.is_file() and os.access(place, os.X_OK):
            return str(place)
    raise UsageError("the command aecodec is not installed: pip install aecodec")


def contents(main: click.Command, program: str) -> dict[Path, str]:
    """Texts by their places in the data folder."""
    icon = (PAGES / "icon.svg").read_text("utf-8")
    return {
        Path("mime", "packages", "aecodec.xml"): MIME_PACKAGE,
        ICONS / "scalable" / "mimetypes" / "image-x-aec.svg": icon,
        ICONS / "scalable" / "apps" / "aecodec.svg": icon,
        Path("thumbnailers", "aecodec.thumbnailer"): thumbnailer_entry(program),
        Path("applications", "aecodec.desktop"): desktop_entry(program),
        **{MAN / name: text for name, text in man_pages(main).items()},
    }


def install(main: click.Command) -> list[Path]:
    """Put the files of the command `main` in place, and nothing else of an older
    version; where they are. UsageError or OSError if that fails.
    """
    home = data_home()
    texts = {home / place: text for place, text in contents(main, program()).items()}
    for place, text in texts.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        write(str(place), text.encode(), force=True)
    for page in set(man_pages_in(home)) - set(texts):
        page.unlink()
    bring_indexes_up_to_date(home)
    return [*texts, *add_magic()]


def remove(main: click.Command) -> list[Path]:
    """Take the files away, and the folders that this empties; which there were.
    OSError if that fails.
    """
    home = data_home()
    places = {home / place for place in contents(main, "")} | set(man_pages_in(home))
    found = sorted(place for place in places if os.path.lexists(place))
    for place in found:
        place.unlink()
    bring_indexes_up_to_date(home)
    for place in found:
        remove_empty(place.parent, home)
    return [*found, *remove_magic()]


def man_pages_in(home: Path) -> list[Path]:
    return [*(home / MAN).glob("aecodec.1"), *(home / MAN).glob("aecodec-*.1")]


def remove_empty(folder: Path, home: Path) -> None:
    """Remove a folder below `home` and those above it, as far as they are empty."""
    with contextlib.suppress(OSError):  # not empty
        while folder != home:
            folder.rmdir()
            folder = folder.parent


def bring_indexes_up_to_date(home: Path) -> None:
    """Those that desktops keep of what is in the data folder, where there are any."""
    if (home / "mime" / "packages").is_dir():
        run_if_found("update-mime-database", home / "mime")
    if (home / "applications").is_dir():
        run_if_found("update-desktop-database", home / "applications")
    icons = home / ICONS
    if icons.is_dir():
        os.utime(icons)  # by which programs see that there are others
    if (icons / "icon-theme.cache").exists():  # or other icons would go unnoticed
        run_if_found("gtk-update-icon-cache", "-f", "-t", icons)


def run_if_found(tool: str, *arguments: str | Path) -> None:
    """Call a tool of the desktop's, whose warnings are of other programs' files."""
    if shutil.which(tool):
        silent = subprocess.DEVNULL
        subprocess.run([tool, *arguments], stdout=silent, stderr=silent, check=False)


def add_magic() -> list[Path]:
    """Make `file` know .aec files, by the user's own lines of magic(5)."""
    path = Path.home() / ".magic"
    if path.is_dir() or path.with_suffix(".mgc").exists():
        return []  # compiled
    lines = path.read_bytes() if path.exists() else b""
    if MAGIC_LINES not in lines:
        separator = b"" if lines.endswith(b"\n") or not lines else b"\n"
        write(str(path), lines + separator + MAGIC_LINES, force=True)
    return [path]


def remove_magic() -> list[Path]:
    path = Path.home() / ".magic"
    if not path.is_file() or MAGIC_LINES not in (lines := path.read_bytes()):
        return []
    if rest := lines.replace(MAGIC_LINES, b""):
        write(str(path), rest, force=True)
    else:
        path.unlink()
    return [path]
