"""The subcommand `speed`: throughput, peak memory, stages and start-up."""

import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial, wraps
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, TypeVar
from unittest import mock

import click
from PIL import Image
from tqdm import tqdm

import codec
from benchmarks.codecs import CODECS, ImageCodec
from benchmarks.environment import describe_codecs, write_versions
from benchmarks.measurement import image_paths
from benchmarks.options import folder_argument, megapixels_option, output_option
from benchmarks.results import write_rows
from benchmarks.scaling import mosaic, peak_mib, timed
from codec import machine
from codec.app.picture_files import file_bytes
from codec.coding import symbols
from codec.entropy.coder import SymbolDecoder
from codec.networks import runtime

T = TypeVar("T")
OURS = "aecodec"
# Codec -> quality; about 64 points of SSIMULACRA 2 on the Kodak images, where they can,
# see kodak_summary.csv.
QUALITIES = {
    OURS: 60,
    "aecodec-psnr": 60,
    "aecodec-exact": 60,
    **{f"aecodec-e{effort}": 60 for effort in (1, 7, 8, 9)},
    **{f"aecodec-visual-e{effort}": 60 for effort in (1, 7, 8, 9)},
    "jpeg": 58,
    "webp": 66,
    "avif": 50,
    "avif-fast": 52,
    "jxl": 64,
}
USUAL = (
    *(OURS, "aecodec-exact", "aecodec-visual-e1"),
    *("jpeg", "webp", "avif-fast", "jxl"),
)
MEGAPIXELS = (0.4, 2, 24)
THREADS = (1, 2)
ROUNDS = 3


@dataclass(frozen=True)
class Speed:
    """Megapixels per second, medians of wall clock from memory to memory; the ratios
    are those of the first codec to this one. Peaks are of a fresh process with the
    picture in it, MiB.
    """

    codec: str
    megapixels: float
    threads: int
    encode_mp_s: float
    decode_mp_s: float
    encode_ratio: float
    decode_ratio: float
    encode_peak_mib: float
    decode_peak_mib: float


@dataclass(frozen=True)
class Stage:
    """Median seconds of a stage of aecodec, from a PNG file to ours and back."""

    megapixels: float
    direction: str
    stage: str
    seconds: float


@dataclass(frozen=True)
class StartUp:
    """Median seconds of a call of the command line, from start to end."""

    command: str
    seconds: float


def on_cores(threads: int, function: Callable[..., T], *arguments: Any) -> T:
    """The result of a call in a fresh process that may use so many cores."""
    with ProcessPoolExecutor(
        1, get_context("spawn"), initializer=limit_cores, initargs=(threads,)
    ) as pool:
        return pool.submit(function, *arguments).result()


