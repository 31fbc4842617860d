"""Command line: files in and out; all else lies below."""

import dataclasses
import json
import math
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

import codec
from codec import feature_files
from codec.api import (
    EFFORT_DEFAULT,
    EFFORT_MAX,
    EFFORT_MIN,
    QUALITY_DEFAULT,
    QUALITY_MAX,
    QUALITY_MIN,
    SCALES,
    bundle_of_tune,
    check_effort,
)
from codec.bundle import EXACT, MODEL_OF_TUNE, PRECISIONS, TUNE_DEFAULT, Bundle
from codec.container import MAX_PIXELS, METADATA_CHUNKS
from codec.conversion import Conversion, Decoding, Encoding
from codec.descriptors import distance
from codec.errors import CodecError, reason
from codec.files import (
    PICTURES,
    STREAM,
    check_target,
    picture_suffixes,
    read,
    write,
)
from codec.progress import progress_bar

T = TypeVar("T")

EFFORT_HELP = (
    "1 to 3 analyze in int8 (+1.8 % bytes for the same PSNR, on two photographs; 0.1 s "
    "per megapixel on 2 cores), 4 to 6 in float (0.2 s), 7 to 9 refine, with --tune "
    "psnr only: -2.6 % in 1.9 s, -3.9 % in 6 s, -5.2 % in 24 s per megapixel. All "
    "decode alike."
)
TUNE_HELP = (
    "What a file is small for: its error, or structure that looks alike (MS-SSIM)."
)

SUFFIX = ".aec"
SIGNALS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)
]

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

SCALE_NAMES = {f"1/{round(1 / scale)}": scale for scale in SCALES if scale != 1}
STRIPPABLE = tuple(METADATA_CHUNKS)
FACTORS = {"": 1, "k": 1000, "m": 1000**2}
SIZE = re.compile(r"(\d{1,12}(?:\.\d{0,12})?)([km]?)", re.IGNORECASE)
REGION = re.compile(r"\d{1,9}(,\d{1,9}){3}")


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
    if not REGION.fullmatch(value):
        raise click.BadParameter("expected left,top,width,height in pixels")
    return tuple(map(int, value.split(",")))


