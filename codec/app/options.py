"""Options that several commands have, and what their values may be."""

import math
import re
from collections.abc import Sequence

import click

import codec
from codec.api import (
    EFFORT_DEFAULT,
    EFFORT_MAX,
    EFFORT_MIN,
    QUALITY_DEFAULT,
    QUALITY_MAX,
    QUALITY_MIN,
)
from codec.app.conversion import region_in
from codec.file.chunks import METADATA_CHUNKS
from codec.limits import MAX_PIXELS
from codec.networks.shipped import TUNE_DEFAULT, TUNES

FACTORS = {"": 1, "k": 1000, "m": 1000**2}
SIZE = re.compile(r"(\d{1,12}(?:\.\d{0,12})?)([km]?)", re.IGNORECASE)
STRIPPABLE = tuple(METADATA_CHUNKS)
EFFORT_HELP = (
    "1 to 3 analyze in int8 (+1.8 % bytes for the same PSNR, on two photographs; 0.1 s "
    "per megapixel on 2 cores), 4 to 6 in float (0.2 s), 7 to 9 refine, with --tune "
    "psnr only: -2.6 % in 1.9 s, -3.9 % in 6 s, -5.2 % in 24 s per megapixel. All "
    "decode alike."
)
AIMS = ", or ".join(tune.aim for tune in TUNES.values())


def parse_size(
    context: click.Context, option: click.Parameter, value: str | None
) -> int | None:
    """Bytes, with k or M for thousands and millions."""
    if value is None:
        return None
    match = SIZE.fullmatch(value)
    if not match:
        raise click.BadParameter("expected a size such as 80000, 80k or 1.5M")
    return int(float(match[1]) * FACTORS[match[2].lower()])


def parse_region(
    context: click.Context, option: click.Parameter, value: str | None
) -> tuple[int, ...] | None:
    """X,Y,W,H in pixels."""
    if value is None:
        return None
    try:
        return region_in(value)
    except codec.UsageError as error:
        raise click.BadParameter(str(error)) from None


def refuse_nonfinite(
    context: click.Context, option: click.Parameter, value: float | None
) -> float | None:
    """Click's ranges let NaN and infinity pass."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is no finite number")
    return value


def stripped(names: Sequence[str]) -> Sequence[str]:
    """The metadata that the values of --strip name."""
    return STRIPPABLE if "all" in names else names


input_argument = click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
output_option = click.option(
    "-o",
    "--output",
    metavar="FILE|DIR",
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
    "folder of --output, photo.png to photo.png.aec and back. Those that are newer "
    "there are left as they are, whatever the options, without --force. Links to "
    "folders are not followed.",
)
jobs_option = click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    help="Processes for --recursive.  [default: as many as cores]",
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
    default=MAX_PIXELS,
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
    default=TUNE_DEFAULT,
    show_default=True,
    help=f"What a file is small for: {AIMS}.",
)
effort_option = click.option(
    "-e",
    "--effort",
    type=click.IntRange(EFFORT_MIN, EFFORT_MAX),
    default=EFFORT_DEFAULT,
    show_default=True,
    help=EFFORT_HELP,
)
strip_option = click.option(
    "--strip",
    type=click.Choice(["all", *STRIPPABLE]),
    multiple=True,
    help="Metadata to leave out; repeatable. Without EXIF data the picture is turned "
    "upright.",
)
