"""Commands whose errors are one line each, with nothing in it that a terminal obeys."""

import contextlib
import errno
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click

from codec.app.reporting import (
    DEBUG,
    DRY_RUN,
    JSON,
    QUIET,
    VERBOSE,
    debugging,
    explained,
    printable,
    say,
)

Command = TypeVar("Command", bound=Callable[..., Any])


def note(context: click.Context, option: click.Parameter, value: bool) -> None:
    """Put a flag that is given where `codec.app.reporting.asked` finds it."""
    if value and option.name:
        context.find_root().meta[option.name] = True


def flag(*names: str, help: str) -> Callable[[Command], Command]:
    return click.option(
        *names, is_flag=True, expose_value=False, callback=note, help=help
    )


debug_option = flag(
    "--debug", DEBUG, help="Show where in the program an error came up."
)
dry_run_option = flag(
    "-n", "--dry-run", DRY_RUN, help="Say what would be done, and write nothing."
)
json_option = flag(
    "--json",
    JSON,
    help="Report on standard output: a line for each file, a JSON object.",
)
quiet_option = flag("--quiet", QUIET, help="Say nothing but errors.")
verbose_option = flag("-v", "--verbose", VERBOSE, help="Say more of every file.")


def reporting_options(command: Command) -> Command:
    """What every command has that reports on files."""
    for option in (debug_option, quiet_option, verbose_option, json_option):
        command = option(command)
    return command


class Commands(click.Group):
    """A group of commands."""

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        with one_line(), printable_errors():
            return super().make_context(*arguments, **options)

    def invoke(self, context: click.Context) -> Any:
        with one_line(), printable_errors():
            return super().invoke(context)


@contextlib.contextmanager
def one_line() -> Iterator[None]:
    """Of an error that is none of click's; exit status 1."""
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.EPIPE:
            raise  # nobody reads on, and click ends quietly
        say(f"aecodec: {explained(error, debugging())}")
        sys.exit(1)


@contextlib.contextmanager
def printable_errors() -> Iterator[None]:
    """Errors of click's quote what was given; their own line ends and tabs stay."""
    try:
        yield
    except click.ClickException as error:
        text = error.format_message()
        if (told := re.sub(r"[^\n\t]+", lambda m: printable(m[0]), text)) == text:
            raise
        if isinstance(error, click.UsageError):
            raise click.UsageError(told, error.ctx) from None
        raise click.ClickException(told) from None
