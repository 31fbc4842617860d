"""`python -m codec.training`: train a model and export it as a bundle."""

from pathlib import Path

import click


@click.group(context_settings={"show_default": True})
def main():
    """Train the networks and export them as a model bundle."""


@main.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder of the run; resumed if it exists.")
@click.option("--steps", default=20000, help="Length of the whole training.")
@click.option("--batch", default=8, help="256-px crops per step.")
@click.option("--learning-rate", default=1e-3, help="Peak, after a short warm-up; cosine to zero.")
@click.option("--checkpoint-every", default=1000, help="Steps between checkpoints and validations.")
@click.option("--valid", multiple=True, type=click.Path(exists=True, path_type=Path), help="Images to validate on.")
def train(data, output, **options):
    """Train on DATA: tar shards of images, folders, or single images."""
    from codec.training.train import train as run

    run(data, output, **options)


if __name__ == "__main__":
    main()
