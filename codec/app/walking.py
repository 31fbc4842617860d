"""The files in a folder and in all folders below it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path


def files_under(
    folder: Path, failed: Callable[[str, OSError], None], but: Path | None = None
) -> Iterator[Path]:
    """All files under `folder`, by name, but those in the folder `but`, if that is
    under it. Links to folders are not followed. `failed` is told of folders that cannot
    be read.
    """

    def unreadable(error: OSError) -> None:
        failed(str(error.filename), error)

    for place, folders, names in os.walk(folder, onerror=unreadable):
        folders.sort()
        if but:
            left_out = os.path.realpath(but)
            folders[:] = (
                f for f in folders if os.path.realpath(Path(place, f)) != left_out
            )
        yield from (Path(place, name) for name in sorted(names))
