"""`aecodec corpus`."""

import sys
from collections.abc import Callable, Sequence

import click

from codec.app.arguments import (
    content_option,
    effort_option,
    lossless_option,
    max_pixels_option,
    quality_option,
    strip_option,
    tune_option,
    wrong_usage,
)
from codec.app.command_group import Commands, dry_run_option, reporting_options
from codec.app.extras import needs_extra
from codec.app.reporting import JSON, QUIET, asked, run_all, say
from codec.options import EncodeOptions


@click.group(cls=Commands, short_help="Encode and verify folders of any size.")
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
        reporting_options,
        dry_run_option,
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


@corpus.command("encode", short_help="Encode pictures.")
@corpus_arguments
@quality_option
@tune_option
@effort_option
@content_option
@lossless_option
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
    content: str,
    lossless: bool,
    strip: Sequence[str],
) -> None:
    """Encode the pictures in SOURCE and below, photo.png to photo.png.aec, those in tar
    files into tar files; decode each again for its PSNR.
    """
    with wrong_usage():
        options = EncodeOptions(
            quality=quality,
            tune=tune,
            effort=effort,
            content=content,
            lossless=lossless,
            strip=strip,
            max_pixels=max_pixels,
        )
    run_corpus("encode", source, target, jobs, force, options)


@corpus.command("decode", short_help="Decode .aec files.")
@corpus_arguments
def decode_corpus(
    source: str, target: str, jobs: int | None, force: bool, max_pixels: int
) -> None:
    """Decode the .aec files in SOURCE and below to PNG."""
    options = EncodeOptions(max_pixels=max_pixels)
    run_corpus("decode", source, target, jobs, force, options)


@corpus.command("verify", short_help="Decode, and compare with what was encoded.")
@corpus_arguments
def verify_corpus(
    source: str, target: str, jobs: int | None, force: bool, max_pixels: int
) -> None:
    """Decode what `encode` has made of SOURCE in TARGET, and compare: the files are
    those that were written, and the PSNR is as it was then.
    """
    options = EncodeOptions(max_pixels=max_pixels)
    run_corpus("verify", source, target, jobs, force, options)


def run_corpus(
    command: str,
    source: str,
    target: str,
    jobs: int | None,
    force: bool,
    options: EncodeOptions,
) -> None:
    """Report on standard error, exit 1 if a file failed."""

    def run(name: str) -> None:
        with needs_extra("a corpus", "cluster"):
            from codec.app.corpus.cluster import convert_corpus
            from codec.app.corpus.planning import Job
        job = Job(command, source, target, options)
        summary = convert_corpus(job, jobs, force)
        if not summary.found:
            kind = ".aec files" if command == "decode" else "pictures"
            summary.fail(source, f"no {kind} in it")
        if not (asked(QUIET) or asked(JSON)):
            say(f"{source} -> {target}: {summary}")
        if summary.failures:
            sys.exit(1)

    run_all([source], str, run)
