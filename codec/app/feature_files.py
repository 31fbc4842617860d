"""Descriptors of many files as a table, .npz or .csv, and distances between them."""

import csv
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codec.api import distance as distance
from codec.app.reporting import escaped

# Of formulas, also in full width.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", *"\uff1d\uff0b\uff0d\uff20")
SUFFIXES = (".npz", ".csv")


def table(target: str, described: dict[str, NDArray[np.float32]]) -> bytes:
    """The content of the table `target`, of descriptors by the name of their file.

    An .npz file has the arrays `files` (text) and `features` (float32 [files, length]);
    a .csv file, which is UTF-8, the columns `file`, `0`, `1` and so on.
    """
    if Path(target).suffix.lower() == ".npz":
        buffer = io.BytesIO()
        features = np.stack(list(described.values()))
        np.savez_compressed(buffer, files=np.array(list(described)), features=features)
        return buffer.getvalue()
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    length = len(next(iter(described.values())))
    writer.writerow(["file", *range(length)])
    writer.writerows([cell(name), *map(str, row)] for name, row in described.items())
    return text.getvalue().encode()


def cell(name: str) -> str:
    """The name of a file such that no program for tables takes it for a formula; it
    still names the file, but for escapes in place of bytes that are no UTF-8.
    """
    whole = "".join(escaped(c) if "\udc80" <= c <= "\udcff" else c for c in name)
    return f"./{whole}" if whole.startswith(FORMULA) else whole
