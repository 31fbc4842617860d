"""Work on many items; what goes wrong is reported on standard error."""

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

import click

from codec.errors import CodecError, reason

T = TypeVar("T")


def run_all(
    items: Sequence[T], name_of: Callable[[T], str], action: Callable[[T], None]
) -> None:
    """Do all items, then exit 1 if one failed."""
    if not each(items, name_of, action):
        sys.exit(1)


def each(
    items: Sequence[T], name_of: Callable[[T], str], action: Callable[[T], None]
) -> bool:
    """Do all items, and name those that fail; whether all went well."""
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
