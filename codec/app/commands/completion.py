"""`aecodec completion`."""

import click
from click.shell_completion import get_completion_class

from codec.app.command_group import debug_option
from codec.app.reporting import show

SHELLS = ("bash", "zsh", "fish")


@click.command(short_help="Print a script that completes commands.")
@click.argument("shell", type=click.Choice(SHELLS))
@debug_option
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that makes a shell complete commands, options and names of files.

    \b
    bash:  aecodec completion bash >> ~/.bashrc
    zsh:   aecodec completion zsh >> ~/.zshrc     where compinit is called above
    fish:  aecodec completion fish > ~/.config/fish/completions/aecodec.fish
    """
    made = get_completion_class(shell)
    assert made
    main = context.find_root().command
    for line in made(main, {}, "aecodec", "_AECODEC_COMPLETE").source().splitlines():
        show(line)
