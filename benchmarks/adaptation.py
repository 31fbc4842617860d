"""The subcommand `adaptation`: what adapting to a domain of pictures is worth, in bytes
and to a classifier.
"""

import csv
import io
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

import codec
from benchmarks.environment import write_versions
from benchmarks.measurement import image_paths, load_rgb
from benchmarks.metrics import psnr
from benchmarks.options import output_option
from benchmarks.results import write_rows
from benchmarks.scaling import timed
from codec.networks.bundle import Bundle
from codec.networks.shipped import TUNES, load_bundle

TUNE = "psnr"  # the one that adapting trains for, too
QUALITIES = (10, 30, 50, 70, 85, 100)
ADAPTED_ON, HELD_OUT = 100, 30  # pictures, at most
HELD_OUT_SHARE = 1 / 3
LABELS = "labels.csv"
PER_CLASS = 20  # pictures; half train the classifier, half test it
FEATURE_QUALITY = 60
PARTS = 100  # principal components that CORAL aligns
RIDGES = np.logspace(0, 5, 11)


@dataclass(frozen=True)
class Adapted:
    """Means over `held_out` pictures at a quality, of a model that is the base or was
    adapted to `pictures` others in `seconds`; rates of whole files.
    """

    domain: str
    model: str
    pictures: int
    held_out: int
    seconds: float
    model_bytes: int
    quality: float
    bpp: float
    psnr: float


@dataclass(frozen=True)
class Transfer:
    """Accuracy in a degraded domain of a classifier trained on clean pictures, of other
    pictures of the same classes, after aligning the features, without labels.
    """

    domain: str
    alignment: str
    accuracy: float


