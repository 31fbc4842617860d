"""Luma, PSNR and SSIM."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codec.picture.padding import pad

SSIM_BLOCK_PX = 8
SSIM_MEANS, SSIM_VARIANCES = (0.01 * 255) ** 2, (0.03 * 255) ** 2  # keep it finite


def luma(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Gray samples [H, W] of colors [H, W, 3], by BT.601."""
    return np.asarray(Image.fromarray(rgb).convert("L"))


def psnr_of(mse: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error in gray levels; at most
    100.
    """
    return 10 * math.log10(255**2 / max(mse, 255**2 / 1e10))


def dissimilarity(reference: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """1 - SSIM of the luma of colors [H, W, 3], 0 for equal ones; the mean over blocks
    that do not overlap (Wang et al., "Image quality assessment: from error visibility
    to structural similarity", 2004, equation 13).
    """
    p, q = (
        luma(pad(colors, SSIM_BLOCK_PX)).astype(np.float32)
        for colors in (reference, other)
    )

    def mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
        height, width = (side // SSIM_BLOCK_PX for side in values.shape)
        shape = height, SSIM_BLOCK_PX, width, SSIM_BLOCK_PX
        return values.reshape(shape).mean((1, 3))

    p_mean, q_mean = mean(p), mean(q)
    variances = mean(p * p) - p_mean**2 + mean(q * q) - q_mean**2
    covariance = mean(p * q) - p_mean * q_mean
    means = (2 * p_mean * q_mean + SSIM_MEANS) / (p_mean**2 + q_mean**2 + SSIM_MEANS)
    structure = (2 * covariance + SSIM_VARIANCES) / (variances + SSIM_VARIANCES)
    return float(1 - (means * structure).mean())
