"""Descriptors of many files as a table, .npz or .csv, and distances between them."""

import csv
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SUFFIXES = (".npz", ".csv")


def table(target: str, described: dict[str, NDArray[np.float32]]) -> bytes:
    """The content of the table `target`, of descriptors by the name of their file.

    An .npz file has the arrays `files` (text) and `features` (float32 [files, length]);
    a .csv file the columns `file`, `0`, `1` and so on.
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
    writer.writerows([name, *map(str, row)] for name, row in described.items())
    return text.getvalue().encode()


def distance(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Root mean square difference of two descriptors."""
    return float(np.sqrt(np.mean((one - other) ** 2)))
