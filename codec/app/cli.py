"""`aecodec`: the commands together, and how signals end them."""

import signal
import sys
from functools import partial

import click

import codec
from codec.app.command_group import Commands, debug_option
from codec.app.command_modules import CommandModules
from codec.app.files import occupy_closed_streams
from codec.app.own_process import own_process
from codec.app.reporting import say

SIGNALS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)
]
COMMANDS = (
    *("encode", "decode", "view", "info", "verify", "features", "search", "adapt"),
    *("corpus", "serve", "web", "desktop", "completion"),
)


@click.group(
    cls=Commands,
    commands=CommandModules(COMMANDS),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(codec.__version__, "-V", "--version", prog_name="aecodec")
@debug_option
@click.pass_context
def main(context: click.Context) -> None:
    """Learned image codec: photographs to compact .aec files and back.

    Exit status: 0 all done, 1 a file failed (the others are still done), 2 wrong usage,
    128 + N stopped by signal N.
    """

    def stop(number: int, frame: object) -> None:
        """End as on an error, so that a half-written file is removed; a second signal
        ends all at once.
        """
        for again in SIGNALS:
            signal.signal(again, signal.SIG_DFL)
        line = f"aecodec: stopped by {signal.Signals(number).name}"
        context.call_on_close(partial(say, line))  # after the bar
        sys.exit(128 + number)

    occupy_closed_streams()
    context.with_resource(own_process())
    for number in SIGNALS:
        before = signal.getsignal(number)
        if before not in (signal.SIG_IGN, None):  # nobody else's business
            signal.signal(number, stop)
            context.call_on_close(partial(signal.signal, number, before))
