"""Command line of the benchmarks: one subcommand for each kind of measurement."""

import click

from benchmarks.rate_distortion import rate_distortion
from benchmarks.scaling import scaling
from benchmarks.speed import speed


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Measure aecodec and other image codecs."""


main.add_command(rate_distortion)
main.add_command(scaling)
main.add_command(speed)

if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
