"""The page that shows a folder: its templates, styles and scripts are in `pages`."""

import html
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from string import Template
from urllib.parse import quote

from codec.api import SUFFIX, read_info, verify
from codec.app.screen import size_text
from codec.app.service.answers import HEADERS, PAGE_POLICY, Answer
from codec.app.service.places import names_in
from codec.errors import CodecError, UsageError, reason

PAGES = Path(__file__).parent / "pages"
THUMBNAIL_PX = (256, 512)  # width of upright pictures, and of broad ones
FACTS_KEPT = 10_000  # by each process, of files that have not changed
READ_MAX_BYTES = 2**22  # of larger files, whose checksums are not tested
LISTED = 100  # pictures of a page; the next ones come as they are scrolled to


@dataclass(frozen=True)
class Services:
    """What the pages offer besides looking at pictures."""

    uploads: bool
    playground: bool


@dataclass(frozen=True)
class Facts:
    """What a page says of a picture; sizes are 0 where they are not known."""

    size_bytes: int
    width: int = 0  # upright
    height: int = 0
    quality: float = 0
    fault: str = ""
    left: bool = False  # whether something may be left of a damaged picture

    @property
    def text(self) -> str:
        size = size_text(self.size_bytes)
        if not self.width:
            return size
        rate_bpp = 8 * self.size_bytes / (self.width * self.height)
        return f"{size} · {rate_bpp:.2f} bpp · quality {self.quality:.0f}"


def facts_of(file: Path, max_pixels: int) -> Facts:
    """What is known of a file without decoding it, its checksums tested unless it is
    large; known again until it changes.
    """
    try:
        state = file.stat()
        return facts_in(file, state.st_size, state.st_mtime_ns, max_pixels)
    except OSError as error:  # removed meanwhile, or not for us
        return Facts(0, fault=reason(error))


@lru_cache(FACTS_KEPT)
def facts_in(file: Path, size_bytes: int, mtime_ns: int, max_pixels: int) -> Facts:
    """As `facts_of`, of a file that has not changed since it was of this time; of a
    large one what its beginning says. OSError if it cannot be read.
    """
    with file.open("rb") as opened:
        data = opened.read(READ_MAX_BYTES)
    try:
        info = read_info(data, whole=False)
    except CodecError as error:
        return Facts(size_bytes, fault=reason(error))
    width, height = info.width, info.height
    if info.orientation >= 5:
        width, height = height, width
    facts = Facts(size_bytes, width, height, info.quality)
    if width * height > max_pixels:
        fault = f"{width} x {height} pixels are more than are shown here"
        return replace(facts, fault=fault)
    if len(data) < size_bytes:
        return facts
    try:
        verify(data)
    except CodecError as error:
        return replace(facts, fault=reason(error), left=info.tiles > 1)
    return facts


def start_in(query: dict[str, str]) -> int:
    """How many pictures come before a page; UsageError if the query asks for what there
    is not.
    """
    start = query.get("from", "0")
    if set(query) - {"from"} or not (start.isascii() and start.isdigit()):
        raise UsageError("of a folder one asks ?from=NUMBER at most")
    return int(start[:9])


def page(
    root: Path, folder: Path, path: str, start: int, max_pixels: int, services: Services
) -> Answer:
    """A folder below `root`, the pictures from `start` on."""
    folders, pictures = names_in(root, folder)
    listed = pictures[start : start + LISTED]
    end = start + len(listed)
    names = [root.name or "/", *filter(None, path.split("/"))]
    content = filled(
        "folder.html",
        title=html.escape(names[-1]),
        top="../" * (len(names) - 1),
        path=html.escape(path),
        crumbs=crumbs(names),
        count=count_text(len(folders), len(pictures)),
        folders="".join(map(folder_item, folders if not start else ())),
        pictures="".join(
            picture_item(name, facts_of(folder / name, max_pixels)) for name in listed
        ),
        more=filled("more.html", start=str(end)) if end < len(pictures) else "",
        uploads="" if services.uploads else "hidden",
        playground="" if services.playground else "hidden",
        empty="hidden" if folders or pictures else "",
    )
    headers = {
        **HEADERS,
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": PAGE_POLICY,
        "Referrer-Policy": "no-referrer",
    }
    return Answer(content.encode(errors="replace"), headers=headers)


def crumbs(names: list[str]) -> str:
    """Links to the folders above, and the name of this one."""
    above = [
        filled("crumb.html", href="../" * (len(names) - 1 - depth), name=html.escape(n))
        for depth, n in enumerate(names[:-1])
    ]
    return "".join(above)


def count_text(folders: int, pictures: int) -> str:
    parts = [
        f"{count:,} {what}{'s' * (count != 1)}"
        for count, what in ((pictures, "picture"), (folders, "folder"))
        if count
    ]
    return ", ".join(parts)


def folder_item(name: str) -> str:
    return filled("subfolder.html", href=f"{quote(name)}/", name=html.escape(name))


def picture_item(name: str, facts: Facts) -> str:
    values = {
        "href": quote(name),
        "name": html.escape(name[: -len(SUFFIX)]),
        "file": html.escape(name),
        "facts": facts.text,
        "width": str(facts.width),
        "height": str(facts.height),
        "thumbnail_px": str(THUMBNAIL_PX[facts.width > facts.height]),
        "fault": html.escape(facts.fault),
        "left": "data-left" if facts.left else "",
    }
    return filled("damaged.html" if facts.fault else "picture.html", **values)


def filled(name: str, /, **values: str) -> str:
    """A template with its values, which are HTML."""
    return template(name).substitute(values)


@cache
def template(name: str) -> Template:
    return Template((PAGES / name).read_text(encoding="utf-8"))


def gallery_file(path: str) -> bytes | None:
    """A style or script of the page; None if there is none of this name."""
    found = {p.name: p for p in PAGES.iterdir() if p.suffix != ".html"}
    return found[path].read_bytes() if path in found else None
