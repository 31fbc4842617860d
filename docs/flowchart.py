"""Draws the flowcharts that documents have in Mermaid's language as SVG, so that the
site needs no script: lines `name["label"]`, `one --> other` and `one -.-> other`.
"""

import re
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from html import escape
from statistics import fmean

from docutils import nodes
from docutils.parsers.rst import Directive

ROW_PX, BOX_PX, GAP_PX, LETTER_PX = 76, 36, 40, 8.5
NODE = re.compile(r'^\s*(\w+)\["(.*)"\]$', re.MULTILINE)
ARROW = re.compile(r"^\s*(\w+) (-->|-\.->) (\w+)$", re.MULTILINE)
HEAD = (
    '<marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" '
    'markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" fill="currentColor"/>'
    "</marker>"
)


def rows_of(names: Sequence[str], arrows: Sequence[tuple[str, ...]]) -> list[list[str]]:
    """From the top down, each right above the highest that it has an arrow to."""
    below = {name: [other for one, _, other in arrows if one == name] for name in names}
    height = dict.fromkeys(names, 0)
    for name in TopologicalSorter(below).static_order():
        height[name] = 1 + max((height[other] for other in below[name]), default=-1)
    top = max(height.values())
    return [[n for n in names if height[n] == top - row] for row in range(top + 1)]


def centers_of(
    rows: Sequence[Sequence[str]],
    widths: Mapping[str, float],
    arrows: Sequence[tuple[str, ...]],
) -> dict[str, float]:
    """x of each node, 0 in the middle, in the order of what leads to it."""
    centers: dict[str, float] = {}
    for row in rows:
        above = {
            name: fmean([centers[o] for o, _, n in arrows if n == name] or [1e9])
            for name in row
        }
        left = -(sum(widths[name] for name in row) + GAP_PX * (len(row) - 1)) / 2
        for name in sorted(row, key=lambda name: above[name]):
            centers[name] = left + widths[name] / 2
            left += widths[name] + GAP_PX
    return centers


def svg(source: str) -> str:
    labels, arrows = dict(NODE.findall(source)), ARROW.findall(source)
    rows = rows_of(list(labels), arrows)
    widths = {name: 24 + LETTER_PX * len(label) for name, label in labels.items()}
    centers = centers_of(rows, widths, arrows)
    tops = {
        name: 2 + ROW_PX * number for number, row in enumerate(rows) for name in row
    }
    shapes = []
    for one, arrow, other in arrows:
        dashes = ' stroke-dasharray="4"' if arrow == "-.->" else ""
        shapes.append(
            f'<path d="M{centers[one]:.0f} {tops[one] + BOX_PX}L{centers[other]:.0f} '
            f'{tops[other]}" stroke="currentColor" marker-end="url(#head)"{dashes}/>'
        )
    for name, label in labels.items():
        x, y, width = centers[name], tops[name], widths[name]
        shapes.append(
            f'<rect x="{x - width / 2:.0f}" y="{y}" width="{width:.0f}" rx="5" '
            f'height="{BOX_PX}" fill="var(--color-background-secondary)" '
            f'stroke="currentColor"/><text x="{x:.0f}" y="{y + 23}" '
            f'text-anchor="middle" fill="currentColor">{escape(label)}</text>'
        )
    half = max(abs(centers[n]) + widths[n] / 2 for n in labels) + 2
    box = f"{-half:.0f} 0 {2 * half:.0f} {ROW_PX * len(rows)}"
    size = f'style="max-width: 100%; width: {2 * half:.0f}px" role="img"'
    return f'<svg viewBox="{box}" {size}>{HEAD}{"".join(shapes)}</svg>'


class Flowchart(Directive):
    """A block of the language `mermaid`."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        return [nodes.raw("", svg("\n".join(self.content)), format="html")]
