"""Rate-distortion plots."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from benchmarks.comparison import Row, measured, points
from benchmarks.metrics import METRICS
from benchmarks.results import Average
from benchmarks.styles import BPP_TICKS, STYLES

PANELS_IN_A_ROW = 3
DPI = 120  # half of that where there are many panels


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
    figure.legend(
        lines, names, loc="outside lower center", ncols=3, handlelength=5, fontsize=12
    )
    figure.suptitle(title)
    figure.savefig(path, dpi=DPI if rows < 5 else DPI // 2, metadata={"Software": None})


def draw_panel(
    axes: Any,
    shown: Sequence[Row],
    labels: dict[str, str],
    metric: str,
) -> None:
    axes.set_xscale("log")
    for codec, label in labels.items():
        rows = [row for row in shown if row.codec == codec]
        style = STYLES[codec]
        axes.plot(
            *points(rows, metric),
            color=style.color,
            linestyle=style.line,
            marker=style.mark,
            markersize=5,
            linewidth=style.width_px,
            zorder=3 if codec.startswith("aecodec") else 2,
            label=label,
        )
    axes.xaxis.set_major_locator(FixedLocator(BPP_TICKS))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda bpp, _: f"{bpp:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("rate (bits per pixel, log scale)")
    axes.set_ylabel(f"{METRICS[metric].label} ({METRICS[metric].unit})")
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