def limit_cores(threads: int) -> None:
    """Libraries start as many threads as there are cores; where there is no affinity,
    only aecodec's are limited.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    else:
        machine.cpu_count = lambda: threads


def picture(paths: Sequence[Path], megapixels: float) -> Image.Image:
    return Image.fromarray(mosaic(paths, megapixels))


def medians(
    paths: Sequence[Path], megapixels: float, names: Sequence[str], rounds: int
) -> dict[str, tuple[float, float]]:
    """Codec -> seconds to encode and decode; rounds of all codecs in turn, after one
    that does not count.
    """
    image = picture(paths, megapixels)
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for _ in range(rounds + 1):
        for name in names:
            entry = CODECS[name]
            encode_s, data = timed(partial(entry.encode, image, QUALITIES[name]))
            decode_s, _ = timed(partial(entry.decode, data))
            seconds[name].append((encode_s, decode_s))
    return {
        name: (median(e for e, _ in rows[1:]), median(d for _, d in rows[1:]))
        for name, rows in seconds.items()
    }


def encode_peak(
    paths: Sequence[Path], megapixels: float, entry: ImageCodec
) -> tuple[float, bytes]:
    image = picture(paths, megapixels)
    data = entry.encode(image, QUALITIES[entry.name])
    return peak_mib(), data


def decode_peak(data: bytes, entry: ImageCodec) -> float:
    entry.decode(data)
    return peak_mib()


def speeds(
    paths: Sequence[Path], megapixels: float, names: Sequence[str], rounds: int
) -> Iterator[Speed]:
    peaks = {}
    for name in names:
        peak, data = on_cores(THREADS[-1], encode_peak, paths, megapixels, CODECS[name])
        peaks[name] = (
            peak,
            on_cores(THREADS[-1], decode_peak, data, CODECS[name]),
        )
    for threads in THREADS:
        seconds = on_cores(threads, medians, paths, megapixels, names, rounds)
        for name in names:
            encode_s, decode_s = seconds[name]
            yield Speed(
                name,
                megapixels,
                threads,
                megapixels / encode_s,
                megapixels / decode_s,
                encode_s / seconds[names[0]][0],
                decode_s / seconds[names[0]][1],
                *peaks[name],
            )


# Stage -> what runs in it and nothing else of this table.
STAGES = {
    "analysis": (runtime.Networks, "analyze"),
    "hyper-analysis": (runtime.Networks, "hyper_analyze"),
    "scales": (runtime.Networks, "table_index"),
    "means": (runtime.Networks, "_mean_context"),
    "synthesis": (runtime.Networks, "synthesize"),
    "entropy coding": (symbols, "encode_symbols"),
    "entropy decoding": (SymbolDecoder, "decode"),
}


@contextmanager
def stages_timed() -> Iterator[dict[str, float]]:
    """Seconds by stage of all that runs within, one after the other: no tile is decoded
    ahead, or the stages would add up to more than the whole.
    """
    spent = dict.fromkeys(STAGES, 0.0)

    def wrap(stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def wrapped(*arguments: Any, **options: Any) -> Any:
            seconds, result = timed(partial(function, *arguments, **options))
            spent[stage] += seconds
            return result

        return wrapped

    with ExitStack() as stack:
        ahead = mock.patch.object(symbols, "ThreadPoolExecutor", lambda count: None)
        stack.enter_context(ahead)
        for stage, (owner, name) in STAGES.items():
            wrapped = wrap(stage, getattr(owner, name))
            stack.enter_context(mock.patch.object(owner, name, wrapped))
        yield spent


def stages(
    paths: Sequence[Path], megapixels: float, rounds: int
) -> list[tuple[str, str, float]]:
    """(direction, stage, median seconds)."""
    file = io.BytesIO()
    picture(paths, megapixels).save(file, "PNG")
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds + 1):
        load_s, image = timed(lambda: Image.open(io.BytesIO(file.getvalue())).copy())
        with stages_timed() as encoding:
            encode_s, data = timed(partial(codec.encode, image))
        with stages_timed() as decoding:
            decode_s, decoded = timed(partial(codec.decode, data))
        save_s, _ = timed(partial(file_bytes, decoded, "PNG"))
        encoding |= {"load": load_s, "rest": encode_s - sum(encoding.values())}
        decoding |= {"save": save_s, "rest": decode_s - sum(decoding.values())}
        for direction, spent in (("encode", encoding), ("decode", decoding)):
            for stage, seconds in spent.items():
                found.setdefault((direction, stage), []).append(seconds)
    return [
        (*key, median(seconds[1:])) for key, seconds in found.items() if any(seconds)
    ]


def start_ups(paths: Sequence[Path], rounds: int) -> Iterator[StartUp]:
    """Calls on a picture of 768 x 512 pixels."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "photo.png"
        Image.fromarray(mosaic(paths, 0.6)[:512, :768]).save(image)
        coded = str(image.with_suffix(".aec"))
        for command in (
            ["--help"],
            ["encode", str(image), "--force"],
            ["info", coded],
            ["decode", coded, "--force"],
        ):
            call = [sys.executable, "-m", "codec", *command]
            run = partial(subprocess.run, call, check=True, capture_output=True)
            seconds = [timed(run)[0] for _ in range(rounds + 1)]
            yield StartUp(command[0], median(seconds[1:]))


@click.command()
@folder_argument
@output_option
@megapixels_option(MEGAPIXELS)
@click.option(
    "--codec",
    "names",
    type=click.Choice(list(QUALITIES)),
    multiple=True,
    default=USUAL,
    show_default=True,
    help=f"Codec to measure; repeatable. With {OURS}, its stages and start-up, too.",
)
@click.option(
    "--name", default="speed", show_default=True, help="What the results are called."
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=ROUNDS,
    show_default=True,
    help="Runs that the medians are taken of; every codec has one in each.",
)
def speed(
    folder: Path,
    output: Path,
    sizes: Sequence[float],
    names: Sequence[str],
    name: str,
    rounds: int,
) -> None:
    """Measure speed and memory on pictures put together from those in FOLDER."""
    paths = image_paths(folder)
    names = list(dict.fromkeys(names))
    for entry in (CODECS[key] for key in names):
        if not entry.available:
            raise click.UsageError(f"this Pillow cannot write {entry.pillow_format}")
    rows, parts = [], []
    for megapixels in tqdm(sorted(sizes), unit="size"):
        rows += list(speeds(paths, megapixels, names, rounds))
        if OURS in names:
            found = on_cores(THREADS[-1], stages, paths, megapixels, rounds)
            parts += [Stage(megapixels, *stage) for stage in found]
    write_rows(output / f"{name}.csv", Speed, rows)
    if OURS in names:
        write_rows(output / f"{name}_stages.csv", Stage, parts)
        write_rows(output / f"{name}_start_up.csv", StartUp, start_ups(paths, rounds))
    facts = {"rounds": rounds, "qualities": {key: QUALITIES[key] for key in names}}
    facts["codecs"] = describe_codecs([CODECS[key] for key in names])
    write_versions(output / f"{name}_versions.json", facts)
    for row in rows:
        click.echo(
            f"{row.codec}, {row.megapixels:g} MP, {row.threads} threads: "
            f"encode {row.encode_mp_s:.2f} MP/s, decode {row.decode_mp_s:.2f} MP/s"
        )
