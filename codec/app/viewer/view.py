"""Which part of a picture a window shows, and how large."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

Size = tuple[int, int]  # width, height
ZOOM_MAX = 64.0
SQUARE_PX, DARK, LIGHT = 8, 153, 204  # of what is seen through a picture


@dataclass(frozen=True)
class View:
    """The pixel (x, y) of the picture is in the middle of the window, and a pixel is
    `zoom` pixels of the window wide.
    """

    x: float
    y: float
    zoom: float


def fitted(picture: Size, window: Size) -> View:
    """All of the picture, no larger than it is."""
    return View(picture[0] / 2, picture[1] / 2, fitting_zoom(picture, window))


def fitting_zoom(picture: Size, window: Size) -> float:
    return min(1.0, window[0] / picture[0], window[1] / picture[1])


def zoomed(
    view: View, factor: float, x: float, y: float, picture: Size, window: Size
) -> View:
    """Larger by `factor`, where the place (x, y) of the window, as seen from its
    middle, shows the same.
    """
    least = fitting_zoom(picture, window)
    zoom = min(max(view.zoom * factor, least), ZOOM_MAX)
    moved = 1 / view.zoom - 1 / zoom
    return within(View(view.x + x * moved, view.y + y * moved, zoom), picture, window)


def dragged(view: View, x: float, y: float, picture: Size, window: Size) -> View:
    """Moved by pixels of the window."""
    moved = View(view.x - x / view.zoom, view.y - y / view.zoom, view.zoom)
    return within(moved, picture, window)


def within(view: View, picture: Size, window: Size) -> View:
    """With no more of what is beside the picture than there has to be."""

    def middle(wanted: float, side: int, room: int) -> float:
        half = room / view.zoom / 2
        return min(max(wanted, half), side - half) if side > 2 * half else side / 2

    x = middle(view.x, picture[0], window[0])
    return View(x, middle(view.y, picture[1], window[1]), view.zoom)


def drawn(image: Image.Image, view: View, window: Size) -> tuple[Image.Image, Size]:
    """(what the window shows of an RGB or RGBA image, as RGB; where its upper left
    corner is in the window).
    """
    box, places, sizes = [], [], []
    for middle, side, room in zip((view.x, view.y), image.size, window, strict=True):
        half = room / view.zoom / 2
        first = max(0, math.floor(middle - half))
        last = min(side, math.ceil(middle + half))
        box.append((first, last))
        places.append(round(room / 2 + (first - middle) * view.zoom))
        sizes.append(max(1, round((last - first) * view.zoom)))
    (left, right), (top, bottom) = box
    how = Image.Resampling.NEAREST if view.zoom >= 1 else Image.Resampling.LANCZOS
    size = (sizes[0], sizes[1])
    part = image.resize(size, how, (left, top, right, bottom), reducing_gap=1)
    if part.mode == "RGBA":
        ground = squares(size)
        ground.paste(part, mask=part.getchannel("A"))
        part = ground
    return part, (places[0], places[1])


def squares(size: Size) -> Image.Image:
    columns, rows = (np.arange(side) // SQUARE_PX for side in size)
    light = (rows[:, None] + columns) % 2 == 0
    return Image.fromarray(np.where(light, LIGHT, DARK).astype(np.uint8)).convert("RGB")
