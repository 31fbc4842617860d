"""`aecodec view`."""

import os
import sys
from collections.abc import Callable, Sequence

import click

from codec.app.arguments import adapted, max_pixels_option, model_option
from codec.app.command_group import debug_option
from codec.app.own_process import start_engine_silently
from codec.app.reporting import debugging, explained, run_all, say
from codec.app.screen import Shown, open_for_screen
from codec.errors import UsageError
from codec.options import DecodeOptions

X11, WAYLAND = DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@model_option
@max_pixels_option
@debug_option
def view(files: Sequence[str], model: str | None, max_pixels: int) -> None:
    """Show .aec files, and pictures of other formats, in a window.

    The wheel, + and - zoom; 0 shows all of the picture, 1 every pixel as one. Drag to
    move it. The arrow keys go to the next file and back, Escape closes.

    Where Python has no tkinter, the desktop's own viewer gets temporary PNG files.
    """
    options = DecodeOptions(max_pixels=max_pixels, bundle=adapted(model))
    start_engine_silently()
    failed = []

    def load(name: str) -> Shown | str:
        try:
            return open_for_screen(name, options)
        except Exception as error:  # of whatever kind: the window stays
            failed.append(name)
            why = f"{name}: {explained(error, debugging())}"
            say(f"aecodec: {why}")
            return why

    if (run := window_of(files, load)) is not None:
        run()
    else:
        run_all(files, str, lambda name: show_elsewhere(name, options))
    if failed:
        sys.exit(1)


def window_of(
    files: Sequence[str], load: Callable[[str], Shown | str]
) -> Callable[[], None] | None:
    """What shows the files in a window, if there can be one. UsageError if the only
    display that is named cannot be reached.
    """
    try:
        import tkinter

        from codec.app.viewer.window import Window
    except ImportError:  # tkinter is a package of its own in many distributions
        return None
    try:
        return Window(files, load).run
    except tkinter.TclError as error:  # no display of X11
        if os.environ.get(X11) and not os.environ.get(WAYLAND):
            raise UsageError(str(error)) from None
        return None


def show_elsewhere(name: str, options: DecodeOptions) -> None:
    """By a program of the desktop's. UsageError if there is none."""
    from PIL import ImageShow  # which imports IPython, where that is installed

    shown = open_for_screen(name, options)
    if sys.platform == "linux" and not any(map(os.environ.get, DISPLAYS)):
        raise UsageError("there is no display to show it on")
    if not ImageShow.show(shown.image, shown.title):
        raise UsageError("there is no program that shows pictures")
