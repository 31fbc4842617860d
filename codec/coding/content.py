"""What kind of picture it is: a photograph for the networks, or drawn, as screens,
text, charts and pixel art are, for the layer; or some of both.
"""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

CELL_PX = 16
LINES_SEEN = 8  # one row or column in so many
RUN = 3  # pixels that are as the one before them
RUNS_MIN = 0.15  # of the pixels; Kodak's photographs have at most 0.11
# Smooth photographs have as many. After a run they go on by a level or two, and no
# color is common: of the validation images at most 0.002 and 0.06, where drawn ones
# have 0.04 or 0.3.
EDGE_LEVELS, EDGES_MIN = 8, 0.01  # of the pixels after a run
COMMON_MIN = 0.1  # of a sample
# Shades have neither, but four squares of them take at most this losslessly, in bits
# per pixel; of the validation and Kodak images 6.
SQUARE_PX, SHADES_MAX_BPP = 64, 3.0
THIN_PX, LONG_PX = 24, 128  # sides of a strip, which the networks are not made for
SAMPLE_SIDE = 64  # rows and columns of a sample
FEW_COLORS = 32  # of a sample
FLAT_MIN = 0.04  # of the cells, for a color to be one that is kept as it is
FLAT_COLORS_MAX = 8
FLAT_WIDTH_PX = 5  # of a flat part, at least
VARIED_MAX = 0.3  # of the pixels of a cell, as the one before them, in a photograph
# A photograph in a page has a square of 2 reach + 1 cells; smaller holes are its own.
PHOTOGRAPH_REACH, HOLE_REACH = 3, 1
GROWTH_MAX = 32  # cells that it goes on beyond its squares
Colors = NDArray[np.uint8]  # [H, W, 3]
Mask = NDArray[np.bool_]  # [H, W]


