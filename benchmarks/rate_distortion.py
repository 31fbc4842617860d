"""The subcommand `rate-distortion`: size against distortion over a folder of images."""

from collections.abc import Sequence
from pathlib import Path

import click

from benchmarks.bd_rate import bd_rate
from benchmarks.codecs import ANCHOR, CODECS
from benchmarks.environment import describe_codecs, write_versions
from benchmarks.measurement import Measurement, image_paths, measure_images
from benchmarks.options import folder_argument, output_option
from benchmarks.plot import plot_curves
from benchmarks.results import Average, average, write_csv

METRICS = {"psnr": "PSNR", "ms_ssim_db": "MS-SSIM"}


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
    help="Images at a time; with more than 1 the times say little.",
)
def rate_distortion(
    folder: Path, output: Path, name: str | None, names: Sequence[str], jobs: int
) -> None:
    """Measure file size, PSNR, MS-SSIM and times on the images in FOLDER."""
    paths = image_paths(folder)
    if not paths:
        raise click.UsageError(f"no images in {folder}")
    codecs = [codec for codec in CODECS.values() if codec.name in names]
    for codec in codecs:
        if not codec.available:
            raise click.UsageError(f"this Pillow cannot write {codec.pillow_format}")
    name = name or folder.resolve().name
    output.mkdir(parents=True, exist_ok=True)

    measurements: list[Measurement] = []
    for done, (path, rows) in enumerate(measure_images(paths, codecs, jobs), start=1):
        measurements += rows
        click.echo(f"{done}/{len(paths)} {path.name}", err=True)
    averages = average(measurements)

    write_csv(output / f"{name}.csv", sorted(measurements))
    write_csv(output / f"{name}_summary.csv", averages)
    facts = {"images": len(paths), "jobs": jobs, "codecs": describe_codecs(codecs)}
    write_versions(output / f"{name}_versions.json", facts)
    plot_curves(
        output / f"{name}.png",
        averages,
        {codec.name: codec.description for codec in codecs},
        f"{name}: means over {len(paths)} image{'s' * (len(paths) > 1)}",
    )
    for line in bd_rate_lines(averages):
        click.echo(line)


def bd_rate_lines(averages: Sequence[Average]) -> list[str]:
    """BD-rates of the mean curves against the anchor; empty without the anchor."""
    curves: dict[str, list[Average]] = {}
    for row in averages:
        curves.setdefault(row.codec, []).append(row)
    if ANCHOR not in curves:
        return []
    return [
        f"{codec}: BD-rate ({label}) against {ANCHOR}: "
        + bd_rate_text(curves[ANCHOR], curve, metric)
        for codec, curve in curves.items()
        if codec != ANCHOR
        for metric, label in METRICS.items()
    ]


def bd_rate_text(
    anchor: Sequence[Average], curve: Sequence[Average], metric: str
) -> str:
    try:
        result = bd_rate(
            [row.bpp for row in anchor],
            [getattr(row, metric) for row in anchor],
            [row.bpp for row in curve],
            [getattr(row, metric) for row in curve],
        )
    except ValueError as error:
        return f"none: {error}"
    text = f"{result.percent:+.2f} % over {result.low:.2f} to {result.high:.2f} dB"
    if result.dropped:
        text += f" ({result.dropped} points not increasing, left out)"
    return text
