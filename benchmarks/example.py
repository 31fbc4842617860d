"""The subcommand `example`: a picture at equal bytes in three codecs."""

from pathlib import Path

import click
import numpy as np
from PIL import Image, ImageDraw, ImageFont

import codec
from benchmarks.codecs import CODECS
from benchmarks.measurement import load_rgb
from benchmarks.metrics import psnr, ssimulacra2
from benchmarks.report import middle

NEAR = 0.01  # how far sizes may be apart
PANEL_PX, LABEL_PX, GAP_PX, TEXT_PX = 404, 46, 4, 15


def labelled(panel: Image.Image, lines: str) -> Image.Image:
    """With two lines of text below it."""
    whole = Image.new("RGB", (panel.width, panel.height + LABEL_PX), "white")
    whole.paste(panel)
    font = ImageFont.load_default(TEXT_PX)
    place = 4, panel.height + 2
    ImageDraw.Draw(whole).multiline_text(place, lines, "black", font, spacing=3)
    return whole


@click.command()
@click.argument("path", metavar="PICTURE", type=click.Path(exists=True, path_type=Path))
@click.option("--jpeg", default=12, show_default=True, help="Quality of the JPEG file.")
@click.option("--avif", default=37, show_default=True, help="Quality of the AVIF file.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("docs/example.webp"),
    show_default=True,
    help="File to write.",
)
def example(path: Path, jpeg: int, avif: int, output: Path) -> None:
    """Show the middle of PICTURE as it is, and by aecodec, AVIF and JPEG, beside it.

    The qualities are chosen so that both files have the same size, within 1 %; ours is
    the largest of the default model that is not larger.
    """
    image = load_rgb(path)
    files = {
        f"AVIF, quality {avif}": (CODECS["avif"], avif),
        f"JPEG, quality {jpeg}": (CODECS["jpeg"], jpeg),
    }
    coded = {name: entry.encode(image, q) for name, (entry, q) in files.items()}
    size_bytes = min(map(len, coded.values()))
    coded = {"aecodec": codec.encode(image, size_bytes=size_bytes), **coded}
    sizes = [len(data) for data in coded.values()]
    if max(sizes) > (1 + NEAR) * min(sizes):
        raise click.UsageError(f"sizes are too far apart: {sizes}; try other qualities")
    panels = [labelled(middle(image, PANEL_PX), f"original\n{path.name}")]
    decoders = [codec.decode, *(entry.decode for entry, _ in files.values())]
    for (name, data), decode in zip(coded.items(), decoders, strict=True):
        decoded = decode(data)
        pair = np.asarray(image), np.asarray(decoded)
        text = f"{name}: {len(data):,} bytes, {psnr(*pair):.1f} dB\n"
        text += f"SSIMULACRA 2 {ssimulacra2(*pair):.1f}"
        panels.append(labelled(middle(decoded, PANEL_PX), text))
    width, height = (size + GAP_PX for size in panels[0].size)
    whole = Image.new("RGB", (2 * width - GAP_PX, 2 * height - GAP_PX), "white")
    for number, panel in enumerate(panels):
        whole.paste(panel, (number % 2 * width, number // 2 * height))
    whole.save(output, quality=90, method=6)
    click.echo(output)
