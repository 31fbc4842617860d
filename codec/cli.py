"""Command line: files in and out; all else is the public interface of `codec`."""

import contextlib
import dataclasses
import io
import json
import logging
import math
import os
import re
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

import codec
from codec.api import (
    EFFORT_DEFAULT,
    EFFORT_MAX,
    EFFORT_MIN,
    QUALITY_DEFAULT,
    QUALITY_MAX,
    QUALITY_MIN,
)
from codec.container import MAX_PIXELS, METADATA_CHUNKS, check_size
from codec.errors import CodecError, FormatError, UsageError
from codec.image import Picture, read_picture

T = TypeVar("T")

EFFORT_HELP = (
    "1 to 3 round plainly (+0.3 % bytes for the same PSNR, on two photographs), 4 to 6 "
    "weigh the bits (0.2 s per megapixel on 2 cores), 7 to 9 refine: -2.3 % in 2.4 s, "
    "-2.9 % in 4 s, -3.6 % in 11 s per megapixel. All decode alike."
)

STREAM = "-"
SUFFIX = ".aec"
# What lossy formats are written with when a decoded picture goes into them.
SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    name: {"quality": 95} for name in ("JPEG", "WEBP", "AVIF")
}
METADATA_FORMATS = {"PNG", "JPEG", "WEBP", "AVIF", "TIFF"}
logging.getLogger("PIL").addHandler(logging.NullHandler())  # warnings of odd metadata

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
max_pixels_option = click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=MAX_PIXELS,
    show_default=True,
    help="Refuse pictures with more pixels, before any memory is taken for them.",
)


STRIPPABLE = tuple(METADATA_CHUNKS)
SUFFIXES = {"": 1, "k": 1000, "m": 1000**2}
SIZE = re.compile(r"(\d{1,12}(?:\.\d{0,12})?)([km]?)", re.IGNORECASE)


class Size(click.ParamType[int]):
    """Bytes, with k or M for thousands and millions."""

    name = "bytes"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        match = SIZE.fullmatch(str(value))
        if not match:
            self.fail(f"{value!r} is no size; expected one such as 80000, 80k or 1.5M")
        return int(float(match[1]) * SUFFIXES[match[2].lower()])


class RegionType(click.ParamType[tuple[int, ...]]):
    """X,Y,W,H in pixels."""

    name = "x,y,w,h"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        if not re.fullmatch(r"\d{1,9}(,\d{1,9}){3}", str(value)):
            self.fail(f"{value!r} is no region; expected left,top,width,height")
        return tuple(map(int, str(value).split(",")))


def refuse_nan(
    context: click.Context, option: click.Parameter, value: float | None
) -> float | None:
    """Click's ranges let it pass."""
    if value is not None and math.isnan(value):
        raise click.BadParameter("nan is no number")
    return value


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(codec.__version__, prog_name="aecodec")
def main() -> None:
    """Learned image codec: photographs to compact .aec files and back.

    Exit status: 0 all done, 1 a file failed (the others are still done), 2 wrong usage.
    """
    # So that a half-written file is removed, as it is on Ctrl-C.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


@main.command()
@input_argument
@output_option
@click.option(
    "-q",
    "--quality",
    type=click.FloatRange(QUALITY_MIN, QUALITY_MAX),
    callback=refuse_nan,
    help="Larger is better and takes more bytes; need not be whole.  "
    f"[default: {QUALITY_DEFAULT}]",
)
@click.option(
    "--bpp",
    "rate_bpp",
    type=click.FloatRange(min=0, min_open=True),
    callback=refuse_nan,
    help="Bits per pixel instead of a quality: the best file of at most that rate.",
)
@click.option(
    "--size",
    "size_bytes",
    type=Size(),
    help="Bytes instead of a quality: the best file of at most that size; "
    "k and M stand for thousands and millions.",
)
@click.option(
    "--psnr",
    "psnr_db",
    type=click.FloatRange(min=0, min_open=True),
    callback=refuse_nan,
    help="PSNR in dB instead of a quality: the smallest file that has it.",
)
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
@force_option
@max_pixels_option
def encode(
    inputs: Sequence[str],
    output: str | None,
    quality: float | None,
    rate_bpp: float | None,
    size_bytes: int | None,
    psnr_db: float | None,
    effort: int,
    strip: Sequence[str],
    force: bool,
    max_pixels: int,
) -> None:
    """Encode pictures of any format that Pillow reads; - is standard input.

    Without -o, photo.png becomes photo.aec beside it. Transparency and metadata are
    kept.
    """
    targets = [quality, rate_bpp, size_bytes, psnr_db]
    if sum(target is not None for target in targets) > 1:
        raise click.UsageError("--quality, --bpp, --size and --psnr exclude each other")
    names = STRIPPABLE if "all" in strip else strip

    def convert(source: str, target: str) -> str:
        picture = load_picture(source, max_pixels, names)
        data = codec.encode(
            picture,
            quality=quality,
            rate_bpp=rate_bpp,
            size_bytes=size_bytes,
            psnr_db=psnr_db,
            effort=effort,
            max_pixels=max_pixels,
        )
        write(target, data, force)
        bpp = codec.read_info(data).rate_bpp
        return "; ".join([f"{len(data)} bytes, {bpp:.3f} bpp", *picture.notices])

    convert_all(plan(inputs, output, SUFFIX), convert, force)


