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
from PIL import Image
from tqdm import tqdm

import codec
from benchmarks import tables
from benchmarks.codecs import CODECS, ImageCodec
from benchmarks.comparison import measured, points
from benchmarks.heads import uses
from benchmarks.measurement import load_rgb
from benchmarks.metrics import METRICS, psnr
from benchmarks.options import folder_argument, results_option
from benchmarks.plot import BPP_TICKS, STYLES
from benchmarks.results import Average, read_rows, replace_text

TEMPLATE = Path(__file__).parent / "report_template.html"
PUBLISHED = Path(__file__).parent / "published.json"
OTHERS = ("avif", "avif-psnr", "webp", "jpeg")
RATES_BPP = (0.1, 0.25, 0.5)
MIDDLE_PX, HEAD_QUALITY = 320, 80
GRID = "rgba(128, 128, 128, 0.25)"


def data_uri(image: Image.Image) -> str:
    """Lossless, so that nobody sees another codec's errors."""
    file = io.BytesIO()
    image.save(file, "WEBP", lossless=True)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def file_of_size(entry: ImageCodec, image: Image.Image, size_bytes: int) -> bytes:
    """The largest file of at most `size_bytes`, else the smallest of all."""
    low, high = 0, 100
    best = entry.encode(image, low)
    while high - low > 1:
        middle = (low + high) // 2
        data = entry.encode(image, middle)
        if len(data) <= size_bytes:
            low, best = middle, data
        else:
            high = middle
    return best


def viewer(path: Path, rates_bpp: Sequence[float]) -> dict[str, Any]:
    """`original`, and `rates`: rate -> name of a codec -> picture and facts. Files are
    no larger than ours where the codec has such files.
    """
    image = load_rgb(path)
    pixels = image.width * image.height
    original = {"source": data_uri(image), "facts": "not compressed"}

    def shown(data: bytes, decoded: Image.Image) -> dict[str, str]:
        quality = psnr(np.asarray(image), np.asarray(decoded))
        bpp = 8 * len(data) / pixels
        facts = f"{len(data)} bytes, {bpp:.3f} bpp, {quality:.2f} dB"
        return {"source": data_uri(decoded), "facts": facts}

    files: dict[str, Any] = {}
    for rate in rates_bpp:
        ours = codec.encode(image, rate_bpp=rate)
        files[f"{rate:g}"] = {"aecodec": shown(ours, codec.decode(ours))}
        for name in OTHERS:
            data = file_of_size(CODECS[name], image, len(ours))
            file = shown(data, CODECS[name].decode(data))
            if len(data) > len(ours):
                file["facts"] += ", its smallest file"
            files[f"{rate:g}"][name] = file
    return {"original": original, "rates": files}


def curves(averages: Sequence[Average]) -> str:
    """A figure for each metric, as HTML; the library is in the first."""
    figures: list[str] = []
    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    for metric in measured(averages):
        figure = go.Figure()
        codecs = list(dict.fromkeys(row.codec for row in averages))
        for number, name in enumerate(codecs):
            rates, qualities = points((r for r in averages if r.codec == name), metric)
            color, _ = STYLES[number % len(STYLES)]
            figure.add_scatter(
                x=rates,
                y=qualities,
                name=CODECS[name].description,
                mode="lines+markers",
                line={
                    "color": color if color != "#000000" else "#777777",
                    "width": 4 if name == "aecodec" else 1.5,
                },
            )
        for entry in published["curves"] if metric == "psnr" else []:
            figure.add_scatter(
                x=entry["bpp"],
                y=entry["psnr"],
                name=f"{entry['name']} (published)",
                mode="lines",
                line={"dash": "dash", "width": 1},
                visible="legendonly",
            )
        figure.update_xaxes(
            type="log",
            title="bits per pixel",
            gridcolor=GRID,
            tickvals=BPP_TICKS,
            ticktext=[f"{bpp:g}" for bpp in BPP_TICKS],
        )
        label = f"{METRICS[metric].label} ({METRICS[metric].unit})"
        figure.update_yaxes(title=label, gridcolor=GRID, zeroline=False)
        figure.update_layout(
            paper_bgcolor="rgba(0,0,0,0)",
            plot_bgcolor="rgba(0,0,0,0)",
            font_color="#888888",
            legend={"orientation": "h", "y": -0.2},
            margin={"l": 50, "r": 10, "t": 20, "b": 40},
            height=520,
        )
        library = "inline" if not figures else False
        figures.append(
            pio.to_html(
                figure,
                full_html=False,
                include_plotlyjs=library,
                config={"responsive": True, "displaylogo": False},
            )
        )
    return "\n".join(figures)


def head_pictures(path: Path) -> str:
    """The middle of a picture: harmed, decoded in all ways, and as it was."""
    image = load_rgb(path)
    side = min(MIDDLE_PX, *image.size) // 2 * 2
    left, top = ((size - side) // 2 for size in image.size)
    image = image.crop((left, top, left + side, top + side))
    sections = []
    for use, harm, harmed, methods in uses():
        if (use, harm) not in tables.SHOWN_USES:
            continue
        encoded = harmed(image)
        data = codec.encode(encoded, tune="psnr", quality=HEAD_QUALITY, content="photo")
        pictures = {"encoded": encoded}
        pictures |= {name: Image.fromarray(by(data)) for name, by in methods.items()}
        figures = "".join(
            f'<figure><img src="{data_uri(picture)}" alt="{name}">'
            f"<figcaption>{name}</figcaption></figure>"
            for name, picture in {**pictures, "original": image}.items()
        )
        title = html.escape(f"{use}: {harm}, {8 * len(data) / side**2:.2f} bpp")
        sections.append(f'<h3>{title}</h3><div class="row">{figures}</div>')
    return "\n".join(sections)


def html_table(markdown: str) -> str:
    """A table of `benchmarks.tables` as HTML, and what follows it as a paragraph."""
    lines = markdown.strip().splitlines()
    rows = [
        [html.escape(cell.strip()) for cell in line.strip("|").split("|")]
        for line in lines
        if line.startswith("|")
    ]
    rest = " ".join(line for line in lines if not line.startswith("|"))

    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line(cells, "td").replace("**", "") for cells in rows[2:])
    return f"<table>{line(rows[0], 'th')}{body}</table><p>{html.escape(rest)}</p>"


@click.command()
@folder_argument
@results_option
@click.option(
    "--image",
    "names",
    multiple=True,
    default=("kodim05.png", "kodim15.png", "kodim23.png"),
    show_default=True,
    help="Picture in FOLDER to look at; repeatable.",
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
            f"The learned image codec aecodec, model {versions['model']}, beside the "
            f"codecs people use, on {versions['images']} images. Rates are file sizes."
        ),
        **parts,
        versions=html.escape(
            ", ".join(f"{k} {v}" for k, v in versions.items() if k != "codecs")
        ),
        pictures=json.dumps(pictures).replace("</", "<\\/"),
    )
    replace_text(results / "report.html", page)
    click.echo(results / "report.html")
