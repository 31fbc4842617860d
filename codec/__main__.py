"""`python -m codec` is the command line."""

from codec.app.cli import main

main(prog_name="aecodec")
