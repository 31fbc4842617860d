"""Missing parts of a picture, filled in from around them."""

from collections.abc import Iterable

import numpy as np
from PIL import Image

# Missing parts are filled in a picture so many times smaller, then in larger ones.
FILL_FACTORS = (64, 16, 4)
FILL_ITERATIONS = 200
FILL_MARGIN_PX = 64  # around what is filled, one pixel at the largest factor
DAMAGE_REACH_PX = 24  # around a missing part, where the damage shows most


Part = tuple[slice, slice]  # rows and columns


def fill_in(
    image: Image.Image, missing: Iterable[Part], exact: Iterable[Part] = ()
) -> None:
    """Replace these parts, and `DAMAGE_REACH_PX` around them but for what is `exact`,
    by the smoothest colors that go on from those beyond. If nothing is beyond, by gray.

    This is the harmonic function (Pérez et al., "Poisson image editing", SIGGRAPH 2003,
    equation 2), found by iteration from coarse to fine.
    """
    mask = Image.new("L", image.size)
    for rows, columns in missing:
        start = columns.start - DAMAGE_REACH_PX, rows.start - DAMAGE_REACH_PX
        stop = columns.stop + DAMAGE_REACH_PX, rows.stop + DAMAGE_REACH_PX
        mask.paste(255, (*start, *stop))
    for rows, columns in exact:
        mask.paste(0, (columns.start, rows.start, columns.stop, rows.stop))
    left, top, right, bottom = mask.getbbox() or (0, 0, 0, 0)
    left, top = (max(side - FILL_MARGIN_PX, 0) for side in (left, top))
    right = min(right + FILL_MARGIN_PX, image.width)
    bottom = min(bottom + FILL_MARGIN_PX, image.height)
    box = left, top, right, bottom
    mask, part = mask.crop(box), image.crop(box)
    part.paste(Image.new("L", part.size, 128), mask=mask)
    for factor in FILL_FACTORS:
        small = np.array(part.reduce(factor), np.float32)
        unknown = np.asarray(mask.reduce(factor)) > 0
        sides = [(1, 1), (1, 1), (0, 0)][: small.ndim]
        for _ in range(FILL_ITERATIONS):
            near = np.pad(small, sides, mode="edge")
            sums = near[:-2, 1:-1] + near[2:, 1:-1] + near[1:-1, :-2] + near[1:-1, 2:]
            small[unknown] = sums[unknown] / 4
        colors = Image.fromarray(small.round().astype(np.uint8))
        part.paste(colors.resize(part.size), mask=mask)
    image.paste(part, box)