def split(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """(to adapt to, held out), at random but always the same."""
    order = np.random.default_rng(0).permutation(len(paths))
    held_out = min(HELD_OUT, round(HELD_OUT_SHARE * len(paths)))
    shuffled = [paths[i] for i in order]
    return shuffled[held_out:][:ADAPTED_ON], shuffled[:held_out]


def adapt(paths: Sequence[Path], file: Path, steps: int) -> None:
    """`aecodec adapt` on copies of the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            (Path(folder) / path.name).write_bytes(path.read_bytes())
        command = [sys.executable, "-m", "codec", "adapt", folder, "-o", str(file)]
        command += ["--tune", TUNE, "--steps", str(steps), "--force"]
        subprocess.run(command, check=True)


def curve(
    paths: Sequence[Path], bundle: Bundle
) -> Iterator[tuple[float, float, float]]:
    """(quality, bits per pixel, PSNR in dB), means over the pictures."""
    images = [load_rgb(path) for path in paths]
    for quality in QUALITIES:
        rates, qualities = [], []
        for image in images:
            data = codec.encode(image, quality=quality, content="photo", bundle=bundle)
            decoded = np.asarray(codec.decode(data, bundle=bundle).convert("RGB"))
            rates.append(codec.read_info(data).rate_bpp)
            qualities.append(psnr(np.asarray(image), decoded))
        yield quality, fmean(rates), fmean(qualities)


def rows_of(folder: Path, steps: int) -> Iterator[Adapted]:
    chosen, held_out = split(image_paths(folder))
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / f"{folder.name}.aecm"
        seconds, _ = timed(lambda: adapt(chosen, file, steps))
        size = file.stat().st_size
        base = load_bundle(TUNES[TUNE].model_id)
        models = {"base": base, "adapted": codec.read_model(file)}
    for name, bundle in models.items():
        made = (len(chosen), len(held_out), seconds, size)
        for point in curve(held_out, bundle):
            yield Adapted(folder.name, name, *made, *point)


def as_jpeg(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=10)
    return Image.open(file)


def noisy(image: Image.Image) -> Image.Image:
    values = np.asarray(image, np.float64)
    random = np.random.default_rng(zlib.crc32(image.tobytes()))
    values = values + random.normal(0, 20, values.shape)
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


DEGRADATIONS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "clean": lambda image: image,
    "JPEG of quality 10": as_jpeg,
    "blur, sigma 2": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    "noise, sigma 20": noisy,
    "turned by 90 degrees": lambda image: image.transpose(Image.Transpose.ROTATE_90),
}


def labeled(folder: Path) -> tuple[list[Path], NDArray[Any]]:
    """(paths, labels) of PER_CLASS pictures of each class, in the order of LABELS."""
    with (folder / LABELS).open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    by_class: dict[str, list[Path]] = {}
    for name, label, *_ in rows:
        by_class.setdefault(label, []).append(folder / name)
    chosen = [
        (p, label) for label, paths in by_class.items() for p in paths[:PER_CLASS]
    ]
    return [path for path, _ in chosen], np.array([label for _, label in chosen])


def described(
    paths: Sequence[Path], degrade: Callable[[Image.Image], Image.Image]
) -> NDArray[Any]:
    """Features of the files of degraded pictures."""
    found = []
    for path in paths:
        with Image.open(path) as image:
            data = codec.encode(
                degrade(image), tune=TUNE, quality=FEATURE_QUALITY, content="photo"
            )
        found.append(codec.features(data))
    return np.stack(found)


Split = tuple[NDArray[Any], NDArray[Any]]  # features to train on, and to test on


def unaligned(source: NDArray[Any], target: NDArray[Any]) -> Split:
    """Both in the mean and the spread of the source."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(source)
    return scaler.transform(source), scaler.transform(target)


def standardized(source: NDArray[Any], target: NDArray[Any]) -> Split:
    """Each with the mean 0 and the spread 1."""
    from sklearn.preprocessing import StandardScaler

    first, second = (StandardScaler().fit_transform(part) for part in (source, target))
    return first, second


def coral(source: NDArray[Any], target: NDArray[Any]) -> Split:
    """The source with the covariance of the target, among principal components of
    both, standardized (Sun, Feng and Saenko, "Return of frustratingly easy domain
    adaptation", AAAI 2016).
    """
    from sklearn.decomposition import PCA

    first, second = standardized(source, target)
    parts = PCA(min(PARTS, len(first)), random_state=0)
    parts.fit(np.concatenate([first, second]))
    first, second = parts.transform(first), parts.transform(second)
    whitened = first @ root(first, -0.5) @ root(second, 0.5)
    return whitened, second


def root(features: NDArray[Any], power: float) -> NDArray[Any]:
    """Power of their covariance plus the identity."""
    values, vectors = np.linalg.eigh(
        np.cov(features, rowvar=False) + np.eye(features.shape[1])
    )
    return (vectors * values**power) @ vectors.T


ALIGNMENTS = {
    "none": unaligned,
    "standardized in each domain": standardized,
    "CORAL": coral,
}


def transfers(folder: Path) -> Iterator[Transfer]:
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.model_selection import train_test_split

    paths, labels = labeled(folder)
    first, second = train_test_split(
        np.arange(len(paths)), test_size=0.5, stratify=labels, random_state=0
    )

    def accuracy(pair: Split) -> float:
        classifier = RidgeClassifierCV(RIDGES).fit(pair[0], labels[first])
        return float(classifier.score(pair[1], labels[second]))

    clean = described(paths, DEGRADATIONS["clean"])
    for name, degrade in DEGRADATIONS.items():
        features = described(paths, degrade)
        source, target = clean[first], features[second]
        for alignment, align in ALIGNMENTS.items():
            yield Transfer(name, alignment, accuracy(align(source, target)))
        within = unaligned(features[first], target)
        yield Transfer(name, "trained in the same domain", accuracy(within))


@click.command()
@click.argument(
    "folders",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@output_option
@click.option("--steps", type=click.IntRange(min=1), default=300, show_default=True)
def adaptation(folders: Sequence[Path], output: Path, steps: int) -> None:
    """Adapt a model to the pictures in each of the FOLDERS, and measure it on others;
    where labels.csv names their classes, classify degraded pictures, too.
    """
    rows: list[Adapted] = []
    moved: list[Transfer] = []
    for folder in folders:
        if not all(split(image_paths(folder))):
            raise click.UsageError(f"{folder} has too few pictures")
    for folder in folders:
        for row in rows_of(folder, steps):
            rows.append(row)
            click.echo(row)
        if (folder / LABELS).exists():
            for transfer in transfers(folder):
                moved.append(transfer)
                click.echo(transfer)
    digits = {"seconds": ".0f", "bpp": ".5f", "psnr": ".3f"}
    write_rows(output / "adaptation.csv", Adapted, rows, digits)
    if moved:
        name = "adaptation_features.csv"
        write_rows(output / name, Transfer, moved, {"accuracy": ".4f"})
    write_versions(output / "adaptation_versions.json", {"steps": steps})
