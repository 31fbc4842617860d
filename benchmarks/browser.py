"""The subcommand `browser`: sizes and times in a browser, beside AVIF."""

import gzip
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import click
from tqdm import tqdm

from benchmarks.browser_pages import NoBrowserError, Pages
from benchmarks.codecs import CODECS
from benchmarks.environment import write_versions
from benchmarks.measurement import image_paths
from benchmarks.options import folder_argument, megapixels_option, output_option
from benchmarks.results import write_rows
from benchmarks.speed import QUALITIES, picture
from codec.web.site import FILES, media_type, site_files

OURS, OTHER = "aecodec", "avif-fast"
MEGAPIXELS = (0.4, 2.0, 12.0)
CORES = (1, 2)
ROUNDS = 3
TIMEOUT_S = 900
# Seconds of decodes in a page that has decoded nothing yet, and the cores that it sees.
SCRIPT = """
const seconds = () => performance.now() / 1000;
const start = seconds();
const { decode } = await import("./aec.js");
async function ours() {
  const begun = seconds();
  let preview = NaN;
  await decode("picture.aec", { onPreview: () => (preview ||= seconds() - begun) });
  return [seconds() - begun, preview];
}
async function other() {
  const blob = await (await fetch("picture.avif")).blob();
  const begun = seconds();
  const bitmap = await createImageBitmap(blob);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  context.getImageData(0, 0, bitmap.width, bitmap.height);
  return seconds() - begun;
}
await ours();
const found = { first: seconds() - start, ours: [], other: [] };
for (let i = 0; i < ROUNDS; i++) {
  found.ours.push(await ours());
  found.other.push(await other());
}
told({ ...found, agent: navigator.userAgent, cores: navigator.hardwareConcurrency });
"""


@dataclass(frozen=True)
class Decode:
    """Median seconds from a file to samples in memory. `first_s` is all that a page
    waits for when it has nothing yet, on the same machine; `preview_s`, until the first
    part of the preview. They are nan for codecs of the browser.
    """

    codec: str
    megapixels: float
    cores: int
    bytes: int
    first_s: float
    preview_s: float
    decode_s: float


@dataclass(frozen=True)
class Download:
    """Bytes of a group of files, and as gzip sends them."""

    files: str
    bytes: int
    gzip_bytes: int


def downloads() -> Iterator[Download]:
    """The modules of the decoder, each of the two WebAssembly files, of which one is
    fetched, and models; not the pages around it.
    """
    groups: dict[str, list[bytes]] = {}
    decoder = {path.name for path in FILES.iterdir()}
    for path, data in site_files().items():
        folder, _, rest = path.partition("/")
        if not rest and path not in decoder:
            continue
        name = f"model {rest.partition('/')[0]}" if rest.count("/") else path
        groups.setdefault("modules" if folder.endswith(".js") else name, []).append(
            data
        )
    for name, parts in groups.items():
        packed = sum(len(gzip.compress(part, 6)) for part in parts)
        yield Download(name, sum(map(len, parts)), packed)


def limited(cores: int) -> None:
    """Processes that are started from now on may use so many cores."""
    os.sched_setaffinity(0, sorted(ALL_CORES)[:cores])


ALL_CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


def decodes(
    paths: Sequence[Path], megapixels: float, rounds: int
) -> Iterator[tuple[Decode, dict[str, Any]]]:
    """(times, what the page told) of each codec and number of cores."""
    image = picture(paths, megapixels)
    data = {name: CODECS[name].encode(image, QUALITIES[name]) for name in (OURS, OTHER)}
    files = {path: (part, media_type(path)) for path, part in site_files().items()}
    files["picture.aec"] = data[OURS], "application/octet-stream"
    files["picture.avif"] = data[OTHER], "image/avif"
    for cores in CORES:
        pages = Pages(files, "")
        limited(cores)
        try:
            told = pages.run(SCRIPT.replace("ROUNDS", str(rounds)), TIMEOUT_S)
        finally:
            limited(len(ALL_CORES))
            pages.close()
        whole, preview = (median(times) for times in zip(*told["ours"], strict=True))
        sizes = [len(data[name]) for name in (OURS, OTHER)]
        ours = Decode(OURS, megapixels, cores, sizes[0], told["first"], preview, whole)
        nan = float("nan")
        other = median(told["other"])
        yield ours, told
        yield Decode(OTHER, megapixels, cores, sizes[1], nan, nan, other), told


@click.command()
@folder_argument
@output_option
@megapixels_option(MEGAPIXELS)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=ROUNDS,
    show_default=True,
    help="Runs that the medians are taken of.",
)
def browser(folder: Path, output: Path, sizes: Sequence[float], rounds: int) -> None:
    """Measure decoding in a browser of pictures put together from those in FOLDER."""
    paths = image_paths(folder)
    rows, facts = [], {}
    try:
        for megapixels in tqdm(sorted(sizes), unit="size"):
            for row, told in decodes(paths, megapixels, rounds):
                rows.append(row)
                facts[f"{row.cores} cores"] = {
                    "browser": told["agent"],
                    "cores it sees": told["cores"],
                }
                click.echo(
                    f"{row.codec}, {megapixels:g} MP, {row.cores} cores: "
                    f"{row.decode_s:.2f} s"
                )
    except NoBrowserError as error:
        raise click.UsageError(str(error)) from None
    write_rows(output / "browser.csv", Decode, rows)
    write_rows(output / "browser_files.csv", Download, downloads())
    write_versions(output / "browser_versions.json", facts)
