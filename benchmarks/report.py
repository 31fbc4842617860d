"""The subcommand `report`: one HTML page of the results, which needs no network."""

import base64
import html
import io
import json
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

import click
import numpy as np
import plotly.graph_objects as go
import plotly.io as pio
from markdown_it import MarkdownIt
from PIL import Image
from tqdm import tqdm

import codec
from benchmarks import tables
from benchmarks.codecs import CODECS, ImageCodec
from benchmarks.comparison import measured, points
from benchmarks.heads import uses
from benchmarks.measurement import image_paths, load_rgb
from benchmarks.metrics import METRICS
from benchmarks.options import folder_argument, results_option
from benchmarks.results import Average, read_rows, replace_text
from benchmarks.styles import BPP_TICKS, STYLES

TEMPLATE = Path(__file__).parent / "report_template.html"
PUBLISHED = Path(__file__).parent / "published.json"
SHOWN = ("aecodec", "aecodec-psnr", "avif", "avif-psnr", "jxl", "webp", "jpeg")
IN_BROWSERS = ("AVIF", "JPEG", "WEBP")
SHOWN_METRICS = ("psnr", "ssimulacra2")
RATES_BPP = (0.1, 0.25, 0.5)
PICTURES, PICTURE_PX, HEAD_PX, HEAD_QUALITY = 3, 1024, 320, 80
GRID, TEXT = "rgba(128, 128, 128, 0.25)", "#808080"
# Without "Share chart...", which uploads it.
CONFIG = {
    "responsive": True,
    "displaylogo": False,
    "showSendToCloud": False,
    "modeBarButtons": [["toImage", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
}


def data_uri(data: bytes, image_format: str) -> str:
    encoded = base64.b64encode(data).decode()
    return f"data:{Image.MIME[image_format]};base64,{encoded}"


def lossless_uri(image: Image.Image) -> str:
    """So that nobody sees another codec's errors."""
    file = io.BytesIO()
    image.save(file, "WEBP", lossless=True)
    return data_uri(file.getvalue(), "WEBP")


def middle(image: Image.Image, side_px: int) -> Image.Image:
    """At most so wide and high, of even sides."""
    width, height = (min(side_px, size) // 2 * 2 for size in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def file_of_size(entry: ImageCodec, image: Image.Image, size_bytes: float) -> bytes:
    """The largest file of at most `size_bytes`, else the smallest of all."""
    low, high = 1, 101
    best = entry.encode(image, low)
    while high - low > 1:
        quality = (low + high) // 2
        data = entry.encode(image, quality)
        if len(data) <= size_bytes:
            low, best = quality, data
        else:
            high = quality
    return best


def viewer(path: Path, rates_bpp: Sequence[float]) -> dict[str, Any]:
    """`width`, `height`, `original`, and `rates`: rate -> description of a codec ->
    picture and facts. A file that browsers read is in the page itself.
    """
    image = middle(load_rgb(path), PICTURE_PX)
    pixels = image.width * image.height

    def shown(entry: ImageCodec, rate_bpp: float) -> dict[str, str]:
        size_bytes = rate_bpp * pixels / 8
        data = file_of_size(entry, image, size_bytes)
        decoded = entry.decode(data)
        facts = [f"{len(data):,} bytes", f"{8 * len(data) / pixels:.3f} bpp"]
        for metric in (METRICS[name] for name in SHOWN_METRICS):
            value = metric.measure(np.asarray(image), np.asarray(decoded))
            facts.append(f"{metric.label} {value:.{metric.decimals}f}")
        if len(data) > size_bytes:
            facts.append("its smallest file")
        browsers = entry.pillow_format in IN_BROWSERS
        source = data_uri(data, entry.pillow_format) if browsers else None
        return {"source": source or lossless_uri(decoded), "facts": ", ".join(facts)}

    entries = [CODECS[name] for name in SHOWN if CODECS[name].available]
    return {
        "width": image.width,
        "height": image.height,
        "original": {"source": lossless_uri(image), "facts": "not compressed"},
        "rates": {
            f"{rate:g}": {short(entry): shown(entry, rate) for entry in entries}
            for rate in rates_bpp
        },
    }


def short(entry: ImageCodec) -> str:
    return entry.description.replace("Pillow, ", "").replace(", shipped model", "")


def curves(averages: Sequence[Average]) -> str:
    """A figure for each metric, as HTML, one of them to be seen at a time; the library
    is in the first.
    """
    figures: list[str] = []
    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    for metric in measured(averages):
        figure = go.Figure()
        codecs = list(dict.fromkeys(row.codec for row in averages))
        for name in codecs:
            rates, qualities = points((r for r in averages if r.codec == name), metric)
            style = STYLES[name]
            figure.add_scatter(
                x=rates,
                y=qualities,
                name=short(CODECS[name]),
                mode="lines+markers",
                line={
                    "color": style.color,
                    "dash": style.dash,
                    "width": style.width_px,
                },
                marker={"symbol": style.marker, "size": 7},
            )
        for entry in published["curves"] if metric == "psnr" else []:
            figure.add_scatter(
                x=entry["bpp"],
                y=entry["psnr"],
                name=f"{entry['name']} (published)",
                mode="lines",
                line={"dash": "longdash", "width": 1},
                visible="legendonly",
            )
        figure.update_xaxes(
            type="log",
            title="bits per pixel",
            gridcolor=GRID,
            tickangle=0,
            tickvals=BPP_TICKS,
            ticktext=[f"{bpp:g}" for bpp in BPP_TICKS],
        )
        label = f"{METRICS[metric].label} ({METRICS[metric].unit})"
        figure.update_yaxes(title=label, gridcolor=GRID, zeroline=False)
        figure.update_layout(
            paper_bgcolor="rgba(0,0,0,0)",
            plot_bgcolor="rgba(0,0,0,0)",
            font_color=TEXT,
            margin={"l": 50, "r": 10, "t": 30, "b": 40},
        )
        inner = pio.to_html(
            figure,
            full_html=False,
            include_plotlyjs=False if figures else "inline",
            config=CONFIG,
            default_height="100%",
        )
        figures.append(f'<div class="plot" data-metric="{label}">{inner}</div>')
    return "\n".join(figures)


def head_pictures(path: Path) -> str:
    """The middle of a picture: harmed, decoded in all ways, and as it was."""
    image = middle(load_rgb(path), HEAD_PX)
    sections = []
    for use, harm, harmed, methods in uses():
        if (use, harm) not in tables.SHOWN_USES:
            continue
        encoded = harmed(image)
        data = codec.encode(encoded, tune="psnr", quality=HEAD_QUALITY, content="photo")
        pictures = {"encoded": encoded}
        pictures |= {name: Image.fromarray(by(data)) for name, by in methods.items()}
        figures = "".join(
            f'<figure><img src="{lossless_uri(picture)}" alt="{name}">'
            f"<figcaption>{name}</figcaption></figure>"
            for name, picture in {**pictures, "original": image}.items()
        )
        rate = 8 * len(data) / (image.width * image.height)
        title = html.escape(f"{use}: {harm}, {rate:.2f} bpp")
        sections.append(f'<h3>{title}</h3><div class="row">{figures}</div>')
    return "\n".join(sections)


def html_table(markdown: str) -> str:
    """What `benchmarks.tables` makes as HTML."""
    return str(MarkdownIt("commonmark").enable("table").render(markdown))


def spread(paths: Sequence[Path]) -> list[str]:
    """Names of some, evenly over all."""
    numbers = ((2 * n + 1) * len(paths) // (2 * PICTURES) for n in range(PICTURES))
    return [paths[number].name for number in sorted(set(numbers))]


@click.command()
@folder_argument
@results_option
@click.option(
    "--image",
    "names",
    multiple=True,
    help="Picture in FOLDER to look at; repeatable. Default: three of them.",
)
@click.option(
    "--bpp",
    "rates_bpp",
    type=click.FloatRange(min=0, min_open=True),
    multiple=True,
    default=RATES_BPP,
    show_default=True,
    help="Rate to look at it at; repeatable.",
)
def report(
    folder: Path, results: Path, names: Sequence[str], rates_bpp: Sequence[float]
) -> None:
    """Write report.html from the results, with pictures of FOLDER to look at."""
    names = names or spread(image_paths(folder))
    for name in names:
        if not (folder / name).exists():
            raise click.UsageError(f"there is no {name} in {folder}")
    versions = json.loads(
        tables.existing(results / "kodak_versions.json").read_text(encoding="utf-8")
    )
    parts = {
        "bd_rates": html_table(tables.bd_rates(results)),
        "speed": html_table(tables.speed(results)),
        "heads": head_pictures(folder / names[0]),
        "weaknesses": html_table(tables.weaknesses(results)),
        "curves": curves(
            read_rows(tables.existing(results / "kodak_summary.csv"), Average)
        ),
    }
    pictures = {name: viewer(folder / name, rates_bpp) for name in tqdm(names)}
    page = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        introduction=html.escape(
            "The learned image codec aecodec beside the codecs people use. "
            f"Curves are means over {versions['images']} images. "
            "Rates are those of whole files."
        ),
        **parts,
        versions=html.escape(
            ", ".join(f"{k} {v}" for k, v in versions.items() if k != "codecs")
        ),
        pictures=json.dumps(pictures).replace("</", "<\\/"),
    )
    replace_text(results / "report.html", page)
    click.echo(results / "report.html")
