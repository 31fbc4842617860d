"""Where paths of URLs lead, and what of a folder is shown."""

import os
import re
import unicodedata
from pathlib import Path

from codec.api import SUFFIX

NOT_SHOWN = {"Cc", "Cs", "Zl", "Zp"}  # control characters, no Unicode, line ends
NUMBER = re.compile(r"([0-9]+)")


def place_of(root: Path, path: str) -> Path | None:
    """The place that a path names, links followed; None if it is not in the folder
    `root`, which has no links in its own path.
    """
    try:
        place = (root / path).resolve()
        if place.is_relative_to(root):
            place.exists()  # or it raises, where a name is too long
            return place
    except (OSError, ValueError, RuntimeError):  # NUL, too long, links in a circle
        pass
    return None


def is_picture(place: Path) -> bool:
    return place.suffix.lower() == SUFFIX and place.is_file()


def is_shown(name: str) -> bool:
    """Whether a name is no hidden one, and of characters that a page can show."""
    kinds = set(map(unicodedata.category, name))
    return not name.startswith(".") and not kinds & NOT_SHOWN


def names_in(root: Path, folder: Path) -> tuple[list[str], list[str]]:
    """Folders and pictures in a folder below `root`, as people sort them."""
    with os.scandir(folder) as entries:
        found = sorted(filter(None, (link_name(root, e) for e in entries)), key=order)
    folders = [name.rstrip("/") for name in found if name.endswith("/")]
    return folders, [name for name in found if not name.endswith("/")]


def link_name(root: Path, entry: os.DirEntry[str]) -> str:
    """Name of a folder, with a slash, or of a picture; "" for what is not shown."""
    if not is_shown(entry.name):
        return ""
    place: Path | os.DirEntry[str] | None = entry
    if entry.is_symlink():
        place = place_of(root, entry.path)
    if place is None:
        return ""
    if place.is_dir():
        return f"{entry.name}/"
    ours = entry.name.lower().endswith(SUFFIX) and place.name.lower().endswith(SUFFIX)
    return entry.name if ours and place.is_file() else ""


def order(name: str) -> list[tuple[int, str]]:
    """A key by which 9.aec comes before 10.aec, and B.aec after a.aec."""
    parts = NUMBER.split(name.casefold())
    return [(int(p[:18]), p) if p.isdecimal() else (0, p) for p in parts]