def may_be_drawn(rgb: Colors, visible: Mask | None = None) -> bool:
    """Whether a picture might be better for the layer. Looks at a few pixels, of those
    that are `visible`.
    """
    if visible is None:
        visible = np.broadcast_to(np.True_, rgb.shape[:2])
    pixels = packed(sample(rgb))[sample(visible)]
    colors, counts = np.unique(pixels, return_counts=True)
    short, long = sorted(visible.shape)
    if len(colors) <= FEW_COLORS or (short <= THIN_PX and long >= LONG_PX):
        return True
    common = bool(counts.max() >= COMMON_MIN * len(pixels))
    some = slice(LINES_SEEN // 2, None, LINES_SEEN)  # not those of a frame
    rows = rgb[some], visible[some]
    columns = (part[:, some].swapaxes(0, 1) for part in (rgb, visible))
    found = [has_runs(*lines) for lines in (rows, columns)]
    runs, edges = any(runs for runs, _ in found), any(edges for _, edges in found)
    return runs and (common or edges or has_shades(rgb))


def has_runs(lines: Colors, visible: Mask) -> tuple[bool, bool]:
    """(whether many pixels of the lines go on as they are, whether after those come
    edges).
    """
    same = (lines[:, 1:] == lines[:, :-1]).all(-1)
    width = same.shape[1] - RUN
    if width <= 0:
        return False, False
    shown = np.logical_and.reduce([visible[:, i : i + width] for i in range(RUN + 2)])
    runs = np.logical_and.reduce([same[:, i : i + width] for i in range(RUN)]) & shown
    if runs.sum() <= RUNS_MIN * shown.sum():
        return False, False
    steps = np.abs(np.diff(lines[:, RUN:].astype(np.int16), axis=1)).max(-1)
    after = steps[runs & ~same[:, RUN:]]
    return True, np.count_nonzero(after > EDGE_LEVELS) > EDGES_MIN * len(after)


def has_shades(rgb: Colors) -> bool:
    """Whether lossless WebP has little to do with squares of a picture."""
    height, width = rgb.shape[:2]
    for top, left in ((top, left) for top in (1, 3) for left in (1, 3)):
        rows, columns = (
            slice(
                max(side * n // 4 - SQUARE_PX // 2, 0), side * n // 4 + SQUARE_PX // 2
            )
            for side, n in ((height, top), (width, left))
        )
        square = np.ascontiguousarray(rgb[rows, columns])
        Image.fromarray(square).save(file := io.BytesIO(), "WEBP", lossless=True)
        if 8 * file.tell() > SHADES_MAX_BPP * square[..., 0].size:
            return False
    return True


def sample(rgb: NDArray[Any]) -> NDArray[Any]:
    """Pixels on a grid of at most SAMPLE_SIDE rows and columns. Every n-th pixel would
    be in one column where the width divides n, and frames have one color.
    """
    rows, columns = (
        (np.arange(count) + 0.5) * side // count
        for side, count in ((side, min(side, SAMPLE_SIDE)) for side in rgb.shape[:2])
    )
    return rgb[np.ix_(rows.astype(int), columns.astype(int))]


def count_colors(rgb: NDArray[np.uint8]) -> int:
    """Of [..., 3]."""
    return len(np.unique(packed(rgb)))


def packed(rgb: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Colors [..., 3] as integers [...]."""
    parts = rgb.astype(np.uint32)
    found = parts[..., 0] << 16 | parts[..., 1] << 8 | parts[..., 2]
    return np.asarray(found, np.uint32)


def by_cells(values: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[H, W] -> the pixels of each cell [H/16, W/16, 256], sides rounded down."""
    height, width = (side // CELL_PX for side in values.shape)
    cut = values[: height * CELL_PX, : width * CELL_PX]
    blocks = cut.reshape(height, CELL_PX, width, CELL_PX).swapaxes(1, 2)
    return blocks.reshape(height, width, CELL_PX**2)


def flat_parts(rgb: Colors) -> Mask | None:
    """The pixels of large areas of one color, such as a white ground; None if there
    are none.
    """
    colors = packed(rgb)
    same = np.zeros(colors.shape, bool)
    same[1:, 1:] = (colors[1:, 1:] == colors[1:, :-1]) & (
        colors[1:, 1:] == colors[:-1, 1:]
    )
    inner = by_cells(same)
    inner[..., ::CELL_PX] = True  # left and upper neighbors are of other cells
    inner[..., :CELL_PX] = True
    flat = inner.all(-1)
    at = colors[CELL_PX - 1 :: CELL_PX, CELL_PX - 1 :: CELL_PX]
    found, count = np.unique(at[flat], return_counts=True)
    found = found[np.argsort(-count)][:FLAT_COLORS_MAX]
    found = found[np.sort(-count)[:FLAT_COLORS_MAX] <= -FLAT_MIN * flat.size]
    if not found.size:
        return None
    mask = Image.fromarray(np.isin(colors, found)).convert("L")
    for kind in (ImageFilter.MinFilter, ImageFilter.MaxFilter):  # no specks
        mask = mask.filter(kind(FLAT_WIDTH_PX))
    return np.asarray(mask) > 0


def photographs_in(rgb: Colors, visible: Mask | None = None) -> Mask | None:
    """The pixels of photographs in a page, as whole cells; None if there are none.
    What is not `visible` is of none.
    """
    same = np.zeros(rgb.shape[:2], bool) if visible is None else ~visible
    same[:, 1:] |= (rgb[:, 1:] == rgb[:, :-1]).all(-1)
    varied = by_cells(same).mean(-1) < VARIED_MAX
    if min(varied.shape) <= 2 * PHOTOGRAPH_REACH:
        return None
    core = opened(varied, PHOTOGRAPH_REACH)
    if not core.any():
        return None
    for _ in range(GROWTH_MAX):  # with the cells that hang together with it
        grown = spread(core, 1) & varied
        if (grown <= core).all():
            break
        core = core | grown
    core = ~opened(~core, HOLE_REACH)
    mask = np.zeros(rgb.shape[:2], bool)
    whole = core.repeat(CELL_PX, 0).repeat(CELL_PX, 1)
    mask[: whole.shape[0], : whole.shape[1]] = whole
    return mask


def opened(cells: Mask, reach: int) -> Mask:
    """The squares of 2 `reach` + 1 cells that are all in `cells`, as is what is beyond
    the picture.
    """
    return spread(~spread(~cells, reach), reach)


def spread(cells: Mask, reach: int) -> Mask:
    """`cells` and all that are so near."""
    for axis in range(2):
        padded = np.pad(cells, [(reach * (i == axis),) * 2 for i in range(2)])
        windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis)
        cells = windows.any(-1)
    return cells
