"""Where paths of URLs lead, and the pages that show folders."""

import html
import os
from pathlib import Path
from urllib.parse import quote

from codec.api import SUFFIX
from codec.app.service.answers import HEADERS, PAGE_POLICY, Answer

LISTED_MAX = 1000  # entries of a folder
THUMBNAIL_PX = 256
PAGE = """<!doctype html>
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font-family: sans-serif }} li {{ display: inline-block; margin: 4px }}
img {{ display: block; max-width: {width}px; max-height: {width}px }}
</style>
<h1>{title}</h1>
<ul>{entries}</ul>
<p>{note}</p>
"""


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


def page(root: Path, folder: Path, path: str) -> Answer:
    """Links to what is in a folder below `root`, titled with its path."""
    with os.scandir(folder) as entries:
        found = sorted(filter(None, (link_name(root, entry) for entry in entries)))
    folders = [name for name in found if name.endswith("/")]
    pictures = [name for name in found if not name.endswith("/")]
    listed = [*folders, *pictures][:LISTED_MAX]
    items = [
        f'<a href="{quote(name)}">{thumbnail_of(name)}{html.escape(name)}</a>'
        for name in listed
    ]
    more = len(found) - len(listed)
    content = PAGE.format(
        title=html.escape(f"/{path}"),
        width=THUMBNAIL_PX,
        entries="".join(f"<li>{item}</li>\n" for item in items),
        note=f"and {more} more" if more > 0 else "",
    )
    headers = {
        **HEADERS,
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": PAGE_POLICY,
    }
    return Answer(content.encode(), headers=headers)


def link_name(root: Path, entry: os.DirEntry[str]) -> str:
    """Name of a folder, with a slash, or of a picture; "" for what is not shown."""
    if entry.name.startswith(".") or not entry.name.isprintable():  # or no Unicode
        return ""
    place = place_of(root, entry.path) if entry.is_symlink() else Path(entry)
    if place is None:
        return ""
    if place.is_dir():
        return f"{entry.name}/"
    named = entry.name.lower().endswith(SUFFIX)
    return entry.name if named and is_picture(place) else ""


def thumbnail_of(name: str) -> str:
    """An image, unless it is a folder."""
    if name.endswith("/"):
        return ""
    query = f"?format=webp&amp;w={THUMBNAIL_PX}"
    return f'<img loading="lazy" alt="" src="{quote(name)}{query}">'