def refuse_nonfinite(
    context: click.Context, option: click.Parameter, value: float | None
) -> float | None:
    """Click's ranges let NaN and infinity pass."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is no finite number")
    return value


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(codec.__version__, prog_name="aecodec")
@click.pass_context
def main(context: click.Context) -> None:
    """Learned image codec: photographs to compact .aec files and back.

    Exit status: 0 all done, 1 a file failed (the others are still done), 2 wrong usage,
    128 + N stopped by signal N.
    """

    def stop(number: int, frame: object) -> None:
        """End as on an error, so that a half-written file is removed."""
        for again in SIGNALS:
            signal.signal(again, signal.SIG_IGN)
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
@click.option(
    "-q",
    "--quality",
    type=click.FloatRange(QUALITY_MIN, QUALITY_MAX),
    callback=refuse_nonfinite,
    help="Larger is better and takes more bytes; need not be whole.  "
    f"[default: {QUALITY_DEFAULT}]",
)
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
@click.option(
    "--tune",
    type=click.Choice(list(MODEL_OF_TUNE)),
    default=TUNE_DEFAULT,
    show_default=True,
    help=TUNE_HELP,
)
@model_option
@click.option(
    "-e",
    "--effort",
    type=click.IntRange(EFFORT_MIN, EFFORT_MAX),
    default=EFFORT_DEFAULT,
    show_default=True,
    help=EFFORT_HELP,
)
@click.option(
    "--strip",
    type=click.Choice(["all", *STRIPPABLE]),
    multiple=True,
    help="Metadata to leave out; repeatable. Without EXIF data the picture is turned "
    "upright.",
)
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
    """Encode pictures of any format that Pillow reads; - is standard input.

    Without -o, photo.png becomes photo.aec beside it. Transparency and metadata are
    kept.
    """
    targets = {"quality": quality, "rate_bpp": rate_bpp}
    targets |= {"size_bytes": size_bytes, "psnr_db": psnr_db}
    if sum(target is not None for target in targets.values()) > 1:
        raise click.UsageError("--quality, --bpp, --size and --psnr exclude each other")
    names = STRIPPABLE if "all" in strip else strip
    context = click.get_current_context()
    if model and context.get_parameter_source("tune") != ParameterSource.DEFAULT:
        raise click.UsageError("--model and --tune exclude each other")
    bundle = adapted(model)
    try:
        check_effort(effort, bundle or bundle_of_tune(tune))
    except codec.UsageError as error:
        raise click.UsageError(str(error)) from None
    options = {**targets, "tune": tune, "bundle": bundle, "effort": effort}
    encoding = partial(Encoding, options, names, force or recursive, max_pixels)
    if recursive:
        convert_folder(
            inputs,
            output,
            conversion=encoding,
            # Whole names, so that photo.png and photo.jpg do not become the same.
            rename="{}.aec".format,
            kinds=picture_suffixes(),
            jobs=jobs,
            force=force,
            update=True,
        )
        return
    if output and Path(output).suffix.lower() in PICTURES and not Path(output).is_dir():
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
@click.option("--denoise", is_flag=True, help="Leave out noise of the picture.")
@click.option(
    "--restore",
    is_flag=True,
    help="Leave out JPEG artifacts and mild blur that the picture had before it was "
    "encoded.",
)
@click.option("--upscale", type=click.Choice(["2"]), help="Decode the picture larger.")
@click.option("--colorize", is_flag=True, help="Make up colors for a gray picture.")
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
    salvage: bool,
    model: str | None,
    recursive: bool,
    jobs: int | None,
    force: bool,
    max_pixels: int,
) -> None:
    """Decode .aec files; - is standard input.

    The suffix of the output names the format, PNG if there is none: photo.aec becomes
    photo.png.
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
    how = region, factor, precision, head, adapted(model)
    decoding = partial(Decoding, force, max_pixels, salvage, *how)
    if recursive:
        convert_folder(
            inputs,
            output,
            conversion=decoding,
            rename=png_name,
            kinds={SUFFIX},
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
        found = [(distance(sought, described[f]), f) for f in files if f in described]
        for how_far, name in sorted(found):
            click.echo(f"{how_far:.3f} {name}")
    if not well:
        sys.exit(1)


@main.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    help="Adapted model to write, such as domain.aecm.",
)
@click.option(
    "--tune",
    type=click.Choice(list(MODEL_OF_TUNE)),
    default=TUNE_DEFAULT,
    show_default=True,
    help="Model to start from.",
)
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
        try:
            from codec.training.adapt import adapt
        except ImportError as error:
            raise codec.UsageError(
                "adapting needs the extra `train`, Python 3.11 or 3.12: "
                f"pip install 'aecodec[train]' ({error.name} is missing)"
            ) from None
        with progress_bar(str(folder)) as progress:
            made = adapt(
                pictures,
                tune,
                name=Path(target).stem,
                steps=steps,
                max_pixels=max_pixels,
                progress=progress,
            )
        write(target, made.data, force)
        click.echo(f"{folder} -> {target}: {made}", err=True)

    run_all([output], str, run)


def is_picture(path: Path) -> bool:
    return path.suffix.lower() in picture_suffixes() and path.is_file()


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
        if folder:
            return str(
                Path(str(output))
                / Path("stdin" if source == STREAM else source).with_suffix(suffix).name
            )
        if output is not None:
            return output
        return STREAM if source == STREAM else str(Path(source).with_suffix(suffix))

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


def png_name(name: str) -> str:
    """photo.aec and photo.png.aec become photo.png, photo.jpg.aec photo.jpg.png."""
    stem = Path(name).stem
    return stem if stem.lower().endswith(".png") else f"{stem}.png"


def convert_folder(inputs: Sequence[str], output: str | None, **options: Any) -> None:
    """`convert_tree` from the one input to the output, with its `options`; report on
    standard error, exit 1 if a file failed.
    """
    from codec.folders import convert_tree  # takes time to import

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
    """Convert every input, report on standard error, exit 1 if one failed."""
    if jobs is not None:
        raise click.UsageError("--jobs is for --recursive")

    def one(pair: tuple[str, str]) -> None:
        source, target = pair
        check_target(target, force)
        with progress_bar(source) as progress:
            converted = convert(source, target, progress)
        click.echo(f"{source} -> {target}: {converted}", err=True)

    run_all(plan(inputs, output, suffix), lambda pair: pair[0], one)


def run_all(
    items: Sequence[T], name_of: Callable[[T], str], action: Callable[[T], None]
) -> None:
    """Exit 1 if an item failed, after the others."""
    if not each(items, name_of, action):
        sys.exit(1)


def each(
    items: Sequence[T], name_of: Callable[[T], str], action: Callable[[T], None]
) -> bool:
    """Whether all went well; what did not is named on standard error."""
    well = True
    for item in items:
        try:
            action(item)
        except BrokenPipeError:  # nobody reads on; click ends quietly
            raise
        except (CodecError, OSError, MemoryError) as error:
            well = False
            click.echo(f"aecodec: {name_of(item)}: {reason(error)}", err=True)
    return well
