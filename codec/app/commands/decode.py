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
    picture_quality_option,
    preserve_option,
    recursive_option,
    threads_option,
    timeout_option,
    wrong_usage,
)
from codec.app.batch import convert_files, convert_folder
from codec.app.command_group import dry_run_option, reporting_options
from codec.app.conversion import Decoding
from codec.app.parsing import region_in
from codec.app.picture_files import check_quality, format_of
from codec.app.shards import is_shard
from codec.options import PRECISIONS, SCALES, DecodeOptions, Region

SCALE_NAMES = {f"1/{round(1 / scale)}": scale for scale in SCALES if scale != 1}


def suffix_of(name: str) -> str:
    """.jpg of jpg. UsageError if no such format is written."""
    suffix = f".{name.lower().removeprefix('.')}"
    format_of(suffix)
    return suffix


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
    help="fast: residual branches in int8, nearly the same colors sooner; exact: in "
    "float32; auto: fast for files of --tune visual. Of no matter to --scale.",
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
@click.option(
    "--colorize",
    is_flag=True,
    help="Make up colors for a gray picture; what is unsure stays gray, which is most.",
)
@click.option(
    "--format",
    "suffix",
    metavar="NAME",
    default="png",
    show_default=True,
    callback=parsed(suffix_of),
    help="Format of outputs that -o does not name, as in folders, tar files and on "
    "standard output: png, jpg, webp, avif, tif and others.",
)
@picture_quality_option
@click.option(
    "--salvage",
    is_flag=True,
    help="Write what a damaged file still gives, damaged parts filled in from around "
    "them; exit status 1.",
)
@model_option
@recursive_option
@jobs_option
@threads_option
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
    suffix: str,
    quality: int | None,
    salvage: bool,
    model: str | None,
    recursive: bool,
    jobs: int | None,
    threads: int | None,
    timeout_s: float | None,
    preserve: bool,
    force: bool,
    max_pixels: int,
) -> None:
    """Decode .aec files; - is standard input.

    The suffix of the output names the format. Without -o, photo.aec becomes photo.png,
    as do the .aec files in a tar file.
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
            threads=threads,
            bundle=adapted(model),
        )
        if recursive or any(map(is_shard, inputs)):
            check_quality(format_of(suffix), quality)
    decoding = Decoding(options, force, preserve, quality, suffix)
    if recursive:
        convert_folder(inputs, output, decoding, jobs, timeout_s or TIMEOUT_S, force)
        return
    convert_files(inputs, output, decoding, jobs, timeout_s)
