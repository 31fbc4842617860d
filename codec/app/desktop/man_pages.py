"""Man pages made from the help of the commands; see groff_man(7)."""

import inspect
import re
from collections.abc import Iterator, Sequence

import click

from codec import __version__


def man_pages(main: click.Command) -> dict[str, str]:
    """Pages by their file names, of `aecodec` and of all commands below it."""
    every = contexts(main, "aecodec", None)
    return {f"{page_name(context)}.1": man_page(context) for context in every}


def contexts(
    command: click.Command, name: str, parent: click.Context | None
) -> Iterator[click.Context]:
    """Those that the commands would be called in."""
    context = command.make_context(name, [], parent, resilient_parsing=True)
    yield context
    for below, subcommand in subcommands(context):
        yield from contexts(subcommand, below, context)


def subcommands(context: click.Context) -> list[tuple[str, click.Command]]:
    group = context.command
    if not isinstance(group, click.Group):
        return []
    named = [(n, group.get_command(context, n)) for n in group.list_commands(context)]
    return [(n, command) for n, command in named if command and not command.hidden]


def page_name(context: click.Context) -> str:
    return context.command_path.replace(" ", "-")


def man_page(context: click.Context) -> str:
    command, name = context.command, page_name(context)
    options = [p for p in command.get_params(context) if isinstance(p, click.Option)]
    records = [r for option in options if (r := option.get_help_record(context))]
    below = [(f"{name}-{n}(1)", summary(sub)) for n, sub in subcommands(context)]
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [
        f'.TH "{plain(name.upper())}" 1 "" "aecodec {__version__}" "aecodec"',
        *(".nh", ".ad l"),  # no hyphens that are not in the text
        ".SH NAME",
        f"{plain(name)} \\- {plain(summary(command))}",
        ".SH SYNOPSIS",
        f"{bold(context.command_path)} {plain(usage)}",
        ".SH DESCRIPTION",
        *paragraphs(command.help or ""),
        *section("OPTIONS", records),
        *section("COMMANDS", below),
    ]
    if context.parent:
        lines += [".SH SEE ALSO", f"{bold(page_name(context.parent))}(1)"]
    return "\n".join(lines) + "\n"


def summary(command: click.Command) -> str:
    """The first sentence of the help."""
    return command.get_short_help_str(limit=1000).rstrip(".")


def section(title: str, records: Sequence[tuple[str, str]]) -> list[str]:
    """A list of terms and what they are, if there are any."""
    lines = [f".SH {title}"] if records else []
    for term, text in records:
        lines += [".TP", bold(term), plain(text)]
    return lines


def paragraphs(text: str) -> Iterator[str]:
    r"""Filled, but those that begin with \b."""
    for number, paragraph in enumerate(inspect.cleandoc(text).split("\n\n")):
        if number:
            yield ".PP"
        body = paragraph.removeprefix("\b\n")
        lines = [plain(line) for line in body.splitlines()]
        yield from lines if body == paragraph else (".nf", *lines, ".fi")


def bold(text: str) -> str:
    return rf"\fB{plain(text)}\fR"


def plain(text: str) -> str:
    """Text that roff takes as it is: with hyphens that can be copied, and nothing that
    it obeys.
    """
    text = text.replace("\\", r"\e").replace("-", r"\-")
    return re.sub(r"^(?=[.'])", r"\\&", text, flags=re.MULTILINE)
