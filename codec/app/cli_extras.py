"""The commands whose packages are extras: `adapt`, `corpus` and `serve`."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

import codec
from codec.app.conversion import Encoding
from codec.app.files import check_target, write
from codec.app.options import (
    effort_option,
    force_option,
    max_pixels_option,
    parse_size,
    quality_option,
    strip_option,
    stripped,
    tune_option,
)
from codec.app.progress_bar import progress_bar
from codec.app.reporting import run_all
from codec.picture.formats import readable_suffixes


@contextmanager
def needed(doing: str, extra: str, also: str = "") -> Iterator[None]:
    """A missing package as a UsageError that says how to get it."""
    try:
        yield
    except ImportError as error:
        raise codec.UsageError(
            f"{doing} needs the extra `{extra}`{also}: "
            f"pip install 'aecodec[{extra}]' ({error})"
        ) from None


def is_picture(path: Path) -> bool:
    return path.suffix.lower() in readable_suffixes() and path.is_file()


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    help="Adapted model to write, such as domain.aecm.",
)
@tune_option
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=300,
    show_default=True,
    help="Length of the training; half a second each on 2 cores.",
)
@force_option
@max_pixels_option
def adapt(
    folder: Path, output: str, tune: str, steps: int, force: bool, max_pixels: int
) -> None:
    """Adapt a model to the pictures in FOLDER, for --model of the other commands.

    Needs the packages of the extra `train`.
    """

    def run(target: str) -> None:
        check_target(target, force)
        pictures = [p for p in sorted(folder.iterdir()) if is_picture(p)]
        if not pictures:
            raise codec.UsageError(f"no pictures in {folder}")
        os.environ["KERAS_BACKEND"] = "tensorflow"
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with needed("adapting", "train", ", Python 3.11 or 3.12"):
            from codec.training.adapt import adapt
        with progress_bar(str(folder)) as progress:
            made = adapt(
                pictures,
                tune,
                steps=steps,
                max_pixels=max_pixels,
                progress=progress,
            )
        write(target, made.data, force)
        click.echo(f"{folder} -> {target}: {made}", err=True)

    run_all([output], str, run)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
@click.option(
    "--uploads", is_flag=True, help="PUT of a picture encodes it into FOLDER."
)
@click.option(
    "--max-upload",
    metavar="BYTES",
    default="64M",
    show_default=True,
    callback=parse_size,
    help="Refuse larger uploads.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Pictures to work on at once.",
)
@click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=2**26,
    show_default=True,
    help="Refuse pictures with more pixels.",
)
def serve(
    folder: Path,
    host: str,
    port: int,
    uploads: bool,
    max_upload: int,
    jobs: int,
    max_pixels: int,
) -> None:
    """Show the .aec files in FOLDER to browsers.

    Needs the packages of the extra `serve`. Whoever reaches the address may look at all
    of them; for the open internet, put a web server in front.
    """

    def run(name: str) -> None:
        with needed("serving", "serve"):
            from codec.app.service import Limits, serve
        limits = Limits(max_pixels, max_upload, jobs)
        serve(
            folder,
            host,
            port,
            uploads,
            limits,
            lambda url: click.echo(f"{folder} -> {url}", err=True),
        )

    run_all([f"{host}:{port}"], str, run)


@click.group()
def corpus() -> None:
    """Encode, decode and verify folders of any size, on a cluster or on this machine.

    SOURCE and TARGET are folders or URIs such as s3://bucket/folder, whose packages
    (s3fs, gcsfs) are yours to install. What becomes of every file is noted in
    TARGET/_manifest, in Parquet files; run again, a command goes on where it was, and
    does again what failed; what is done stays, whatever the options. RAY_ADDRESS names
    the cluster; without, this machine is one.

    Needs the packages of the extra `cluster`.
    """


def corpus_arguments(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        max_pixels_option,
        click.option(
            "-f", "--force", is_flag=True, help="Do again what is done already."
        ),
        click.option(
            "-j",
            "--jobs",
            type=click.IntRange(min=1),
            help="Workers, of a core each.  [default: as many as cores]",
        ),
        click.argument("target"),
        click.argument("source"),
    ):
        command = option(command)
    return command


@corpus.command("encode")
@corpus_arguments
@quality_option
@tune_option
@effort_option
@strip_option
def encode_corpus(
    source: str,
    target: str,
    jobs: int | None,
    force: bool,
    max_pixels: int,
    quality: float | None,
    tune: str,
    effort: int,
    strip: Sequence[str],
) -> None:
    """Encode the pictures in SOURCE and below, photo.png to photo.png.aec, those in tar
    files into tar files; decode each again for its PSNR.
    """
    options = {"quality": quality, "tune": tune, "effort": effort}
    encoding = Encoding(options, stripped(strip), True, max_pixels)
    run_corpus("encode", source, target, jobs, force, max_pixels, encoding)


@corpus.command("decode")
@corpus_arguments
def decode_corpus(
    source: str, target: str, jobs: int | None, force: bool, max_pixels: int
) -> None:
    """Decode the .aec files in SOURCE and below to PNG."""
    run_corpus("decode", source, target, jobs, force, max_pixels)


@corpus.command("verify")
@corpus_arguments
def verify_corpus(
    source: str, target: str, jobs: int | None, force: bool, max_pixels: int
) -> None:
    """Decode what `encode` has made of SOURCE in TARGET, and compare: the files are
    those that were written, and the PSNR is as it was then.
    """
    run_corpus("verify", source, target, jobs, force, max_pixels)


def run_corpus(
    command: str,
    source: str,
    target: str,
    jobs: int | None,
    force: bool,
    max_pixels: int,
    encoding: Encoding | None = None,
) -> None:
    """Report on standard error, exit 1 if a file failed."""

    def run(name: str) -> None:
        with needed("a corpus", "cluster"):
            from codec.app.corpus import Job, convert_corpus
        job = Job(command, source, target, encoding, max_pixels)
        summary = convert_corpus(job, jobs, force)
        click.echo(f"{source} -> {target}: {summary}", err=True)
        if summary.failures:
            sys.exit(1)

    run_all([source], str, run)
