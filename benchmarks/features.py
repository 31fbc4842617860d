"""The subcommand `features`: leaves told apart by latents, by HOG and by pixels."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

import codec
from benchmarks.environment import write_versions
from benchmarks.options import output_option
from benchmarks.results import write_rows
from benchmarks.scaling import timed

QUALITIES = (10, 60, 90)
FOLDS = 5
PCA_PARTS = 100
PIXELS_SIDE = 64


@dataclass(frozen=True)
class Classification:
    """Accuracy of the same linear classifier over stratified folds, from files of a
    quality; milliseconds a picture, from an .aec file to what describes it.
    """

    method: str
    quality: float
    rate_bpp: float
    accuracy: float
    milliseconds: float


def hog(data: bytes) -> NDArray[Any]:
    """Histograms of oriented gradients of the decoded picture."""
    from skimage import feature

    cells = {"pixels_per_cell": (16, 16), "cells_per_block": (2, 2)}
    return np.asarray(feature.hog(np.asarray(codec.decode(data)), **cells))


def pixels(data: bytes) -> NDArray[Any]:
    """The decoded picture, smaller."""
    side = PIXELS_SIDE, PIXELS_SIDE
    return np.asarray(codec.decode(data).resize(side, Image.Resampling.BOX)).ravel()


METHODS: dict[str, Callable[[bytes], NDArray[Any]]] = {
    "latents": codec.features,
    "HOG": hog,
    "pixels": pixels,
}


def accuracy(method: str, features: NDArray[Any], labels: NDArray[Any]) -> float:
    from sklearn.decomposition import PCA
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    steps = [PCA(PCA_PARTS, random_state=0)] * (method == "pixels")
    model = make_pipeline(
        *steps, StandardScaler(), RidgeClassifierCV(np.logspace(0, 5, 11))
    )
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    return float(cross_val_score(model, features, labels, cv=folds).mean())


def rows_of(folder: Path) -> Iterator[Classification]:
    with (folder / "labels.csv").open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    names, labels = (np.array(column) for column in list(zip(*rows, strict=True))[:2])
    for quality in QUALITIES:
        files = []
        for name in names:
            with Image.open(folder / name) as image:
                files.append(codec.encode(image, quality=quality, content="photo"))
        rate = float(np.mean([codec.read_info(data).rate_bpp for data in files]))
        for method, describe in METHODS.items():
            describe(files[0])  # loads what it needs
            seconds, features = timed(lambda: [describe(data) for data in files])  # noqa: B023
            found = accuracy(method, np.stack(features), labels)
            each = 1000 * seconds / len(files)
            yield Classification(method, quality, rate, found, each)
            click.echo(f"{method}, quality {quality}: {found:.3f}, {each:.1f} ms")


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@output_option
def features(folder: Path, output: Path) -> None:
    """Classify the pictures in FOLDER by the first two columns of its labels.csv."""
    digits = {"rate_bpp": ".3f", "accuracy": ".4f", "milliseconds": ".1f"}
    write_rows(output / "features.csv", Classification, list(rows_of(folder)), digits)
    write_versions(output / "features_versions.json", {})
