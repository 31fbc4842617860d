"""Arguments and options that several commands have, and what their values become."""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import click

import codec
from codec.app.reporting import run_all
from codec.options import (
    CONTENTS,
    EFFORT_MAX,
    EFFORT_MIN,
    HEADS,
    QUALITY_DEFAULT,
    QUALITY_MAX,
    QUALITY_MIN,
    STRIPPABLE,
    THREADS_MAX,
    TUNES,
    Bundle,
    EncodeOptions,
)

TIMEOUT_S, REFINING_TIMEOUT_S = 600, 7200  # of a picture in a folder
T = TypeVar("T")
EFFORT_HELP = (
    "1 to 3 analyze in int8: +0.2 % bytes for the same PSNR, on two photographs, in "
    "two thirds of the time; 4 to 6 in float; 7 to 9 refine. With --tune psnr: -2.9 % "
    "in 15 times the time, -3.3 % in 51, -3.9 % in 180; with --tune visual several "
    "times that. All decode alike."
)
OPTIONS = {  # by the keyword of the library
    **{f"head {name}": f"--{name}" for name in HEADS},
    "size_bytes": "--size",
    "rate_bpp": "--bpp",
    "psnr_db": "--psnr",
    **{
        name: f"--{name}"
        for name in (
            *("quality", "ssimulacra2", "lossless", "content", "effort", "tune"),
            *("region", "scale", "precision", "salvage"),
        )
    },
}
KEYWORD = re.compile(rf"(?<![\w-])({'|'.join(OPTIONS)})\b")
AIMS = ", or ".join(tune.aim for tune in TUNES.values())


def parsed(
    parse: Callable[[str], T],
) -> Callable[[click.Context, click.Parameter, str | None], T | None]:
    """A callback of an option: its text, parsed."""

    def callback(
        context: click.Context, option: click.Parameter, value: str | None
    ) -> T | None:
        try:
            return None if value is None else parse(value)
        except codec.UsageError as error:
            raise click.BadParameter(str(error)) from None

    return callback


def refuse_nonfinite(
    context: click.Context, option: click.Parameter, value: float | None
) -> float | None:
    """Click's ranges let NaN and infinity pass."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is no finite number")
    return value


def stripped(
    context: click.Context, option: click.Parameter, values: Sequence[str]
) -> Sequence[str]:
    """The metadata that the values of --strip name, with commas between."""
    names = [name for value in values for name in value.lower().split(",")]
    if unknown := set(names) - {"all", *STRIPPABLE}:
        raise click.BadParameter(
            f"{', '.join(sorted(unknown))}; expected {', '.join(['all', *STRIPPABLE])}"
        )
    return STRIPPABLE if "all" in names else names


def complete_stripped(
    context: click.Context, option: click.Parameter, incomplete: str
) -> list[str]:
    """What may follow the names that are there, with commas between."""
    before, comma, last = incomplete.rpartition(",")
    names = ["all", *STRIPPABLE]
    return [before + comma + name for name in names if name.startswith(last)]


def not_empty(
    context: click.Context, option: click.Parameter, value: str | None
) -> str | None:
    """An empty name would stand for this folder."""
    if value == "":
        raise click.BadParameter("'' is not the name of a file")
    return value


@contextmanager
def wrong_usage() -> Iterator[None]:
    """A UsageError of the library's is one of the command line's: exit status 2, with
    options in place of keywords.
    """
    try:
        yield
    except codec.UsageError as error:
        text = KEYWORD.sub(lambda found: OPTIONS[found[0]], str(error))
        raise click.UsageError(text) from None


def adapted(model: str | None) -> Bundle | None:
    """The model in the file of --model, if any; exit 1 if it cannot be read."""
    found: list[Bundle] = []
    if model is not None:
        name = "--model {}".format
        run_all([model], name, lambda name: found.append(codec.read_model(name)))
    return found[0] if found else None


input_argument = click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
output_option = click.option(
    "-o",
    "--output",
    metavar="FILE|DIR",
    callback=not_empty,
    help="Output file, or folder with several inputs; - is standard output.",
)
force_option = click.option(
    "-f", "--force", is_flag=True, help="Replace outputs that exist."
)
recursive_option = click.option(
    "-r",
    "--recursive",
    is_flag=True,
    help="Convert all files in the folder INPUT and below to the same places in the "
    "folder of --output: photo.png becomes photo.png.aec, and that photo.png. Those "
    "that are newer there are left as they are, without --force.",
)
jobs_option = click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    help="Processes for --recursive.  [default: as many as cores]",
)
threads_option = click.option(
    "--threads",
    type=click.IntRange(1, THREADS_MAX),
    help="Threads of the networks, of each process.  [default: as many as cores]",
)
timeout_option = click.option(
    "--timeout",
    "timeout_s",
    metavar="SECONDS",
    type=click.FloatRange(min=0, min_open=True),
    callback=refuse_nonfinite,
    help="End the work on a picture that takes longer, and go on with the next.  "
    f"[default with --recursive: {TIMEOUT_S}; to encode with efforts that refine, "
    f"{REFINING_TIMEOUT_S}]",
)
preserve_option = click.option(
    "-p", "--preserve", is_flag=True, help="Give outputs the times of their inputs."
)
model_option = click.option(
    "--model",
    metavar="FILE",
    help="Adapted model (.aecm), as `aecodec adapt` makes it; it alone decodes what it "
    "encoded.",
)
max_pixels_option = click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=EncodeOptions.max_pixels,
    show_default=True,
    help="Refuse pictures with more pixels, before any memory is taken for them.",
)
quality_option = click.option(
    "-q",
    "--quality",
    type=click.FloatRange(QUALITY_MIN, QUALITY_MAX),
    callback=refuse_nonfinite,
    help="Larger is better and takes more bytes; need not be whole.  "
    f"[default: {QUALITY_DEFAULT}]",
)
picture_quality_option = click.option(
    "-q",
    "--quality",
    type=click.IntRange(1, 100),
    help="Quality of a JPEG, WebP or AVIF file that is written.  [default: 95]",
)
tune_option = click.option(
    "--tune",
    type=click.Choice(list(TUNES)),
    default=EncodeOptions.tune,
    show_default=True,
    help=f"What a file is small for: {AIMS}.",
)
effort_option = click.option(
    "-e",
    "--effort",
    type=click.IntRange(EFFORT_MIN, EFFORT_MAX),
    default=EncodeOptions.effort,
    show_default=True,
    help=EFFORT_HELP,
)
content_option = click.option(
    "--content",
    type=click.Choice(CONTENTS),
    default=EncodeOptions.content,
    show_default=True,
    help="photo: by the networks alone. graphics: by lossless WebP or AVIF, whichever "
    "costs less. auto: what suits the picture, or its parts.",
)
lossless_option = click.option(
    "--lossless", is_flag=True, help="Store all colors exactly."
)
strip_option = click.option(
    "--strip",
    metavar="NAME[,NAME...]",
    multiple=True,
    callback=stripped,
    shell_complete=complete_stripped,
    help=f"Metadata to leave out: {', '.join(['all', *STRIPPABLE])}. Without EXIF data "
    "the picture is turned upright.",
)
