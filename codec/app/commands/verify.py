"""`aecodec verify`."""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click
from click.core import ParameterSource

import codec
from codec.api import SUFFIX, decode_file
from codec.app.arguments import adapted, input_argument, max_pixels_option, model_option
from codec.app.command_group import reporting_options
from codec.app.files import read
from codec.app.own_process import start_engine_silently
from codec.app.progress_bar import counted
from codec.app.reporting import JSON, QUIET, VERBOSE, asked, each, fail, show, tell
from codec.app.walking import files_under
from codec.errors import reason
from codec.options import DecodeOptions

WITH_FOLDERS = "a folder; --recursive verifies what is in it"


@click.command(short_help="Test whether .aec files are whole.")
@input_argument
@click.option(
    "-r", "--recursive", is_flag=True, help="Verify all .aec files in folders, too."
)
@click.option("--deep", is_flag=True, help="Decode them, too, which takes longer.")
@model_option
@max_pixels_option
@reporting_options
@click.pass_context
def verify(
    context: click.Context,
    inputs: Sequence[str],
    recursive: bool,
    deep: bool,
    model: str | None,
    max_pixels: int,
) -> None:
    """Say whether .aec files are whole, by the checksums of all that is in them.

    Exit status 1 if one is damaged.
    """
    for name in () if deep else ("model", "max_pixels"):
        if context.get_parameter_source(name) != ParameterSource.DEFAULT:
            option = name.replace("_", "-")
            raise click.UsageError(f"--{option} is of use with --deep only")
    not_read = 0

    def failed(name: str, why: str) -> None:
        nonlocal not_read
        not_read += 1
        fail(name, why)

    files = list(files_of(inputs, recursive, failed))
    options = DecodeOptions(max_pixels=max_pixels, bundle=adapted(model))
    if deep:
        start_engine_silently()
    found: list[codec.Verified] = []
    named = set(inputs)

    def test(name: str) -> None:
        if Path(name).is_dir():
            raise codec.UsageError(WITH_FOLDERS)
        data = read(name)
        facts = codec.verify(data)
        if deep:
            decode_file(data, options)
        found.append(facts)
        if name in named or asked(VERBOSE) or asked(JSON):
            record = {
                "file": name,
                "size_bytes": facts.size_bytes,
                "tiles": facts.tiles,
                "chunks": facts.chunks,
                "decoded": deep,
            }
            tell(f"{name}: whole: {summed([facts], deep)}", record, out=show)

    well = each(counted(files, len(files)), str, test)
    not_whole = not_read + len(files) - len(found)
    summary = files and (recursive or len(files) > 1)
    if summary and not (asked(QUIET) or asked(JSON)):
        more = f"; {not_whole} damaged or not read" if not_whole else ""
        show(f"{len(found)} of {len(files)} files whole: {summed(found, deep)}{more}")
    if not_whole or not well:
        sys.exit(1)


def files_of(
    inputs: Sequence[str], recursive: bool, failed: Callable[[str, str], None]
) -> Iterator[str]:
    """The inputs, and the .aec files in those that are folders. `failed` is told of
    folders that cannot be read, and of those without such files.
    """
    unread: list[str] = []

    def unreadable(name: str, error: OSError) -> None:
        unread.append(name)
        failed(name, reason(error))

    for name in inputs:
        if not (recursive and Path(name).is_dir()):
            yield name
            continue
        unread.clear()
        below = files_under(Path(name), unreadable)
        coded = [str(path) for path in below if path.suffix.lower() == SUFFIX]
        if not (coded or unread):
            failed(name, f"no {SUFFIX} files in it")
        yield from coded


def summed(found: Sequence[codec.Verified], deep: bool) -> str:
    """What was verified."""
    tiles, chunks = sum(f.tiles for f in found), sum(f.chunks for f in found)
    return (
        f"{tiles} tile{'s' * (tiles != 1)}, {chunks} other "
        f"chunk{'s' * (chunks != 1)}, {sum(f.size_bytes for f in found)} bytes, "
        + ("decoded, too" if deep else "not decoded")
    )
