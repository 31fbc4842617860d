"""The subcommand `complexity`: multiply-accumulates and bytes of the shipped graphs."""

from pathlib import Path

import click

from benchmarks.environment import write_versions
from benchmarks.options import output_option
from benchmarks.results import write_rows
from codec.networks.shipped import DEFAULT_MODEL_ID, load_bundle
from codec.training.complexity import Complexity, complexities


@click.command()
@output_option
def complexity(output: Path) -> None:
    """Count the operations of the shipped model, and its bytes."""
    rows = list(complexities(load_bundle(DEFAULT_MODEL_ID)))
    write_rows(output / "complexity.csv", Complexity, rows, {"kmac_per_pixel": ".2f"})
    write_versions(output / "complexity_versions.json", {})
    for row in rows:
        click.echo(row)
