"""Work on many items, and what is reported of it: what went wrong on standard error."""

import contextlib
import json
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import click

from codec.errors import CodecError, UsageError, reason

T = TypeVar("T")
# Flags in the `meta` of the outermost context, see `codec.app.command_group`.
DEBUG, DRY_RUN, JSON, QUIET, VERBOSE = "debug", "dry_run", "json", "quiet", "verbose"


def printable(text: str) -> str:
    """The text with escapes in place of what a terminal would obey or not show: control
    characters, line ends, and bytes of names that are no UTF-8.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else escaped(c) for c in text)


def escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return ascii(character)[1:-1]


def say(line: str) -> None:
    """A line on standard error, or nowhere if that cannot be written."""
    with contextlib.suppress(OSError), above_bars():
        click.echo(encodable(printable(line), sys.stderr), err=True)


def show(line: str) -> None:
    """A line on standard output. UsageError if that is closed."""
    if sys.stdout is None:
        raise UsageError("standard output is closed")
    with above_bars():
        click.echo(encodable(printable(line), sys.stdout))


def above_bars() -> contextlib.AbstractContextManager[None]:
    """In it, bars that there are on standard error are out of the way."""
    if "tqdm" not in sys.modules:  # which takes time to import
        return contextlib.nullcontext()
    from tqdm import tqdm

    away: contextlib.AbstractContextManager[None] = tqdm.external_write_mode(sys.stderr)
    return away


def encodable(text: str, stream: object) -> str:
    """The text with escapes for what the stream's encoding does not have."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def tell(
    line: str,
    record: Mapping[str, Any],
    more: str = "",
    out: Callable[[str], None] = say,
) -> None:
    """Report what became of an item: by a line, and `more` with --verbose; with --json
    by the record, on standard output; with --quiet not at all.
    """
    if asked(JSON):
        show(json.dumps(record))
    elif not asked(QUIET):
        out(f"{line}; {more}" if more and asked(VERBOSE) else line)


def fail(name: str, why: str) -> None:
    """Report that an item failed; with --json on standard output, too."""
    say(f"aecodec: {name}: {why}")
    if asked(JSON) and sys.stdout is not None:  # that it is closed may be the reason
        show(json.dumps({"file": name, "error": why}))


def explained(error: BaseException, debug: bool) -> str:
    """What to say of an error; its traceback is printed to debug."""
    if debug and not isinstance(error, CodecError):
        traceback.print_exception(error)
    return reason(error)


def debugging() -> bool:
    """Whether --debug was given."""
    return asked(DEBUG)


def asked(flag: str) -> bool:
    """Whether a flag was given."""
    context = click.get_current_context(silent=True)
    return bool(context and context.find_root().meta.get(flag))


def run_all(
    items: Iterable[T], name_of: Callable[[T], str], action: Callable[[T], None]
) -> None:
    """Do all items, then exit 1 if one failed."""
    if not each(items, name_of, action):
        sys.exit(1)


def each(
    items: Iterable[T], name_of: Callable[[T], str], action: Callable[[T], None]
) -> bool:
    """Do all items, and name those that fail; whether all went well."""
    well = True
    for item in items:
        try:
            action(item)
        except (BrokenPipeError, click.ClickException):
            raise  # nobody reads on, and click ends quietly; or wrong usage
        except Exception as error:  # of whatever kind: the others are done
            well = False
            fail(name_of(item), explained(error, debugging()))
    return well