@main.command()
@input_argument
@output_option
@click.option(
    "--region",
    type=RegionType(),
    help="Decode this part of the picture alone: left, top, width and height in "
    "pixels.",
)
@click.option(
    "--salvage",
    is_flag=True,
    help="Write what a damaged file still gives, damaged parts striped; exit status 1.",
)
@force_option
@max_pixels_option
def decode(
    inputs: Sequence[str],
    output: str | None,
    region: tuple[int, int, int, int] | None,
    salvage: bool,
    force: bool,
    max_pixels: int,
) -> None:
    """Decode .aec files; - is standard input.

    The suffix of the output names the format, PNG if there is none: photo.aec becomes
    photo.png.
    """
    if salvage and region:
        raise click.UsageError("--region and --salvage exclude each other")

    def convert(source: str, target: str) -> str:
        image_format, data = format_of(target), read(source)
        if salvage:
            image, faults = codec.salvage(data, max_pixels=max_pixels)
        else:
            image = codec.decode(data, region=region, max_pixels=max_pixels)
            faults = []
        coded, notices = file_bytes(image, image_format)
        write(target, coded, force)
        if faults:
            raise FormatError(f"salvaged to {target}; " + "; ".join(faults))
        return "; ".join([f"{image.width} x {image.height} pixels", *notices])

    convert_all(plan(inputs, output, ".png"), convert, force)


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
            raise click.UsageError(f"{source} would be replaced by its own output")
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


def convert_all(
    pairs: list[tuple[str, str]], convert: Callable[[str, str], str], force: bool
) -> None:
    """Convert every pair, report on standard error, exit 1 if one failed."""

    def one(pair: tuple[str, str]) -> None:
        source, target = pair
        check_target(target, force)
        click.echo(f"{source} -> {target}: {convert(source, target)}", err=True)

    run_all(pairs, lambda pair: pair[0], one)


def run_all(
    items: Sequence[T], name_of: Callable[[T], str], action: Callable[[T], None]
) -> None:
    failed = False
    for item in items:
        try:
            action(item)
        except (CodecError, OSError, MemoryError) as error:
            failed = True
            click.echo(f"aecodec: {name_of(item)}: {reason(error)}", err=True)
    if failed:
        sys.exit(1)


def reason(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "not enough memory"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)


def read(name: str) -> bytes:
    return sys.stdin.buffer.read() if name == STREAM else Path(name).read_bytes()


def load_picture(name: str, max_pixels: int, strip: Sequence[str]) -> Picture:
    """UsageError if it is no picture or too large."""
    data = read(name)
    if not data:
        raise UsageError("file is empty")
    Image.MAX_IMAGE_PIXELS = None  # our own limit stands below
    try:
        with quiet_pillow(), Image.open(io.BytesIO(data)) as image:
            check_size(image.width, image.height, max_pixels, UsageError)
            return read_picture(image, strip)
    except (CodecError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise UsageError("not an image in a format that Pillow reads") from None
    except Exception as error:  # Pillow's readers raise all kinds on damaged files
        raise UsageError(f"image cannot be read: {error}") from None


def file_bytes(image: Image.Image, image_format: str) -> tuple[bytes, list[str]]:
    """(the picture in a format of Pillow's, notices); UsageError if the format cannot
    hold it.

    Where the format has no place for EXIF data, the picture is turned upright.
    """
    options = SAVE_OPTIONS.get(image_format, {})
    with quiet_pillow():
        try:
            if image_format in METADATA_FORMATS:
                options = options | metadata_options(image, image_format)
            else:
                image = ImageOps.exif_transpose(image)
            return saved(image, image_format, options), []
        except MemoryError:
            raise
        except Exception as error:  # every format raises its own
            fault = str(error)
        try:
            plain = Image.frombytes(image.mode, image.size, image.tobytes())
            data = saved(plain, image_format, SAVE_OPTIONS.get(image_format, {}))
            return data, [f"metadata are left out: {fault}"]
        except MemoryError:
            raise
        except Exception as error:
            raise UsageError(
                f"cannot write this picture as {image_format}: {error}"
            ) from None


def saved(image: Image.Image, image_format: str, options: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def metadata_options(image: Image.Image, image_format: str) -> dict[str, Any]:
    """Options for `Image.save` that write the metadata in `info`."""
    keys = {"exif", "icc_profile"} & set(image.info)
    options: dict[str, Any] = {key: image.info[key] for key in keys}
    xmp = image.info.get("xmp")
    if xmp and image_format == "PNG":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
    elif xmp and image_format != "TIFF":  # Pillow has no option for it there
        options["xmp"] = xmp
    return options


def format_of(target: str) -> str:
    """Pillow's name of the format that the suffix of `target` stands for."""
    suffix = Path(target).suffix.lower()
    if target == STREAM or not suffix:
        return "PNG"
    known = Image.registered_extensions().get(suffix)
    if known is None or known not in Image.SAVE:
        raise UsageError(f"cannot write {suffix} files")
    return known


def check_target(target: str, force: bool) -> None:
    if target != STREAM and not force and os.path.lexists(target):
        raise UsageError(f"{target} exists; use --force to replace it")
    if target == STREAM and sys.stdout.isatty():
        raise UsageError("not writing binary data to a terminal")


def write(target: str, data: bytes, force: bool) -> None:
    if target == STREAM:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    path = Path(os.path.realpath(target))  # a link stays, its target is replaced
    try:
        if path.exists() and not path.is_file():  # a pipe or a device
            path.write_bytes(data)
            return
        with replacing(path) as file:
            file.write(data)
            check_target(target, force)
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror}") from None


@contextlib.contextmanager
def quiet_pillow() -> Iterator[None]:
    """Pillow warns of odd metadata, which we do not use, on standard error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Any]:
    """A temporary file beside `path` that takes its place when all went well, and
    vanishes otherwise.
    """
    descriptor, name = tempfile.mkstemp(
        dir=path.parent, prefix=".aecodec-", suffix=".tmp"
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
