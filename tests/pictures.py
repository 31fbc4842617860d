"""Synthetic pictures: a gradient, texture and edges like those of text; same seed, same
picture.
"""

import numpy as np
from numpy.typing import NDArray


def picture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """uint8 [height, width, 3]."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(float)
    color = np.stack([60 + 0.5 * x, 90 + 0.4 * y, 180 - 0.2 * (x + y)], axis=-1) % 256
    color = np.abs(color - 128) + 40
    texture = 9 * np.sin(0.7 * x + 0.25 * y) + 2 * random.standard_normal(
        (height, width)
    )
    strokes = ((x // 3 + 2 * (y // 7)) % 5 == 0) & (y % 32 < 9) & (y % 7 < 5)
    color = np.where(strokes[..., None], 30, color + texture[..., None])
    return color.clip(0, 255).astype(np.uint8)


def psnr(a: object, b: object) -> float:
    """Peak signal-to-noise ratio in dB of two pictures with 8 bits per sample."""
    mse = np.mean((np.asarray(a, float) - np.asarray(b, float)) ** 2)
    return float(10 * np.log10(255**2 / max(mse, 1e-9)))
