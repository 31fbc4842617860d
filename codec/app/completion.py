"""What shells offer where a name of a file is expected."""

import glob
import os
from collections.abc import Iterator

import click
from click.shell_completion import CompletionItem

from codec.api import SUFFIX

NAMES = {"FILE", "DIR", "INPUT", "OUTPUT", "PICTURE", "SOURCE", "TARGET"}
OF_CODED_FILES = {"decode", "features", "verify"}  # commands
UNQUOTED = set("/.-_+,:@%^=~")


class FileName(click.types.StringParamType):
    """A text, for which the shell offers files."""

    def shell_complete(
        self, context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")]


class CodedFileName(FileName):
    """A text, for which .aec files and folders are offered. It is left to the shell
    where there are no such files, or where names would have to be quoted.
    """

    def shell_complete(
        self, context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        names = glob.glob(f"{glob.escape(incomplete)}*")
        coded = [name for name in names if name.lower().endswith(SUFFIX)]
        folders = [f"{name}/" for name in names if os.path.isdir(name)]
        offered = sorted({*coded, *folders})
        if not coded or not all(map(is_plain, offered)):
            return super().shell_complete(context, parameter, incomplete)
        return [CompletionItem(name) for name in offered]


def is_plain(name: str) -> bool:
    """Whether it means itself to every shell."""
    return all(character.isalnum() or character in UNQUOTED for character in name)


def complete_names_of_files(main: click.Command) -> None:
    """Have them completed, in a command and all below it, where the help calls a text
    by one of NAMES.
    """
    for command, parameter in parameters(main):
        if parameter.type is click.STRING and NAMES & called(parameter):
            coded = command.name in OF_CODED_FILES and parameter.nargs == -1
            parameter.type = CodedFileName() if coded else FileName()


def parameters(
    command: click.Command,
) -> Iterator[tuple[click.Command, click.Parameter]]:
    for parameter in command.params:
        yield command, parameter
    if isinstance(command, click.Group):
        for below in command.commands.values():
            yield from parameters(below)


def called(parameter: click.Parameter) -> set[str]:
    """FILE and DIR of FILE|DIR, FILE of FILE..."""
    name = parameter.metavar or parameter.name or ""
    return set(name.upper().strip(".").split("|"))
