"""Command line: files in and out; all else lies below."""

import dataclasses
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

import codec
from codec.api import SCALES, SUFFIX, check_effort
from codec.app import feature_files
from codec.app.cli_extras import adapt, corpus, serve
from codec.app.conversion import (
    Conversion,
    Converted,
    Decoding,
    Encoding,
    aec_name,
    png_name,
)
from codec.app.files import STREAM, check_target, read, write
from codec.app.options import (
    effort_option,
    force_option,
    input_argument,
    jobs_option,
    max_pixels_option,
    model_option,
    output_option,
    parse_region,
    parse_size,
    picture_quality_option,
    quality_option,
    recursive_option,
    refuse_nonfinite,
    strip_option,
    stripped,
    tune_option,
)
from codec.app.progress_bar import progress_bar
from codec.app.reporting import each, run_all
from codec.app.shards import SHARD_SUFFIX, is_shard
from codec.networks.bundle import EXACT, PRECISIONS, Bundle
from codec.networks.shipped import bundle_of_tune
from codec.picture.formats import SUFFIXES, readable_suffixes
from codec.picture.reading import quiet_pillow

FILES_AT_ONCE = 2
SIGNALS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)
]

SCALE_NAMES = {f"1/{round(1 / scale)}": scale for scale in SCALES if scale != 1}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(codec.__version__, prog_name="aecodec")
@click.pass_context
def main(context: click.Context) -> None:
    """Learned image codec: photographs to compact .aec files and back.

    Exit status: 0 all done, 1 a file failed (the others are still done), 2 wrong usage,
    128 + N stopped by signal N.
    """

    def stop(number: int, frame: object) -> None:
        """End as on an error, so that a half-written file is removed; a second signal
        ends all at once.
        """
        for again in SIGNALS:
            signal.signal(again, signal.SIG_DFL)
        line = f"aecodec: stopped by {signal.Signals(number).name}"
        context.call_on_close(partial(click.echo, line, err=True))  # after the bar
        sys.exit(128 + number)

    for number in SIGNALS:
        before = signal.getsignal(number)
        if before not in (signal.SIG_IGN, None):  # nobody else's business
            signal.signal(number, stop)
            context.call_on_close(partial(signal.signal, number, before))


@main.command()
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
    callback=parse_size,
    help="Bytes instead of a quality: the best file of at most that size; "
    "k and M stand for thousands and millions.",
)
@click.option(
    "--psnr",
    "psnr_db",
    type=click.FloatRange(min=0, min_open=True),
    callback=refuse_nonfinite,
    help="PSNR in dB instead of a quality: the smallest file within 0.1 dB of it, or "
    "the smallest of all.",
)
@tune_option
@model_option
@effort_option
@strip_option
@recursive_option
@jobs_option
@force_option
@max_pixels_option
def encode(
    inputs: Sequence[str],
    output: str | None,
    quality: float | None,
    rate_bpp: float | None,
    size_bytes: int | None,
    psnr_db: float | None,
    tune: str,
    model: str | None,
    effort: int,
    strip: Sequence[str],
    recursive: bool,
    jobs: int | None,
    force: bool,
    max_pixels: int,
) -> None:
    """Encode pictures (JPEG, PNG, WebP, AVIF, TIFF and others); - is standard input.

    Without -o, photo.png becomes photo.aec beside it. Transparency and metadata are
    kept. Of a tar file, such as a shard of WebDataset's, the pictures are encoded into
    another, 0001.jpg as 0001.aec, and all else is copied.
    """
    targets = {"quality": quality, "rate_bpp": rate_bpp}
    targets |= {"size_bytes": size_bytes, "psnr_db": psnr_db}
    if sum(target is not None for target in targets.values()) > 1:
        raise click.UsageError("--quality, --bpp, --size and --psnr exclude each other")
    context = click.get_current_context()
    if model and context.get_parameter_source("tune") != ParameterSource.DEFAULT:
        raise click.UsageError("--model and --tune exclude each other")
    bundle = adapted(model)
    try:
        check_effort(effort, bundle or bundle_of_tune(tune))
    except codec.UsageError as error:
        raise click.UsageError(str(error)) from None
    options = {**targets, "tune": tune, "bundle": bundle, "effort": effort}
    encoding = partial(
        Encoding, options, stripped(strip), force or recursive, max_pixels
    )
    if recursive:
        convert_folder(
            inputs,
            output,
            conversion=encoding,
            rename=aec_name,
            kinds=readable_suffixes() | {SHARD_SUFFIX},
            jobs=jobs,
            force=force,
            update=True,
        )
        return
    if output and Path(output).suffix.lower() in SUFFIXES and not Path(output).is_dir():
        raise click.UsageError(
            f"{output} is the name of a picture, not of a {SUFFIX} file"
        )
    convert_files(inputs, output, encoding(None), SUFFIX, jobs, force)


