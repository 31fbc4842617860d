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

TILE_PX = 512
CROP_PX = 256
ALIGNMENT = 2  # of crops, so that those of tiles half as large show the same
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
    """
    pool = [tile for image in read_images(sources) for tile in tiles(image)]
    if not pool:
        raise SystemExit(
            f"no image of at least {TILE_PX} x {TILE_PX} pixels in "
            + ", ".join(map(str, sources))
        )
    weights = np.array([texture(tile) for tile in pool])
    return np.stack(pool), weights / weights.sum()


class CropPositions(keras.utils.PyDataset):
    """Batches of (tile, top, left, orientation 0 to 7), int32 [batch, 4]; a pure
    function of the step.
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
        positions = np.stack(
            [tile, *corner, random.integers(0, 8, self.batch)], axis=1
        ).astype("int32")
        return (positions,)


def crop(pool, positions, batch):
    """float32 [batch, CROP_PX, CROP_PX, 3] in [-0.5, 0.5] from `pool` at `positions`
    [batch, 4]; from smaller tiles the same part, smaller.
    """
    factor = TILE_PX // pool.shape[1]
    size = (1, CROP_PX // factor, CROP_PX // factor, 3)
    corners = positions[:, 1:3] // factor
    crops = [
        ops.slice(pool, (positions[i, 0], corners[i, 0], corners[i, 1], 0), size)
        for i in range(batch)
    ]
    x = ops.cast(ops.concatenate(crops), "float32") / 255 - 0.5

    def bit(n):
        return (ops.right_shift(positions[:, 3], n) % 2 == 1)[:, None, None, None]

    x = ops.where(bit(0), ops.flip(x, 1), x)
    x = ops.where(bit(1), ops.flip(x, 2), x)
    return ops.where(bit(2), ops.transpose(x, (0, 2, 1, 3)), x)
