"""Luma, and PSNR."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def luma(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Gray samples [H, W] of colors [H, W, 3], by BT.601."""
    return np.asarray(Image.fromarray(rgb).convert("L"))


def psnr_of(mse: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error in gray levels; at most
    100.
    """
    return 10 * math.log10(255**2 / max(mse, 255**2 / 1e10))
