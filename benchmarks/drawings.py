"""Pictures that are drawn here: the same every time, and nobody's property."""

import io

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

SIZE = 512, 384
SPRITE_PX, SPRITES, SPRITE_COLORS = 8, 12, 6
ZOOM = 4  # of pixel art


def text() -> Image.Image:
    """Black letters of 8 to 20 pixels on white."""
    image = Image.new("RGB", SIZE, "white")
    draw, y = ImageDraw.Draw(image), 4
    for size in range(8, 21):
        line = f"{size}: The quick brown fox jumps over 0123456789 lazy dogs. " * 3
        draw.text((4, y), line, "black", ImageFont.load_default(size))
        y += size + 12
    return image


def chart() -> Image.Image:
    """Thin colored lines, axes and labels."""
    figure = Figure(figsize=(SIZE[0] / 100, SIZE[1] / 100), dpi=100)
    axes = figure.subplots()
    x = np.linspace(0, 10, 200)
    for number in range(5):
        axes.plot(x, np.sin(x + number) * number, label=f"curve {number}")
    axes.legend()
    axes.grid()
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return Image.open(file).convert("RGB")


def dithered() -> Image.Image:
    """A gradient in black and white dots, as old printers made it."""
    return Image.linear_gradient("L").resize(SIZE).convert("1").convert("RGB")


def pixel_art() -> Image.Image:
    """Rows of a few small symmetric figures in few colors, enlarged."""
    random = np.random.default_rng(0)
    palette = random.integers(0, 256, (SPRITE_COLORS, 3), np.uint8)
    halves = random.integers(0, SPRITE_COLORS, (SPRITES, SPRITE_PX, SPRITE_PX // 2))
    figures = np.concatenate([halves, halves[..., ::-1]], axis=-1)
    columns, rows = (side // (SPRITE_PX * ZOOM) for side in SIZE)
    grid = figures[random.integers(0, SPRITES, (rows, columns))].swapaxes(1, 2)
    pixels = palette[grid.reshape(rows * SPRITE_PX, columns * SPRITE_PX)]
    return Image.fromarray(pixels.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1))


def noise() -> Image.Image:
    samples = np.random.default_rng(0).normal(128, 30, (SIZE[1], SIZE[0], 3))
    return Image.fromarray(samples.clip(0, 255).astype(np.uint8))


def page(photograph: Image.Image) -> Image.Image:
    """Lines of text on white above and below a photograph."""
    lines = text().crop((0, 0, SIZE[0], 184))
    made = Image.new("RGB", (photograph.width + 64, photograph.height + 400), "white")
    for top in (8, photograph.height + 208):
        made.paste(lines, (32, top))
    made.paste(photograph, (32, 200))
    return made


DRAWN = {
    "text on white": text,
    "charts": chart,
    "dithered black and white": dithered,
    "pixel art": pixel_art,
}
