"""Rate-distortion plots."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from benchmarks.comparison import Row, measured, points
from benchmarks.metrics import METRICS
from benchmarks.results import Average

BPP_TICKS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
# Colors of Okabe and Ito, which color-blind people can tell apart, then some more, and
# marks as well.
STYLES = (
    ("#D55E00", "o"),
    ("#000000", "s"),
    ("#0072B2", "^"),
    ("#009E73", "D"),
    ("#CC79A7", "v"),
    ("#E69F00", "P"),
    ("#56B4E9", "X"),
    ("#999999", "*"),
    ("#8C564B", "<"),
    ("#5D3A9B", ">"),
    ("#7A7A00", "h"),
)
PANELS_IN_A_ROW = 3
DPI = 120  # half of that where there are many panels
OURS = ("aecodec", "aecodec-psnr")


def plot_curves(
    path: Path, averages: Sequence[Average], labels: dict[str, str], title: str
) -> None:
    """A PNG with every metric that was measured against rate; `labels` by codec name,
    in order.

    The rate is on a logarithmic axis, as in the BD-rate: equal steps are equal factors.
    """
    panels = [("", averages, metric) for metric in measured(averages)]
    plot_panels(path, panels, labels, title)


def plot_panels(
    path: Path,
    panels: Sequence[tuple[str, Sequence[Row], str]],
    labels: dict[str, str],
    title: str,
) -> None:
    """A PNG of panels: a title, measured points, and the metric to show of them."""
    rows = -(-len(panels) // PANELS_IN_A_ROW)
    figure = Figure(figsize=(16, 1.5 + 4.5 * rows), layout="constrained")
    places = figure.subplots(rows, PANELS_IN_A_ROW, squeeze=False).ravel()
    for axes, (name, shown, metric) in zip(places, panels, strict=False):
        draw_panel(axes, shown, labels, metric)
        axes.set_title(name)
    for axes in places[len(panels) :]:
        axes.set_axis_off()
    lines, names = places[0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside lower center", ncols=3)
    figure.suptitle(title)
    figure.savefig(path, dpi=DPI if rows < 5 else DPI // 2, metadata={"Software": None})


def draw_panel(
    axes: Any,
    shown: Sequence[Row],
    labels: dict[str, str],
    metric: str,
) -> None:
    axes.set_xscale("log")
    for number, (codec, label) in enumerate(labels.items()):
        rows = [row for row in shown if row.codec == codec]
        color, marker = STYLES[number % len(STYLES)]
        axes.plot(
            *points(rows, metric),
            color=color,
            marker=marker,
            markersize=4,
            linewidth=3 if codec in OURS else 1.2,
            zorder=3 if codec in OURS else 2,
            label=label,
        )
    axes.xaxis.set_major_locator(FixedLocator(BPP_TICKS))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda bpp, _: f"{bpp:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("rate (bits per pixel, log scale)")
    axes.set_ylabel(f"{METRICS[metric].label} ({METRICS[metric].unit})")
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
