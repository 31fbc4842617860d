"""`aecodec encode`."""

from collections.abc import Sequence
from pathlib import Path

import click
from click.core import ParameterSource

from codec.api import MODEL_SUFFIX, SUFFIX
from codec.app.arguments import (
    REFINING_TIMEOUT_S,
    TIMEOUT_S,
    adapted,
    content_option,
    effort_option,
    force_option,
    input_argument,
    jobs_option,
    lossless_option,
    max_pixels_option,
    model_option,
    output_option,
    parsed,
    preserve_option,
    quality_option,
    recursive_option,
    refuse_nonfinite,
    strip_option,
    threads_option,
    timeout_option,
    tune_option,
    wrong_usage,
)
from codec.app.batch import convert_files, convert_folder
from codec.app.command_group import dry_run_option, reporting_options
from codec.app.conversion import Encoding
from codec.app.parsing import size_in
from codec.options import EFFORTS, SCORE_MAX, EncodeOptions
from codec.picture.formats import SUFFIXES


@click.command(short_help="Encode pictures to .aec files.")
@input_argument
@output_option
@quality_option
@click.option(
    "--bpp",
    "rate_bpp",
    type=click.FloatRange(min=0, min_open=True),
    callback=refuse_nonfinite,
    help="Bits per pixel instead of a quality: the best file of at most that rate.",
)
@click.option(
    "--size",
    "size_bytes",
    metavar="BYTES",
    callback=parsed(size_in),
    help="Bytes instead of a quality: the best file of at most that size; "
    "k and M stand for thousands and millions.",
)
@click.option(
    "--psnr",
    "psnr_db",
    type=click.FloatRange(min=0, min_open=True),
    callback=refuse_nonfinite,
    help="PSNR in dB instead of a quality: the smallest file within 0.1 dB of it, or "
    "one with as little more as there is.",
)
@click.option(
    "--ssimulacra2",
    metavar="SCORE",
    type=click.FloatRange(min=0, max=SCORE_MAX, min_open=True),
    callback=refuse_nonfinite,
    help="Score of SSIMULACRA 2 instead of a quality: the smallest file that was found "
    "to have it, the same look of all pictures. 30 is low quality, 70 high, 90 can "
    "hardly be told from the original, 100 is exact.",
)
@tune_option
@model_option
@effort_option
@content_option
@lossless_option
@strip_option
@recursive_option
@jobs_option
@threads_option
@timeout_option
@preserve_option
@force_option
@dry_run_option
@max_pixels_option
@reporting_options
def encode(
    inputs: Sequence[str],
    output: str | None,
    quality: float | None,
    rate_bpp: float | None,
    size_bytes: int | None,
    psnr_db: float | None,
    ssimulacra2: float | None,
    tune: str,
    model: str | None,
    effort: int,
    content: str,
    lossless: bool,
    strip: Sequence[str],
    recursive: bool,
    jobs: int | None,
    threads: int | None,
    timeout_s: float | None,
    preserve: bool,
    force: bool,
    max_pixels: int,
) -> None:
    """Encode pictures (JPEG, PNG, WebP, AVIF, TIFF and others); - is standard input.

    Without -o, photo.png becomes photo.aec beside it. Transparency and metadata are
    kept. Of a tar file, such as a shard of WebDataset's, the pictures are encoded into
    another, 0001.jpg as 0001.aec, and all else is copied.
    """
    context = click.get_current_context()
    if model and context.get_parameter_source("tune") != ParameterSource.DEFAULT:
        raise click.UsageError("--model and --tune exclude each other")
    with wrong_usage():
        options = EncodeOptions(
            quality=quality,
            size_bytes=size_bytes,
            rate_bpp=rate_bpp,
            psnr_db=psnr_db,
            ssimulacra2=ssimulacra2,
            tune=tune,
            effort=effort,
            content=content,
            lossless=lossless,
            strip=strip,
            max_pixels=max_pixels,
            threads=threads,
            bundle=adapted(model),
        )
    encoding = Encoding(options, force or recursive, preserve)
    if recursive:
        refines = EFFORTS[effort].refinement
        default = REFINING_TIMEOUT_S if refines else TIMEOUT_S
        convert_folder(inputs, output, encoding, jobs, timeout_s or default, force)
        return
    suffix = Path(output or "").suffix.lower()
    if suffix in {*SUFFIXES, MODEL_SUFFIX} and not Path(output or "").is_dir():
        kind = "a model" if suffix == MODEL_SUFFIX else "a picture"
        raise click.UsageError(
            f"{output} is the name of {kind}, not of a {SUFFIX} file"
        )
    convert_files(inputs, output, encoding, jobs, timeout_s)
