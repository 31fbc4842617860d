"""`python -m codec.training`: train a model and export it as a bundle."""

from pathlib import Path

import click

from codec.networks.bundle import EXACT, FAST
from codec.networks.heads import HEADS
from codec.networks.shipped import TUNE_DEFAULT, TUNES


def paths_argument(name):
    kind = click.Path(exists=True, path_type=Path)
    return click.argument(name, nargs=-1, required=True, type=kind)


bundle_option = click.option(
    "--bundle",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Bundle whose latents the head is for.",
)


class Commands(click.Group):
    """Says which package is missing in a line: some are for exports alone."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            raise click.ClickException(
                f"{error}: pip install 'aecodec[train]'; Python 3.11 to 3.13, to "
                "export 3.11 or 3.12"
            ) from None


@click.group(cls=Commands, context_settings={"show_default": True})
def main():
    """Train the networks and export them as a model bundle."""


def options_of_training(command):
    """The options that all trainings have."""
    path = click.Path(path_type=Path)
    options = (
        click.option(
            "-o",
            "--output",
            required=True,
            type=path,
            help="Folder of the run; resumed if it exists.",
        ),
        click.option("--steps", default=20000, help="Length of the whole training."),
        click.option("--batch", default=4, help="256-px crops per step."),
        click.option(
            "--learning-rate",
            default=8e-4,
            help="Peak, after a short rise.",
        ),
        click.option(
            "--decay",
            default=20000,
            help="Steps at the end over which it falls to zero, as a cosine.",
        ),
        click.option(
            "--precision",
            type=click.Choice(["float32", "mixed_bfloat16"]),
            default="float32",
            help="Of the large convolutions; bfloat16 is for accelerators, and much "
            "slower on CPUs without instructions for it.",
        ),
        click.option(
            "--checkpoint-every",
            default=1000,
            help="Steps between checkpoints and validations.",
        ),
        click.option(
            "--valid",
            multiple=True,
            type=click.Path(exists=True, path_type=Path),
            help="Images to validate on.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@main.command()
@paths_argument("data")
@options_of_training
@click.option(
    "--tune",
    type=click.Choice(list(TUNES)),
    default=TUNE_DEFAULT,
    help="What distortion is: the squared error, or what people see.",
)
@click.option(
    "--architecture",
    default="lapped",
    help="Of the transforms, a name in `codec/training/architectures.py`.",
)
@click.option(
    "--start",
    type=click.Path(exists=True, path_type=Path),
    help="Run, file of `weights`, or bundle, whose weights a new run starts from.",
)
@click.option(
    "--int8",
    is_flag=True,
    help="Round the residual branches as `--precision fast` and efforts 1 to 3 do; for "
    "the last part of a run.",
)
def train(data, output, **options):
    """Train on DATA: tar shards of images, folders, or single images."""
    from codec.training.train import train as run

    run(data, output, **options)


@main.command()
@click.argument("kind", type=click.Choice(list(HEADS)))
@paths_argument("data")
@options_of_training
@bundle_option
def train_head(kind, data, output, **options):
    """Train the head KIND on DATA, over the latents of a bundle that stays as it is."""
    from codec.training.train_head import train_head as run

    run(kind, data, output, **options)


@main.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="File of the head, .tflite.",
)
def export_head(run, output):
    """Export the head trained in RUN (needs TensorFlow)."""
    from codec.training.export import export_head as write
    from codec.training.train_head import load_head

    write(load_head(run), output)


@main.command()
@click.argument("tune", type=click.Choice(list(TUNES)))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="File of the objective, .tflite.",
)
def export_objective(tune, output):
    """Export what models of TUNE are trained for, with its gradient: it is the same for
    all of them (needs TensorFlow).
    """
    from codec.training.export import export_objective as write

    write(tune, output)


@main.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@paths_argument("data")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of the bundle.",
)
@click.option(
    "--model-id",
    required=True,
    type=click.IntRange(1, 255),
    help="Id in the files; never reused.",
)
@click.option(
    "--calibration-tiles",
    default=400,
    help="512-px tiles of DATA whose symbols are counted for the tables.",
)
@click.option(
    "--precision",
    type=click.Choice([EXACT, FAST]),
    default=EXACT,
    help="What decoders compute the synthesis in; fast where nobody sees it.",
)
def export(run, data, output, **options):
    """Export the averaged weights of RUN as a bundle, its tables counted on DATA (needs
    TensorFlow).
    """
    from codec.training.checkpoints import load_codec, read_state
    from codec.training.export import export as write

    tune = read_state(run).get("goal")
    if tune not in TUNES:
        raise SystemExit(f"{run} is no run of a codec")
    write(load_codec(run), output, data=data, tune=tune, **options)


@main.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="File, .npz.",
)
def weights(run, output):
    """Write the averaged weights of RUN in half precision, to start other runs from."""
    from codec.training.checkpoints import save_weights

    save_weights(run, output)


@main.command()
@click.argument("bundle", type=click.Path(exists=True, file_okay=False, path_type=Path))
@paths_argument("images")
def evaluate(bundle, images):
    """Rate and distortion of BUNDLE on IMAGES, in real file sizes, with the ideal code
    length of the tables.
    """
    from codec.training.evaluate import evaluate as run

    run(bundle, images)


if __name__ == "__main__":
    main()
