"""The commands of `aecodec`, each of which is imported when somebody asks for it."""

from collections.abc import Iterator, MutableMapping, Sequence
from importlib import import_module

import click

from codec.app.completion import complete_names_of_files


class CommandModules(MutableMapping[str, click.Command]):
    """Commands by name, each in a module of its name in `codec.app.commands`, so that
    a call takes no time to import the others. Click looks for the names that are like
    a wrong one among the keys, not in a `list_commands` of ours.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.commands: dict[str, click.Command | None] = dict.fromkeys(names)

    def __getitem__(self, name: str) -> click.Command:
        command = self.commands[name]
        if command is None:
            module = import_module(f"codec.app.commands.{name}")
            command = self.commands[name] = getattr(module, name)
            complete_names_of_files(command)
        return command

    def __setitem__(self, name: str, command: click.Command) -> None:
        self.commands[name] = command

    def __delitem__(self, name: str) -> None:
        del self.commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.commands)

    def __len__(self) -> int:
        return len(self.commands)
