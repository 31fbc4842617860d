"""Samples as light and as color."""

import numpy as np
from keras import ops

CHROMA = np.array(  # Cb and Cr of R, G and B, BT.601
    [[-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], "float32"
)


def linear_light(samples):
    """Linear samples in [0, 1] of sRGB; what lies outside [0, 1] is cut off."""
    samples = ops.clip(samples, 0, 1)
    curved = ((ops.maximum(samples, 0.04) + 0.055) / 1.055) ** 2.4
    return ops.where(samples <= 0.04045, samples / 12.92, curved)


def chroma(image):
    """Cb and Cr [B, H, W, 2] of [B, H, W, 3], 0 for gray."""
    return ops.matmul(image, CHROMA.T)
