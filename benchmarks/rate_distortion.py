"""The subcommand `rate-distortion`: size against distortion over a folder of images."""

from collections.abc import Sequence
from pathlib import Path

import click
from tqdm import tqdm

from benchmarks.codecs import ANCHOR, CODECS
from benchmarks.comparison import METRICS, compare, write_comparisons
from benchmarks.environment import describe_codecs, described_codecs, write_versions
from benchmarks.measurement import Measurement, image_paths, measure_images
from benchmarks.options import folder_argument, output_option
from benchmarks.plot import plot_curves
from benchmarks.results import average, read_csv, write_csv


@click.command()
@folder_argument
@output_option
@click.option("--name", help="What the results are called.  [default: FOLDER's name]")
@click.option(
    "--codec",
    "names",
    type=click.Choice(list(CODECS)),
    multiple=True,
    default=["aecodec", ANCHOR],
    show_default=True,
    help="Codec to measure; repeatable.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Images at a time.",
)
def rate_distortion(
    folder: Path, output: Path, name: str | None, names: Sequence[str], jobs: int
) -> None:
    """Measure file size and distortion on the images in FOLDER.

    What a run of the same name has measured with the same versions is kept, so a run
    that was stopped goes on.
    """
    paths = image_paths(folder)
    if not paths:
        raise click.UsageError(f"no images in {folder}")
    codecs = [codec for codec in CODECS.values() if codec.name in names]
    for codec in codecs:
        if not codec.available:
            raise click.UsageError(f"this Pillow cannot write {codec.pillow_format}")
    name = name or folder.resolve().name
    output.mkdir(parents=True, exist_ok=True)
    csv_path, facts_path = output / f"{name}.csv", output / f"{name}_versions.json"

    facts = describe_codecs(codecs)
    known = described_codecs(facts_path)
    kept = [
        row
        for row in read_csv(csv_path, Measurement)
        if row.codec in facts and facts[row.codec] == known.get(row.codec)
    ]
    measurements = sorted(kept)
    done = {(row.image, row.codec) for row in measurements}
    tasks = [(p, c) for p in paths for c in codecs if (p.name, c.name) not in done]
    write_versions(facts_path, {"images": len(paths), "codecs": facts})
    for rows in tqdm(measure_images(tasks, jobs), total=len(tasks), unit="curve"):
        measurements = sorted([*measurements, *rows])
        write_csv(csv_path, measurements)  # all that is done stays, if we are stopped

    averages = average(measurements)
    comparisons = compare(averages, measurements)
    write_csv(output / f"{name}_summary.csv", averages)
    write_comparisons(output / f"{name}_bd_rates.csv", comparisons)
    plot_curves(
        output / f"{name}.png",
        averages,
        {codec.name: codec.description for codec in codecs},
        f"{name}: means over {len(paths)} image{'s' * (len(paths) > 1)}",
    )
    for row in comparisons:
        click.echo(
            f"{row.codec}: BD-rate ({METRICS[row.metric][0]}) against {ANCHOR}: "
            f"{row.percent:+.2f} % from {row.low:.2f} to {row.high:.2f}"
        )