@main.command()
@input_argument
@output_option
@click.option(
    "--region",
    metavar="X,Y,W,H",
    callback=parse_region,
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
    default=EXACT,
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
@force_option
@max_pixels_option
def decode(
    inputs: Sequence[str],
    output: str | None,
    region: tuple[int, int, int, int] | None,
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
    force: bool,
    max_pixels: int,
) -> None:
    """Decode .aec files; - is standard input.

    The suffix of the output names the format, PNG if there is none: photo.aec becomes
    photo.png, and so do the .aec files in a tar file.
    """
    if (region is not None) + (scale is not None) + salvage > 1:
        raise click.UsageError("--region, --scale and --salvage exclude each other")
    flags = {"denoise": denoise, "restore": restore, "colorize": colorize}
    asked = [name for name, flag in {**flags, "upscale": upscale}.items() if flag]
    if len(asked) + (scale is not None) + salvage > 1:
        raise click.UsageError(
            "--denoise, --restore, --upscale, --colorize, --scale and --salvage "
            "exclude each other"
        )
    if salvage and recursive:
        raise click.UsageError("--salvage is for single files")
    if (salvage or asked) and precision != EXACT:
        what = "--salvage" if salvage else f"--{asked[0]}"
        raise click.UsageError(f"{what} is always exact")
    head = asked[0] if asked else None
    factor = SCALE_NAMES[scale] if scale else 1
    how = region, factor, precision, head, adapted(model), quality
    decoding = partial(Decoding, force, max_pixels, salvage, *how)
    if recursive:
        convert_folder(
            inputs,
            output,
            conversion=decoding,
            rename=png_name,
            kinds={SUFFIX, SHARD_SUFFIX},
            jobs=jobs,
            force=force,
            update=False,
        )
        return
    convert_files(inputs, output, decoding(None), ".png", jobs, force)


@main.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object per line and file."
)
def info(files: Sequence[str], as_json: bool) -> None:
    """Show dimensions, quality and model of .aec files, without decoding them."""

    def show(name: str) -> None:
        facts = codec.read_info(read(name))
        if as_json:
            click.echo(
                json.dumps(
                    {
                        "file": name,
                        **dataclasses.asdict(facts),
                        "rate_bpp": round(facts.rate_bpp, 4),
                    }
                )
            )
        else:
            click.echo(
                f"{name}: {facts.width} x {facts.height} {facts.mode}, "
                f"quality {facts.quality:g}, {facts.size_bytes} bytes, "
                f"{facts.rate_bpp:.3f} bpp, model {facts.model_id} ({facts.model}), "
                f"{facts.tiles} tile{'s' * (facts.tiles > 1)}, "
                + ", ".join([f"format {facts.format_version}", *facts.metadata])
            )

    run_all(files, lambda name: name, show)


@main.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Table to write: .npz with the arrays files and features, or .csv.",
)
@click.option(
    "--query",
    metavar="FILE",
    help="Show instead how far the pictures are from this one, the nearest first.",
)
@model_option
@force_option
@max_pixels_option
def features(
    files: Sequence[str],
    output: str | None,
    query: str | None,
    model: str | None,
    force: bool,
    max_pixels: int,
) -> None:
    """Describe the pictures in .aec files by numbers, without decoding them, for
    classification and search.
    """
    if (output is None) == (query is None):
        raise click.UsageError("expected either --output or --query")
    bundle = adapted(model)
    described: dict[str, Any] = {}
    models: list[int] = []

    def describe(name: str) -> None:
        data = read(name)
        models.append(codec.read_info(data).model_id)
        if models[-1] != models[0]:
            raise codec.UsageError("made with another model than the first file")
        described[name] = codec.features(data, max_pixels=max_pixels, bundle=bundle)

    if query is None:
        target = str(output)
        if Path(target).suffix.lower() not in feature_files.SUFFIXES:
            raise click.UsageError("--output is a .npz or .csv file")
        run_all([target], str, partial(check_target, force=force))
        well = each(files, str, describe)
        if described:
            data = feature_files.table(target, described)
            run_all([target], str, partial(write, data=data, force=force))
    else:
        run_all([query], str, describe)
        sought = described[query]
        well = each(files, str, describe)
        found = [
            (feature_files.distance(sought, described[f]), f)
            for f in files
            if f in described
        ]
        for how_far, name in sorted(found):
            click.echo(f"{how_far:.3f} {name}")
    if not well:
        sys.exit(1)


