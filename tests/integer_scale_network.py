"""The integer scale network in plain NumPy: a reference made from codec/FORMAT.md, to
hold the shipped graph against.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codec.training.stored_weights import convolutions

Integers = NDArray[np.int64]

SHIFTS = (7, 8, 10)
LIMITS = (255, 255, 63)
HYPER_LIMIT = 127  # of the hyper-latents that enter
EXACT_LIMIT = 2**24  # float32 holds all integers up to here


def read_layers(graph: Path) -> list[tuple[Integers, Integers]]:
    """(kernel [h, w, in, out], bias [out]) of every layer, from a bundle's graph."""
    layers = []
    for (_, *weights), shift in zip(convolutions(graph), SHIFTS, strict=True):
        scaled = [part * 2.0**shift for part in weights]
        assert all((part == part.round()).all() for part in scaled)
        layers.append(tuple(part.astype(np.int64) for part in scaled))
    return layers


def convolve(x: Integers, kernel: Integers) -> Integers:
    """[H, W, in] correlated with [h, w, in, out], h and w odd, with zeros around."""
    height, width = kernel.shape[:2]
    rows, columns = x.shape[:2]
    x = np.pad(x, ((height // 2,) * 2, (width // 2,) * 2, (0, 0)))
    out = np.zeros((rows, columns, kernel.shape[3]), np.int64)
    for i in range(height):
        for j in range(width):
            out += x[i : i + rows, j : j + columns] @ kernel[i, j]
    return out


def depth_to_space(x: Integers) -> Integers:
    """[H, W, 4 * C] -> [2 * H, 2 * W, C]; channels are in the order (dy, dx, c)."""
    rows, columns, channels = x.shape
    x = x.reshape(rows, columns, 2, 2, channels // 4)
    return x.transpose(0, 2, 1, 3, 4).reshape(2 * rows, 2 * columns, channels // 4)


def table_index(
    layers: Sequence[tuple[Integers, Integers]], hyper_latents: Integers, offset: int
) -> Integers:
    """Hyper-latents [rows, columns, K] -> table index [4 * rows, 4 * columns, C]."""
    x = hyper_latents
    for i, (kernel, bias) in enumerate(layers):
        last = i == len(layers) - 1
        shift = SHIFTS[i]
        # floor(sum / 2^shift + offset + 1/2), all in units of 2^-shift
        total = convolve(x, kernel) + bias + (1 << shift - 1)
        total += offset << shift if last else 0
        x = np.clip(total >> shift, 0, LIMITS[i])
        x = x if last else depth_to_space(x)
    return x


def largest_sums(
    layers: Sequence[tuple[Integers, Integers]], offset_max: int
) -> list[int]:
    """Per layer, what no partial sum exceeds, the rounding and the offset included."""
    limits = (HYPER_LIMIT, *LIMITS)
    return [
        int(
            (
                np.abs(kernel).sum((0, 1, 2)) * limit
                + np.abs(bias)
                + (1 + offset_max) * 2**shift
            ).max()
        )
        for (kernel, bias), limit, shift in zip(
            layers, limits[:-1], SHIFTS, strict=True
        )
    ]
