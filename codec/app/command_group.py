"""Commands whose errors are one line each, with nothing in it that a terminal obeys."""

import contextlib
import errno
import re
import sys
from collections.abc import Iterator
from typing import Any

import click

from codec.app.reporting import DEBUG, debugging, explained, printable, say


def debug(context: click.Context, option: click.Parameter, value: bool) -> None:
    if value:
        context.find_root().meta[DEBUG] = True


debug_option = click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    callback=debug,
    help="Show where in the program an error came up.",
)


class Commands(click.Group):
    """A group of commands."""

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        with printable_errors():
            return super().make_context(*arguments, **options)

    def invoke(self, context: click.Context) -> Any:
        try:
            with printable_errors():
                return super().invoke(context)
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
