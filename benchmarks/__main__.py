"""Command line of the benchmarks: one subcommand for each kind of measurement."""

import click

from benchmarks.rate_distortion import rate_distortion


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Measure aecodec and other image codecs."""


main.add_command(rate_distortion)

if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
