"""The subcommand `rate-distortion`: size against distortion over a folder of images."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_type_hints

import click
from tqdm import tqdm

from benchmarks.codecs import ANCHOR, CODECS
from benchmarks.comparison import Comparison, compare
from benchmarks.environment import describe_codecs, described_codecs, write_versions
from benchmarks.measurement import Measurement, image_paths, measure_images
from benchmarks.metrics import METRICS
from benchmarks.options import folder_argument, output_option
from benchmarks.plot import plot_curves
from benchmarks.results import FORMATS, Average, average, read_rows, write_rows


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
    that was stopped goes on. The averages are those of the codecs named.
    """
    paths = image_paths(folder)
    codecs = [codec for codec in CODECS.values() if codec.name in names]
    for codec in codecs:
        if not codec.available:
            raise click.UsageError(f"this Pillow cannot write {codec.pillow_format}")
    name = name or folder.resolve().name
    csv_path, facts_path = output / f"{name}.csv", output / f"{name}_versions.json"

    known = described_codecs(facts_path)
    used = {key: metric.version for key, metric in METRICS.items() if metric.version}
    facts = {k: v | {"measured_by": used} for k, v in describe_codecs(codecs).items()}
    for entry in known.values():  # or columns would be of some codecs or images alone
        if missing := entry.get("measured_by", {}).keys() - used.keys():
            raise click.UsageError(
                f"{csv_path} has {', '.join(sorted(missing))}, which cannot be "
                "measured here; see benchmarks/README.md"
            )
    present = {path.name for path in paths}
    rows = [
        row
        for row in read_rows(csv_path, Measurement)
        if row.image in present
        and facts.get(row.codec, known.get(row.codec)) == known.get(row.codec)
    ]
    done = {(row.image, row.codec) for row in rows}
    tasks = [(p, c) for p in paths for c in codecs if (p.name, c.name) not in done]
    # In this order: whenever we are stopped, all rows are of the versions named.
    write_rows(csv_path, Measurement, sorted(rows), FORMATS)
    write_versions(facts_path, {"images": len(paths), "codecs": known | facts})
    for curve in tqdm(measure_images(tasks, jobs), total=len(tasks), unit="curve"):
        rows += curve
        write_rows(csv_path, Measurement, sorted(rows), FORMATS)

    measurements = [row for row in rows if row.codec in facts]
    averages = average(measurements)
    comparisons = compare(averages, measurements)
    write_rows(output / f"{name}_summary.csv", Average, averages, FORMATS)
    bd_rates = output / f"{name}_bd_rates.csv"
    bd_rates.unlink(missing_ok=True)  # of other measurements
    if comparisons:
        formats = dict.fromkeys(get_type_hints(Comparison), ".2f")
        write_rows(bd_rates, Comparison, comparisons, formats)
    plot_curves(
        output / f"{name}.png",
        averages,
        {codec.name: codec.description for codec in codecs},
        f"{name}: means over {len(paths)} image{'s' * (len(paths) > 1)}",
    )
    for row in comparisons:
        click.echo(
            f"{row.codec}: BD-rate ({METRICS[row.metric].label}) against {ANCHOR}: "
            f"{row.percent:+.2f} % from {row.low:.2f} to {row.high:.2f}"
        )
