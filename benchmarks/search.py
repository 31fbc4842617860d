"""The subcommand `search`: which changed copies find their picture, and how soon."""

import io
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

import codec
from benchmarks.environment import write_versions
from benchmarks.measurement import image_paths
from benchmarks.options import folder_argument, output_option
from benchmarks.results import write_rows
from codec.api import fingerprint_file, sought_picture
from codec.app.search.index import State, opened
from codec.networks.descriptors import GRID
from codec.networks.fingerprints import FINGERPRINT_BYTES, fit
from codec.options import DecodeOptions

SIDE_PX = 384  # the longer one, of pictures in the collection
QUERIES = 200
FITTED = 150  # pictures whose copies a projection is fitted to
FIRST = (1, 5)
SIZES = (10_000, 100_000)
TRIES = 100
JPEG_QUALITY = 30
DEGREES = 5
WITHIN = 0.85  # of the sides, that is inside a picture after it is turned

Copy = Callable[[Image.Image, np.random.Generator], Image.Image]


@dataclass(frozen=True)
class Recall:
    """Share of changed copies whose picture is the first of those found, or one of the
    first five.
    """

    copies: str
    pictures: int
    queries: int
    first: float
    first_five: float


@dataclass(frozen=True)
class Answer:
    """Of an index of fingerprints at random: its bytes for a picture, the shortest time
    of an answer, with the file opened anew, and the median of a core's work for it.
    """

    pictures: int
    bytes_each: float
    seconds: float
    core_seconds: float


def crop(share: float) -> Copy:
    """A part with sides of this share, anywhere."""

    def copy(image: Image.Image, random: np.random.Generator) -> Image.Image:
        width, height = round(share * image.width), round(share * image.height)
        left = int(random.integers(image.width - width + 1))
        top = int(random.integers(image.height - height + 1))
        return image.crop((left, top, left + width, top + height))

    return copy


def flip(image: Image.Image, random: np.random.Generator) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def half(image: Image.Image, random: np.random.Generator) -> Image.Image:
    size = max(1, image.width // 2), max(1, image.height // 2)
    return image.resize(size, Image.Resampling.LANCZOS)


def gray(image: Image.Image, random: np.random.Generator) -> Image.Image:
    return image.convert("L")


def jpeg(image: Image.Image, random: np.random.Generator) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=JPEG_QUALITY)
    return Image.open(file).convert("RGB")


def turned(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Without the corners that turning leaves empty."""
    image_turned = image.rotate(DEGREES, Image.Resampling.BICUBIC)
    width, height = round(WITHIN * image.width), round(WITHIN * image.height)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image_turned.crop((left, top, left + width, top + height))


COPIES: dict[str, Copy] = {
    "crop, 80 % of each side": crop(0.8),
    "crop, 50 % of each side": crop(0.5),
    "mirrored": flip,
    "half the size": half,
    "gray": gray,
    f"JPEG, quality {JPEG_QUALITY}": jpeg,
    f"turned by {DEGREES} degrees": turned,
}


def small(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.draft("RGB", (2 * SIDE_PX, 2 * SIDE_PX))
        picture = image.convert("RGB")
    picture.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
    return picture


def parts(image: Image.Image) -> NDArray[np.float32]:
    """Features of the parts of a coded picture, [parts, channels]."""
    data = codec.encode(image, content="photo")
    return codec.features(data).reshape(GRID**2, -1)


def fitted(images: list[Image.Image], target: Path) -> None:
    """Write the projection for the default model."""
    random = np.random.default_rng(0)
    plain = [parts(image) for image in images]
    changes = [
        parts(change(image, random)) - known
        for image, known in zip(images[:FITTED], plain, strict=False)
        for change in (half, gray, jpeg)
    ]
    mean, matrix = fit(np.concatenate(plain), np.concatenate(changes))
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez(target, mean=mean, matrix=matrix)


def recalls(images: list[Image.Image], scratch: Path) -> Iterator[Recall]:
    """Queries are made of pictures that no projection is fitted to."""
    random, options = np.random.default_rng(1), DecodeOptions()
    with opened(scratch / "recall.db") as index:
        for number, image in enumerate(images):
            data = codec.encode(image, content="photo")
            index.put(str(number), State(len(data), 0), fingerprint_file(data, options))
        click.echo(f"{len(images)} pictures described")
        chosen = random.permutation(np.arange(1, len(images), 2))[:QUERIES]
        for name, change in COPIES.items():
            ranks = []
            for number in chosen:
                file = io.BytesIO()
                change(images[number], random).save(file, "PNG")
                sought = sought_picture(file.getvalue(), options)
                found = [f.path for f in index.nearest(sought, max(FIRST))]
                ranks.append(
                    found.index(str(number)) if str(number) in found else len(images)
                )
            shares = [float(np.mean([rank < n for rank in ranks])) for n in FIRST]
            yield Recall(name, len(images), len(chosen), *shares)
            click.echo(f"{name}: {shares[0]:.3f} first, {shares[1]:.3f} of five")


def answers(sought: bytes, scratch: Path) -> Iterator[Answer]:
    random, template = np.random.default_rng(0), sought_picture(sought, DecodeOptions())
    for size in SIZES:
        database = scratch / f"{size}.db"
        with opened(database) as index:
            for number in range(size):
                values = random.integers(-60, 61, FINGERPRINT_BYTES, np.int8)
                index.put(f"folder/picture-{number}.aec", State(10_000, 1), values)
        spent = []
        for _ in range(TRIES):
            start, start_core = time.perf_counter(), time.process_time()
            with opened(database) as index:
                index.nearest(template, 10)
            spent.append(
                (time.perf_counter() - start, time.process_time() - start_core)
            )
        each = database.stat().st_size / size
        wall, core = np.transpose(spent)
        yield Answer(size, each, float(wall.min()), float(np.median(core)))


@click.command()
@folder_argument
@output_option
@click.option(
    "--fit",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    help="First fit the projection of the default model to every other picture, and "
    "write it.",
)
def search(folder: Path, output: Path, target: Path | None) -> None:
    """Search the pictures in FOLDER, each of something else, for changed copies."""
    images = [small(path) for path in image_paths(folder)]
    if target is not None:
        fitted(images[::2], target)
    with tempfile.TemporaryDirectory() as scratch:
        found = list(recalls(images, Path(scratch)))
        write_rows(output / "search.csv", Recall, found)
        png = io.BytesIO()
        images[0].save(png, "PNG")
        speeds = list(answers(png.getvalue(), Path(scratch)))
        write_rows(output / "search_speed.csv", Answer, speeds)
    write_versions(output / "search_versions.json", {})
