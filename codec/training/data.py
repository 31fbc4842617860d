"""Photographs -> a pool of square tiles on the training device, and crops of it.

The pool lies on the device as one uint8 tensor, and cropping happens there: an
accelerator is fed four integers per crop.
"""

import io
import tarfile
from pathlib import Path

import keras
import numpy as np
from keras import ops
from PIL import Image

from codec.training.drawings import drawn_tiles

TILE_PX = 512
CROP_PX = 256
REDUCTION = TILE_PX // CROP_PX  # by which a whole tile becomes a crop
ALIGNMENT = 2  # of crops, so that those of tiles half as large show the same
REDUCED_SHARE = 0.25  # of crops, that are a whole tile made smaller
GRAY_SHARE = 0.04  # of crops, whose colors are taken away
GRAPHICS_SHARE = 0.08  # of crops from sources named so, where there are any
DRAWN_SHARE = 0.04  # of crops with text and flat areas, drawn
DRAWN_TILES = 160
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"}


def read_images(sources):
    """Images of tar shards and folders, as uint8 [H, W, 3], in a fixed order."""
    for source in map(Path, sources):
        if source.suffix == ".tar":
            with tarfile.open(source) as tar:
                for member in tar:
                    if Path(member.name).suffix.lower() in SUFFIXES:
                        yield rgb(io.BytesIO(tar.extractfile(member).read()))
        else:
            for path in sorted(source.iterdir() if source.is_dir() else [source]):
                if path.suffix.lower() in SUFFIXES:
                    yield rgb(path)


def rgb(file):
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


def tiles(image):
    """Squares of TILE_PX that cover the image; the last ones are moved inside."""
    height, width = image.shape[:2]
    if min(height, width) < TILE_PX:
        return

    def starts(size):
        count = -(-size // TILE_PX)
        return np.linspace(0, size - TILE_PX, count).astype(int)

    for top in starts(height):
        for left in starts(width):
            yield image[top : top + TILE_PX, left : left + TILE_PX]


def texture(tile):
    """Sampling weight of a tile: mean gradient in gray levels, bounded, so that sky
    does not dominate.
    """
    gray = tile[::2, ::2].astype("float32").mean(-1)
    gradient = (
        np.abs(np.diff(gray, axis=0)).mean() + np.abs(np.diff(gray, axis=1)).mean()
    )
    return min(gradient, 30.0) + 2.0


def load_pool(sources):
    """(tiles uint8 [N, TILE_PX, TILE_PX, 3], sampling probability float64 [N]); at
    least one tile.

    Screenshots and diagrams, from sources whose names begin with "graphics", and drawn
    tiles are seen as often as their shares say.
    """
    graphics = [source for source in sources if Path(source).name[:8] == "graphics"]
    photographs = [source for source in sources if source not in graphics]
    kinds = [
        (1 - GRAPHICS_SHARE - DRAWN_SHARE, tiles_of(photographs)),
        (GRAPHICS_SHARE, tiles_of(graphics)),
        (DRAWN_SHARE, drawn_tiles(TILE_PX, DRAWN_TILES)),
    ]
    if not kinds[0][1]:
        raise SystemExit(
            f"no image of at least {TILE_PX} x {TILE_PX} pixels in "
            + ", ".join(map(str, sources))
        )
    probability = []
    for share, found in kinds:
        weights = np.array([texture(tile) for tile in found])
        probability.append(share * weights / max(weights.sum(), 1e-9))
    pool = np.stack([tile for _, found in kinds for tile in found])
    probability = np.concatenate(probability)
    return pool, probability / probability.sum()


def tiles_of(sources):
    return [tile for image in read_images(sources) for tile in tiles(image)]


class CropPositions(keras.utils.PyDataset):
    """Batches of (tile, top, left, orientation 0 to 7, whether reduced, whether gray),
    int32 [batch, 6]; a pure function of the step.
    """

    def __init__(self, probability, batch, first_step, steps):
        super().__init__(workers=1)
        self.cumulative = np.cumsum(probability)
        self.batch, self.first_step, self.steps = batch, first_step, steps

    def __len__(self):
        return self.steps

    def __getitem__(self, step):
        random = np.random.default_rng((0, self.first_step + step))
        tile = np.searchsorted(
            self.cumulative, random.random(self.batch) * self.cumulative[-1]
        )
        corner = random.integers(0, TILE_PX - CROP_PX + 1, (2, self.batch))
        corner -= corner % ALIGNMENT
        orientation = random.integers(0, 8, self.batch)
        reduced, gray = (
            random.random(self.batch) < share for share in (REDUCED_SHARE, GRAY_SHARE)
        )
        positions = np.stack([tile, *corner, orientation, reduced, gray], axis=1)
        return (positions.astype("int32"),)


def crop(pool, positions, batch):
    """float32 [batch, CROP_PX, CROP_PX, 3] in [-0.5, 0.5] from `pool` at `positions`
    [batch, 6]; from smaller tiles the same part, smaller.
    """
    factor = TILE_PX // pool.shape[1]
    size = CROP_PX // factor
    corners = positions[:, 1:3] // factor

    def parts(start, side):
        taken = [
            ops.slice(pool, (positions[i, 0], *start(i), 0), (1, side, side, 3))
            for i in range(batch)
        ]
        return ops.cast(ops.concatenate(taken), "float32")

    def flag(column, bit=0):
        shifted = ops.right_shift(positions[:, column], bit)
        return (shifted % 2 == 1)[:, None, None, None]

    x = parts(lambda i: (corners[i, 0], corners[i, 1]), size)
    whole = parts(lambda i: (0, 0), REDUCTION * size)
    # Slices: a mean over axes of a reshaped tensor takes 8 % of a step on CPUs.
    phases = [
        whole[:, i::REDUCTION, j::REDUCTION]
        for i in range(REDUCTION)
        for j in range(REDUCTION)
    ]
    x = ops.where(flag(4), sum(phases) / REDUCTION**2, x)
    x = ops.where(flag(5), ops.round(ops.mean(x, -1, keepdims=True)), x) / 255 - 0.5
    x = ops.where(flag(3), ops.flip(x, 1), x)
    x = ops.where(flag(3, 1), ops.flip(x, 2), x)
    return ops.where(flag(3, 2), ops.transpose(x, (0, 2, 1, 3)), x)
