"""Pictures in the folder that look like one of them, as JSON."""

import json
import time
from contextlib import closing
from pathlib import Path

from codec.api import sought_alike
from codec.app.reporting import say
from codec.app.search.index import Index, database_of, opened
from codec.app.search.update import changes, describe
from codec.app.service.answers import HEADERS, Answer, line
from codec.app.service.places import is_shown
from codec.errors import UsageError, reason
from codec.options import DecodeOptions

SEARCH = ".search"  # of the URLs; no folder of this name is listed
ALIKE = 24  # pictures in an answer
UPDATE_S = 5.0  # about, for what has changed in the folder; the next request goes on


def alike(root: Path, picture: Path, max_pixels: int) -> Answer:
    """The pictures most like one in the folder `root`, the most alike first, of those
    that are shown: {"alike": [{"path", "likeness", "size_bytes"}], "left": the number
    of pictures that are not described yet}.
    """
    try:
        with opened(database_of(root)) as index:
            return answer(index, root, picture, DecodeOptions(max_pixels=max_pixels))
    except UsageError as error:  # no place for an index, which no client is told
        say(f"aecodec: {reason(error)}")
        return line("search is not to be had here", 503)


def answer(index: Index, root: Path, picture: Path, options: DecodeOptions) -> Answer:
    path, end_s = str(picture.relative_to(root)), time.monotonic() + UPDATE_S

    def failed(name: str, error: BaseException) -> None:
        pass  # the index knows; the pages show what is damaged

    due = changes(index, root, failed)
    due.sort(key=lambda change: change[0] != path)  # what is asked about comes first
    left = len(due)
    with closing(describe(index, root, due, options, failed)) as described:
        for _ in described:
            left -= 1
            if time.monotonic() > end_s:
                break
    known = index.fingerprint(path)
    if known is None:
        return line("cannot be described", 404)

    def shown(other: str) -> bool:
        return other != path and all(map(is_shown, Path(other).parts))

    found = [
        {
            "path": Path(picture.path).as_posix(),
            "likeness": round(picture.likeness, 4),
            "size_bytes": picture.size_bytes,
        }
        for picture in index.nearest(sought_alike(known), ALIKE, shown)
    ]
    body = json.dumps({"alike": found, "left": left}).encode()
    return Answer(body, headers={**HEADERS, "Content-Type": "application/json"})
