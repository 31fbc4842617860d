"""`python -m codec` is the command line."""

from codec.cli import main

main(prog_name="aecodec")
