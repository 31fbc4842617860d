"""The subcommand `folders`: a tree of files, in one process and in many."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest import mock

import click
import numpy as np
from PIL import Image

import codec
from benchmarks.environment import write_versions
from benchmarks.measurement import image_paths, load_rgb
from benchmarks.options import folder_argument, output_option
from benchmarks.results import write_rows
from benchmarks.scaling import timed

FILES = 2000
SIDES_PX = (256, 512)  # least and most
SQUARES_PX = (256, 256)
PER_FOLDER = 100
PSNR_MIN_DB = 20.0  # of a file that is right


@dataclass(frozen=True)
class Run:
    """Wall clock of `files` by one command, with the start of all processes; `wrong`
    are outputs that are missing, cut off, or not the picture.
    """

    command: str
    files: int
    megapixels: float
    seconds: float
    files_s: float
    mp_s: float
    wrong: int


def make_tree(
    paths: Sequence[Path],
    folder: Path,
    count: int,
    sides_px: tuple[int, int] = SIDES_PX,
) -> float:
    """Crops of the images, half of them reduced first; returns their megapixels."""
    random = np.random.default_rng(0)
    images = [load_rgb(path) for path in paths]
    pixels = 0
    for number in range(count):
        image = images[number % len(images)].reduce(1 + number % 2)
        width, height = (
            min(int(random.integers(*sides_px, endpoint=True)), side)
            for side in image.size
        )
        left = int(random.integers(image.width - width + 1))
        top = int(random.integers(image.height - height + 1))
        place = folder / f"{number // PER_FOLDER:03}" / f"{number:06}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        image.crop((left, top, left + width, top + height)).save(place)
        pixels += width * height
    return pixels / 1e6


def coded_picture(place: Path) -> Image.Image:
    return codec.decode(place.with_name(f"{place.name}.aec"))


def wrong_outputs(
    source: Path,
    target: Path,
    output_of: Callable[[Path], Image.Image] = coded_picture,
) -> int:
    count = 0
    for path in sorted(source.rglob("*.png")):
        try:
            decoded = output_of(target / path.relative_to(source))
        except (OSError, codec.CodecError):
            count += 1
            continue
        error = np.asarray(decoded, float) - np.asarray(load_rgb(path), float)
        count += np.mean(error**2) > 255**2 / 10 ** (PSNR_MIN_DB / 10)
    return count


def call(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "codec", *map(str, arguments)]


def recursive(source: Path, target: Path, *options: str) -> None:
    command = call("encode", "-r", source, "-o", target, *options)
    subprocess.run(command, check=True, capture_output=True)


def decoded(source: Path, target: Path) -> None:
    command = call("decode", "-r", source, "-o", target)
    subprocess.run(command, check=True, capture_output=True)


def one_by_one(source: Path, target: Path) -> None:
    recursive(source, target, "--jobs", "1")


def recursive_with_a_worker_killed(source: Path, target: Path) -> None:
    command = call("encode", "-r", source, "-o", target)
    with_a_worker_killed(command, source, target, children)


def children(process: int) -> list[int]:
    places = Path(f"/proc/{process}/task").glob("*/children")  # of every thread
    return [int(child) for place in places for child in place.read_text().split()]


def ray_workers(process: int) -> list[int]:
    """All on this machine, whoever started them."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if place.read_bytes().startswith(b"ray::MapWorker"):
                found.append(int(place.parent.name))
    return found


def with_a_worker_killed(
    command: Sequence[str],
    source: Path,
    target: Path,
    workers_of: Callable[[int], list[int]],
) -> None:
    """Halfway, without warning; needs Linux."""
    half = len(list(source.rglob("*.png"))) // 2
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        while len(list(target.rglob("*.aec"))) < half and process.poll() is None:
            time.sleep(0.05)
        workers = workers_of(process.pid) if process.poll() is None else []
        if not workers:
            raise click.ClickException("no worker was left to be killed halfway")
        os.kill(workers[-1], signal.SIGKILL)
    if process.returncode:
        raise click.ClickException("the run with a killed worker failed")


def corpus(source: Path, target: Path) -> None:
    command = call("corpus", "encode", source, target)
    subprocess.run(command, check=True, capture_output=True)
    check_manifest(source, target)


def corpus_with_a_worker_killed(source: Path, target: Path) -> None:
    """On two nodes of a core each, both on this machine."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=1)
        with mock.patch.dict(os.environ, RAY_ADDRESS=cluster.address):
            command = call("corpus", "encode", source, target)
            with_a_worker_killed(command, source, target, ray_workers)
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]
    check_manifest(source, target)


def check_manifest(source: Path, target: Path) -> None:
    """Every file is there once."""
    from codec.app.corpus.manifest import read_manifest

    noted = sorted(row["path"] for row in read_manifest(str(target), "encode"))
    if noted != sorted(str(p.relative_to(source)) for p in source.rglob("*.png")):
        raise click.ClickException("the manifest is not of all files once")


COMMANDS = {
    "one process (--jobs 1)": one_by_one,
    "a process per core": recursive,
    "a process per core, one killed halfway": recursive_with_a_worker_killed,
    "corpus": corpus,
    "corpus, two Ray nodes, a worker killed halfway": corpus_with_a_worker_killed,
}


SQUARES_ENCODED, SQUARES_DECODED = SQUARES = (
    "a process per core, squares of 256 pixels",
    "a process per core, these decoded to PNG",
)


def runs(paths: Sequence[Path], count: int) -> Iterator[Run]:
    def ran(name: str, work: Callable[[], None], wrong: Callable[[], int]) -> Run:
        seconds, _ = timed(work)
        speeds = count / seconds, megapixels / seconds
        return Run(name, count, megapixels, seconds, *speeds, wrong())

    with tempfile.TemporaryDirectory() as place:
        source = Path(place, "in")
        megapixels = make_tree(paths, source, count)
        for number, (name, command) in enumerate(COMMANDS.items()):
            trees = source, Path(place, f"out-{number}")
            yield ran(name, partial(command, *trees), partial(wrong_outputs, *trees))
        squares, coded, back = (Path(place, name) for name in ("256", "aec", "png"))
        megapixels = make_tree(paths, squares, count, SQUARES_PX)
        work = partial(recursive, squares, coded)
        yield ran(SQUARES_ENCODED, work, partial(wrong_outputs, squares, coded))
        wrong = partial(wrong_outputs, squares, back, load_rgb)
        yield ran(SQUARES_DECODED, partial(decoded, coded, back), wrong)


@click.command()
@folder_argument
@output_option
@click.option("--files", "count", type=click.IntRange(min=2), default=FILES)
def folders(folder: Path, output: Path, count: int) -> None:
    """Measure the throughput of many small files, made of the images in FOLDER."""
    rows = []
    for row in runs(image_paths(folder), count):
        rows.append(row)
        click.echo(row)
    write_rows(output / "folders.csv", Run, rows)
    write_versions(output / "folders_versions.json", {})
