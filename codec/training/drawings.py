"""Tiles with text, flat areas and smooth shades, drawn at random: what photographs have
few of.
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

LETTERS = (
    "abcdefghijklmnopqrstuvwxyz" * 3 + "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:-()"
)


def drawn_tiles(side_px, count):
    """uint8 tiles [side_px, side_px, 3]: text, flat colors and shades in turn."""
    random = np.random.default_rng(0)
    kinds = text, shapes, text, shade
    return [kinds[i % len(kinds)](side_px, random) for i in range(count)]


def color(random):
    """Often black, white or gray, else any, saturated ones among them."""
    kind = random.random()
    if kind < 0.25:
        return (0, 0, 0)
    if kind < 0.5:
        return (255, 255, 255)
    if kind < 0.6:
        return 3 * (int(random.integers(256)),)
    if kind < 0.75:
        return tuple(int(c) for c in 255 * random.integers(0, 2, 3))
    return tuple(int(c) for c in random.integers(0, 256, 3))


def text(side_px, random):
    """Lines of letters in one color on another."""
    ground, ink = color(random), color(random)
    image = Image.new("RGB", (side_px, side_px), ground)
    draw, size = ImageDraw.Draw(image), int(random.integers(9, 40))
    font, top = ImageFont.load_default(size), 4
    while top < side_px:
        words = "".join(random.choice([*LETTERS, *(12 * " ")], 4 * side_px // size))
        draw.text((int(random.integers(2, 30)), top), words, ink, font)
        top += int(size * random.uniform(1.1, 1.8))
    return np.asarray(image)


def shapes(side_px, random):
    """Rectangles and discs of flat colors."""
    image = Image.new("RGB", (side_px, side_px), color(random))
    draw = ImageDraw.Draw(image)
    for _ in range(int(random.integers(1, 12))):
        left, top = random.integers(-40, side_px, 2).tolist()
        width, height = random.integers(8, 300, 2).tolist()
        box = left, top, left + width, top + height
        (draw.rectangle if random.random() < 0.6 else draw.ellipse)(box, color(random))
    return np.asarray(image)


def shade(side_px, random):
    """A linear shade between two colors, with a little noise or none."""
    angle = random.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:side_px, :side_px] / side_px - 0.5
    share = np.clip(0.5 + 0.7 * (np.cos(angle) * x + np.sin(angle) * y), 0, 1)[
        ..., None
    ]
    first, last = np.array(color(random)), np.array(color(random))
    noise = random.choice([0.0, 1.5]) * random.standard_normal((side_px, side_px, 1))
    return np.clip(first * (1 - share) + last * share + noise, 0, 255).astype(np.uint8)
