"""`aecodec decode`."""

from collections.abc import Sequence

import click

from codec.app.arguments import (
    TIMEOUT_S,
    adapted,
    force_option,
    input_argument,
    jobs_option,
    max_pixels_option,
    model_option,
    output_option,
    parsed,
    preserve_option,
    recursive_option,
    timeout_option,
    wrong_usage,
)
from codec.app.batch import convert_files, convert_folder
from codec.app.command_group import dry_run_option, reporting_options
from codec.app.conversion import Decoding
from codec.app.parsing import region_in
from codec.options import PRECISIONS, SCALES, DecodeOptions, Region

SCALE_NAMES = {f"1/{round(1 / scale)}": scale for scale in SCALES if scale != 1}


@click.command(short_help="Decode .aec files to pictures.")
@input_argument
@output_option
@click.option(
    "--region",
    metavar="X,Y,W,H",
    callback=parsed(region_in),
    help="Decode this part of the picture alone: left, top, width and height in "
    "pixels.",
)
@click.option(
    "--scale",
    type=click.Choice(list(SCALE_NAMES)),
    help="Decode the picture smaller, for thumbnails; takes less time.",
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default=DecodeOptions.precision,
    show_default=True,
    help="fast: residual branches in int8, nearly the same colors sooner; of no matter "
    "to --scale.",
)
@click.option(
    "--denoise",
    is_flag=True,
    help="Leave out noise of the picture. This and the next three are for files of "
    "--tune psnr.",
)
@click.option(
    "--restore",
    is_flag=True,
    help="Leave out JPEG artifacts and mild blur that the picture had before it was "
    "encoded.",
)
@click.option("--upscale", type=click.Choice(["2"]), help="Decode the picture larger.")
@click.option("--colorize", is_flag=True, help="Make up colors for a gray picture.")
@click.option(
    "-q",
    "--quality",
    type=click.IntRange(1, 100),
    help="Quality of a JPEG, WebP or AVIF file that is written.  [default: 95]",
)
@click.option(
    "--salvage",
    is_flag=True,
    help="Write what a damaged file still gives, damaged parts filled in from around "
    "them; exit status 1.",
)
@model_option
@recursive_option
@jobs_option
@timeout_option
@preserve_option
@force_option
@dry_run_option
@max_pixels_option
@reporting_options
def decode(
    inputs: Sequence[str],
    output: str | None,
    region: Region | None,
    scale: str | None,
    precision: str,
    denoise: bool,
    restore: bool,
    upscale: str | None,
    colorize: bool,
    quality: int | None,
    salvage: bool,
    model: str | None,
    recursive: bool,
    jobs: int | None,
    timeout_s: float | None,
    preserve: bool,
    force: bool,
    max_pixels: int,
) -> None:
    """Decode .aec files; - is standard input.

    The suffix of the output names the format, PNG if there is none: photo.aec becomes
    photo.png, and so do the .aec files in a tar file.
    """
    flags = {"denoise": denoise, "restore": restore, "colorize": colorize}
    heads = [name for name, flag in {**flags, "upscale": upscale}.items() if flag]
    if len(heads) > 1:
        raise click.UsageError(
            "--denoise, --restore, --upscale and --colorize exclude each other"
        )
    if salvage and recursive:
        raise click.UsageError("--salvage is for single files")
    with wrong_usage():
        options = DecodeOptions(
            region=region,
            scale=SCALE_NAMES[scale] if scale else 1,
            precision=precision,
            head=heads[0] if heads else None,
            salvage=salvage,
            max_pixels=max_pixels,
            bundle=adapted(model),
        )
    decoding = Decoding(options, force, preserve, quality)
    if recursive:
        convert_folder(inputs, output, decoding, jobs, timeout_s or TIMEOUT_S, force)
        return
    convert_files(inputs, output, decoding, jobs, timeout_s)
