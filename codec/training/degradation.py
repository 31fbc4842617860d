"""What happened to a picture before it was encoded, for heads that undo it: uint8
[H, W, 3] -> uint8 [H, W, 3], or half as large, drawn at random.
"""

import io

import numpy as np
from PIL import Image, ImageFilter

SIGMA_MAX = 55.0  # of Gaussian noise, in gray levels
SHOT_SHARE = 0.3  # of pictures with the noise of a camera instead
SHOT_GAIN_MAX, READ_SIGMA_MAX = 6.0, 20.0
GRAY_SHARE = 0.1  # of pictures without color, where it is not the point
BLUR_SHARE, BLUR_MAX_PX = 0.5, 1.2
JPEG_QUALITIES = 8, 70
UNHARMED_SHARE = 0.05
FILTERS = [Image.Resampling.BICUBIC, Image.Resampling.LANCZOS, Image.Resampling.BOX]


def gray(tile, random=None):
    """Three times the same samples, by BT.601."""
    luma = np.asarray(Image.fromarray(tile).convert("L"))
    return np.repeat(luma[..., None], 3, axis=2)


def noisy(tile, random):
    """Gaussian noise, or with a variance that grows with the light, as a camera's."""
    if random.random() < SHOT_SHARE:
        gain, read = random.uniform(0, SHOT_GAIN_MAX), random.uniform(0, READ_SIGMA_MAX)
        sigma = np.sqrt(gain * tile.astype("float32") + read**2)
    else:
        sigma = random.uniform(0, SIGMA_MAX)
    noise = random.standard_normal(tile.shape, dtype="float32")
    if (tile == tile[..., :1]).all():
        noise = noise[..., :1]
    return (tile + sigma * noise + 0.5).clip(0, 255).astype("uint8")


def worn(tile, random):
    """Perhaps blurred a little, then through JPEG."""
    if random.random() < UNHARMED_SHARE:
        return tile
    image = Image.fromarray(tile)
    if random.random() < BLUR_SHARE:
        radius = random.uniform(0, BLUR_MAX_PX)
        image = image.filter(ImageFilter.GaussianBlur(radius))
    buffer = io.BytesIO()
    quality = int(random.integers(*JPEG_QUALITIES))
    subsampling = "4:2:0" if random.random() < 0.7 else "4:4:4"
    image.save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(buffer))


def halved(tile, random):
    """Half as large, by one of the usual filters."""
    height, width = tile.shape[:2]
    size = width // 2, height // 2
    return np.asarray(Image.fromarray(tile).resize(size, random.choice(FILTERS)))
