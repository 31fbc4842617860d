"""What shells offer where a name of a file is expected."""

import glob
import os

import click
from click.shell_completion import CompletionItem

from codec.api import SUFFIX

UNQUOTED = set("/.-_+,:@%^=~")


def complete_files(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The shell itself knows files best."""
    return [CompletionItem(incomplete, type="file")]


def complete_coded(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """.aec files, and folders. It is left to the shell where there are no such files,
    or where names would have to be quoted.
    """
    names = glob.glob(f"{glob.escape(incomplete)}*")
    coded = [name for name in names if name.lower().endswith(SUFFIX)]
    folders = [f"{name}/" for name in names if os.path.isdir(name)]
    offered = sorted({*coded, *folders})
    if not coded or not all(map(is_plain, offered)):
        return complete_files(context, parameter, incomplete)
    return [CompletionItem(name) for name in offered]


def is_plain(name: str) -> bool:
    """Whether it means itself to every shell."""
    return all(character.isalnum() or character in UNQUOTED for character in name)
