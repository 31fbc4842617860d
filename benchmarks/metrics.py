"""Distortion between two images: one entry of `METRICS` each."""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import correlate1d
from ssimulacra2 import compute_ssimulacra2

from benchmarks import judges

PEAK = 255.0
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # finest first
WINDOW_PX, WINDOW_SIGMA_PX = 11, 1.5
MS_SSIM_SIDE_MIN_PX = WINDOW_PX * 2 ** (len(SCALE_WEIGHTS) - 1)  # 176
K1, K2 = 0.01, 0.03


def psnr(reference: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """10 log10(255^2 / MSE) in dB of uint8 [H, W, 3], one MSE over all three channels.

    Infinite for equal images.
    """
    error = np.mean((reference.astype(np.float64) - other) ** 2)
    return 10 * math.log10(PEAK**2 / error) if error else math.inf


def psnr_ycbcr(reference: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """(6 Y + Cb + Cr) / 8 in dB, of the PSNRs of the planes of full-range BT.601.

    The weights are usual for 4:2:0 video (Ohm et al., "Comparison of the coding
    efficiency of video coding standards", 2012); chroma is not subsampled here.
    """
    planes = (
        np.asarray(Image.fromarray(image).convert("YCbCr")).transpose(2, 0, 1)
        for image in (reference, other)
    )
    values = [psnr(*pair) for pair in zip(*planes, strict=True)]
    return float(np.average(values, weights=(6, 1, 1)))


def ssimulacra2(reference: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """SSIMULACRA 2 of uint8 [H, W, 3], by the package `ssimulacra2`: 100 for equal
    images, about 90 where no difference is seen, 70 high quality, 30 low, may be
    negative.
    """
    files = []
    for image in (reference, other):
        files.append(io.BytesIO())
        Image.fromarray(image).save(files[-1], "PPM")
    return float(compute_ssimulacra2(*files))


def ms_ssim(reference: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Multi-scale structural similarity of uint8 [H, W, 3]; 1 for equal images.

    The mean of the R, G and B channels' values, each after Wang, Simoncelli and Bovik,
    "Multiscale structural similarity for image quality assessment" (2003): Gaussian
    window of 11 x 11 pixels and sigma 1.5 where it lies inside the image, five scales,
    each the average of 2 x 2 pixels of the one before. The same as TensorFlow's
    `tf.image.ssim_multiscale`, also in that negative terms count as zero. NaN for
    images with a side under 176 pixels, for which the coarsest scale has no room.
    """
    if min(reference.shape[:2]) < MS_SSIM_SIDE_MIN_PX:
        return math.nan
    x, y = reference.astype(np.float64), other.astype(np.float64)
    product = np.ones(x.shape[2])
    coarsest = len(SCALE_WEIGHTS) - 1
    for scale, weight in enumerate(SCALE_WEIGHTS):
        if scale:
            x, y = halve(x), halve(y)
        luminance, contrast_structure = similarity_maps(x, y)
        similarity = contrast_structure
        if scale == coarsest:
            similarity = luminance * contrast_structure
        product *= np.maximum(similarity.mean(axis=(0, 1)), 0) ** weight
    return float(product.mean())


def decibels(similarity: float) -> float:
    """-10 log10(1 - x) of an MS-SSIM; spreads out the values near 1."""
    return math.inf if similarity >= 1 else -10 * math.log10(1 - similarity)


def similarity_maps(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(luminance, contrast-structure) terms of SSIM, both [H - 10, W - 10, C]."""
    mean_x, mean_y = window_mean(x), window_mean(y)
    mean_product, mean_squares = mean_x * mean_y, mean_x**2 + mean_y**2
    covariance = window_mean(x * y) - mean_product
    variances = window_mean(x**2 + y**2) - mean_squares
    c1, c2 = (K1 * PEAK) ** 2, (K2 * PEAK) ** 2
    return (
        (2 * mean_product + c1) / (mean_squares + c1),
        (2 * covariance + c2) / (variances + c2),
    )


def window_mean(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gaussian-weighted means of [H, W, C] inside: [H - 10, W - 10, C]."""
    radius = WINDOW_PX // 2
    offsets = np.arange(-radius, radius + 1)
    window = np.exp(-(offsets**2) / (2 * WINDOW_SIGMA_PX**2))
    window /= window.sum()
    for axis in (0, 1):
        x = correlate1d(x, window, axis=axis)
    means: NDArray[np.float64] = x[radius:-radius, radius:-radius]
    return means


def halve(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Averages of 2 x 2 pixels; the last row or column of an odd side is repeated."""
    height, width = x.shape[:2]
    x = np.pad(x, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return (x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) / 4


@dataclass(frozen=True)
class Metric:
    """How a metric is measured and shown.

    `measure` takes the image and the decoded one, uint8 [H, W, 3]; `decimals` of its
    values matter. `even` takes a value to the `unit` along which curves are even,
    larger is better. `version` is that of the package or program that measures, empty
    for our own code, None if it is not here.
    """

    label: str
    unit: str
    measure: Callable[[NDArray[np.uint8], NDArray[np.uint8]], float]
    decimals: int
    even: Callable[[float], float] = float
    version: str | None = ""


METRICS = {
    "psnr": Metric("PSNR", "dB", psnr, 2),
    "psnr_ycbcr": Metric("PSNR of YCbCr", "dB", psnr_ycbcr, 2),
    "ms_ssim": Metric("MS-SSIM", "-10 log10(1 - x)", ms_ssim, 4, decibels),
    "ssimulacra2": Metric(
        "SSIMULACRA 2", "points", ssimulacra2, 1, version=version("ssimulacra2")
    ),
    "cvvdp": Metric(
        "ColorVideoVDP", "JOD", judges.cvvdp, 2, version=judges.cvvdp_version()
    ),
    "butteraugli": Metric(
        "Butteraugli",
        "-10 log10 of the 3-norm",
        judges.butteraugli,
        2,
        lambda norm: -10 * math.log10(norm) if norm else math.inf,
        judges.butteraugli_version(),
    ),
}
