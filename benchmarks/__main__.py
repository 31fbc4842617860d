"""Command line of the benchmarks: one subcommand for each kind of measurement."""

import click

from benchmarks.adaptation import adaptation
from benchmarks.browser import browser
from benchmarks.complexity import complexity
from benchmarks.crowd import crowd
from benchmarks.entropy import entropy
from benchmarks.example import example
from benchmarks.features import features
from benchmarks.folders import folders
from benchmarks.graphics import graphics
from benchmarks.heads import heads
from benchmarks.previews import previews
from benchmarks.profile import profile
from benchmarks.rate_distortion import rate_distortion
from benchmarks.refusals import refusals
from benchmarks.report import report
from benchmarks.scaling import scaling
from benchmarks.search import search
from benchmarks.service import service
from benchmarks.speed import speed
from benchmarks.tables import tables
from benchmarks.weaknesses import weaknesses


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Measure aecodec and other image codecs."""


main.add_command(adaptation)
main.add_command(browser)
main.add_command(complexity)
main.add_command(crowd)
main.add_command(entropy)
main.add_command(example)
main.add_command(features)
main.add_command(folders)
main.add_command(graphics)
main.add_command(heads)
main.add_command(previews)
main.add_command(profile)
main.add_command(rate_distortion)
main.add_command(refusals)
main.add_command(report)
main.add_command(scaling)
main.add_command(search)
main.add_command(service)
main.add_command(speed)
main.add_command(tables)
main.add_command(weaknesses)

if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
