"""MS-SSIM as a loss: differentiable, on any backend."""

import numpy as np
from keras import ops

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # finest first
WINDOW_PX, WINDOW_SIGMA_PX = 11, 1.5
WINDOW_EVERY_PX = 2  # windows are averaged over anyway
C1, C2 = 0.01**2, 0.03**2
SIMILARITY_MIN = 1e-3  # no infinite gradient where structure is opposite


def ms_ssim(x, y):
    """Multi-scale structural similarity [B] of images [B, H, W, C] in [0, 1].

    As `benchmarks.metrics.ms_ssim` (Wang, Simoncelli and Bovik, 2003), averaged over
    the channels, but with a window at every second pixel only. Sides are multiples of
    16 and at least 176 pixels.
    """
    x, y = (ops.transpose(image, (0, 3, 1, 2)) for image in (x, y))
    product = 1.0
    coarsest = len(SCALE_WEIGHTS) - 1
    for scale, weight in enumerate(SCALE_WEIGHTS):
        if scale:
            x, y = halve(x), halve(y)
        luminance, contrast_structure = similarity_maps(x, y)
        similarity = contrast_structure
        if scale == coarsest:
            similarity = luminance * contrast_structure
        mean = ops.mean(similarity, (2, 3))
        product = product * ops.maximum(mean, SIMILARITY_MIN) ** weight
    return ops.mean(product, -1)


def similarity_maps(x, y):
    """(luminance, contrast-structure) terms of [B, C, H, W], one per window."""
    maps = window_means(ops.stack([x, y, x * x + y * y, x * y]))
    mean_x, mean_y, squares, product = ops.unstack(maps, 4)
    mean_product, mean_squares = mean_x * mean_y, mean_x**2 + mean_y**2
    covariance, variances = product - mean_product, squares - mean_squares
    return (
        (2 * mean_product + C1) / (mean_squares + C1),
        (2 * covariance + C2) / (variances + C2),
    )


def window_means(x):
    """Gaussian-weighted means over the windows of [..., H, W].

    A product of matrices on either side: on CPUs many times faster than a convolution
    of one channel.
    """
    rows, columns = (ops.convert_to_tensor(windows(size)) for size in x.shape[-2:])
    return ops.matmul(rows, ops.matmul(x, ops.transpose(columns)))


def windows(size):
    """Weights float32 [windows, size]; each row is one window and sums to 1."""
    offset = np.arange(WINDOW_PX) - WINDOW_PX // 2
    weights = np.exp(-(offset**2) / (2 * WINDOW_SIGMA_PX**2))
    first = np.arange(0, size - WINDOW_PX + 1, WINDOW_EVERY_PX)
    matrix = np.zeros((len(first), size), "float32")
    for row, start in zip(matrix, first, strict=True):
        row[start : start + WINDOW_PX] = weights / weights.sum()
    return matrix


def halve(x):
    """Averages of 2 x 2 pixels of [B, C, H, W]."""
    return (
        x[:, :, ::2, ::2]
        + x[:, :, 1::2, ::2]
        + x[:, :, ::2, 1::2]
        + x[:, :, 1::2, 1::2]
    ) / 4