def adapted(model: str | None) -> Bundle | None:
    """The model in the file of --model, if any; exit 1 if it cannot be read."""
    found: list[Bundle] = []
    if model is not None:
        run_all([model], str, lambda name: found.append(codec.read_model(name)))
    return found[0] if found else None


def plan(
    inputs: Sequence[str], output: str | None, suffix: str
) -> list[tuple[str, str]]:
    """(input, output) of every file; click.UsageError if two would write the same
    output.
    """
    folder = (
        output is not None
        and output != STREAM
        and (len(inputs) > 1 or output.endswith(("/", os.sep)) or Path(output).is_dir())
    )
    if output == STREAM and len(inputs) > 1:
        raise click.UsageError("several inputs cannot go to standard output")

    def target(source: str) -> str:
        name = Path("stdin" if source == STREAM else source)
        renamed = name if is_shard(source) else name.with_suffix(suffix)
        if folder:
            return str(Path(str(output)) / renamed.name)
        if output is not None:
            return output
        return STREAM if source == STREAM else str(renamed)

    for source in inputs:
        if source != STREAM and not Path(source).name:
            raise click.UsageError(f"{source!r} is not the name of a file")
    pairs = [(source, target(source)) for source in inputs]
    writers: dict[str, str] = {}
    for source, name in pairs:
        key = os.path.realpath(name)
        if STREAM not in (source, name) and key == os.path.realpath(source):
            raise click.UsageError(
                f"{source} would be replaced by its own output; outputs are named by -o"
            )
        if key in writers:
            raise click.UsageError(
                f"{writers[key]} and {source} would both write {name}"
            )
        writers[key] = source
    if folder:
        make_folder(Path(str(output)))
    return pairs


def make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.UsageError(f"{folder} is no folder: {error.strerror}") from None


def convert_folder(inputs: Sequence[str], output: str | None, **options: Any) -> None:
    """`convert_tree` from the one input to the output, with its `options`; report on
    standard error, exit 1 if a file failed.
    """
    from codec.app.folders import convert_tree  # takes time to import

    if len(inputs) > 1:
        raise click.UsageError("--recursive takes one folder")
    if not Path(inputs[0]).is_dir():
        raise click.UsageError(f"{inputs[0]} is no folder; --recursive takes one")
    if output is None or output == STREAM:
        raise click.UsageError("--recursive needs a folder to write to, -o FOLDER")
    make_folder(Path(output))
    summary = convert_tree(Path(inputs[0]), Path(output), **options)
    click.echo(f"{inputs[0]} -> {output}: {summary}", err=True)
    if summary.failures:
        sys.exit(1)


def convert_files(
    inputs: Sequence[str],
    output: str | None,
    convert: Conversion,
    suffix: str,
    jobs: int | None,
    force: bool,
) -> None:
    """Convert every input, report on standard error, exit 1 if one failed. While the
    networks are at one file, another is read, entropy-coded or written.
    """
    if jobs is not None:
        raise click.UsageError("--jobs is for --recursive")
    pairs = plan(inputs, output, suffix)
    single = len(pairs) == 1
    stopped = threading.Event()

    def go_on(share: float) -> None:
        if stopped.is_set():
            sys.exit()  # of the thread

    def one(pair: tuple[str, str]) -> Converted:
        source, target = pair
        check_target(target, force)
        with progress_bar(source) if single else nullcontext(go_on) as progress:
            return convert(source, target, progress)

    def report(item: tuple[tuple[str, str], Callable[[], Converted]]) -> None:
        (source, target), result = item
        converted = result()
        click.echo(f"{source} -> {target}: {converted.facts}", err=True)
        for line in converted.losses_of(source):
            click.echo(line, err=True)

    # The filters of warnings are everyone's, so they may not change in threads.
    with quiet_pillow(), ThreadPoolExecutor(FILES_AT_ONCE) as pool:
        results: list[Callable[[], Converted]]
        if single:
            results = [partial(one, pairs[0])]
        else:
            results = [pool.submit(one, pair).result for pair in pairs]
        try:
            run_all(list(zip(pairs, results, strict=True)), lambda i: i[0][0], report)
        finally:
            stopped.set()
            pool.shutdown(cancel_futures=True)


for command in (adapt, corpus, serve):
    main.add_command(command)
