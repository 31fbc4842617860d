"""The lapped transform coder that the networks start from."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops


def dct_matrix(n):
    """Orthonormal DCT-II, float64 [frequency, position]."""
    k, i = np.arange(n)[:, None], np.arange(n)[None]
    matrix = np.cos(np.pi * (2 * i + 1) * k / (2 * n)) * np.sqrt(2 / n)
    matrix[0] /= np.sqrt(2)
    return matrix


def color_matrix():
    """Orthonormal color transform, float64 [luma and two chroma, RGB]."""
    color = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], float)
    return color / np.linalg.norm(color, axis=1, keepdims=True)


def lowest(n):
    """All n x n frequencies (down, across), lowest first."""
    frequencies = [(u, v) for u in range(n) for v in range(n)]
    return sorted(frequencies, key=lambda f: f[0] ** 2 + f[1] ** 2)


def basis(functions, counts):
    """Lowest separable products of `functions` [n, positions], by color.

    `counts` of (luma, two chroma) -> float64 [sum(counts), positions, positions, 3].
    """
    return np.array(
        [
            np.einsum("i,j,c->ijc", functions[u], functions[v], color)
            for color, count in zip(color_matrix(), counts, strict=True)
            for u, v in lowest(len(functions))[:count]
        ]
    )


def chroma_count(latents):
    """Channels for each of the two chroma components."""
    return round(latents * 0.18)


def dct4_matrix(n):
    """Orthonormal DCT-IV, float64 [frequency, position]."""
    k, i = np.arange(n)[:, None], np.arange(n)[None]
    return np.cos(np.pi * (2 * i + 1) * (2 * k + 1) / (4 * n)) * np.sqrt(2 / n)


def lapped_matrix(n):
    """Orthonormal lapped functions, float64 [frequency, 2 n positions]: over a block
    and half a block on either side.

    The DCT of a block whose borders went through a filter over half of either block
    (Tran, Liang, Tu, "Lapped transform via time-domain pre- and post-filtering", IEEE
    Trans. Signal Processing 2003; the orthogonal case).
    """
    half = n // 2
    one, zero = np.eye(half), np.zeros((half, half))
    flip = one[::-1]
    odd = flip @ dct_matrix(half).T @ dct4_matrix(half) @ flip
    butterfly = np.block([[one, flip], [flip, -one]]) / np.sqrt(2)
    border = butterfly @ np.block([[one, zero], [zero, odd]]) @ butterfly
    filters = np.kron(np.eye(2), border)
    return dct_matrix(n) @ filters[half : half + n]


def frequency_counts(channels, latents):
    """(luma, two chroma) functions at 1/8 and at 1/16."""
    chroma8, chroma16 = (channels - 64) // 2, chroma_count(latents)
    return (64, chroma8, chroma8), (latents - 2 * chroma16, chroma16, chroma16)


def in_blocks(functions, blocks):
    """Functions [latents, n, n, 3] in those of 8 x 8 blocks [channels, 192]: [latents,
    blocks down, across, channels].
    """
    latents, n, *_ = functions.shape
    parts = functions.reshape(latents, n // 8, 8, n // 8, 8, 3)
    parts = parts.transpose(0, 1, 3, 2, 4, 5).reshape(latents, n // 8, n // 8, 192)
    return parts @ blocks.T


@dataclass(frozen=True)
class LappedCoder:
    """A lapped transform in two stages, its coefficients of one variance.

    `blocks` [channels, 192]: 8 x 8 DCT functions, pixels by row, column, color.

    `lapped` [latents, 4, 4, channels]: the lapped functions of a 16 x 16 block in
    these, over the 4 x 4 blocks of 8 x 8 that they reach. Both are divided by the
    spread of their coefficients in photographs: no channel stands above the others.
    `parity` [2, latents] is -1 where a function changes its sign if it is mirrored top
    to bottom, or left to right.
    """

    blocks: np.ndarray
    block_spread: np.ndarray
    lapped: np.ndarray
    lapped_spread: np.ndarray
    parity: np.ndarray

    def inverse(self):
        """(`blocks`, `lapped`) that bring the coefficients back, shaped as those."""
        blocks = self.blocks * self.block_spread[:, None] ** 2
        lapped = self.lapped * self.lapped_spread[:, None, None, None] ** 2
        return blocks, lapped / self.block_spread**2


def lapped_coder(channels, latents, order):
    """The `LappedCoder` with so many channels at 1/8 and at 1/16, those in `order`."""
    counts8, counts16 = frequency_counts(channels, latents)
    blocks = basis(dct_matrix(8), counts8)
    functions = basis(lapped_matrix(16), counts16)[order]
    pixels = blocks.reshape(channels, 192)
    block_spread, lapped_spread = spread(blocks), spread(functions)
    lapped = in_blocks(functions, pixels) * block_spread
    frequencies = np.concatenate([lowest(16)[:count] for count in counts16])[order]
    return LappedCoder(
        pixels / block_spread[:, None],
        block_spread,
        lapped / lapped_spread[:, None, None, None],
        lapped_spread,
        1 - 2 * (frequencies.T % 2),
    )


def spread(functions):
    """Standard deviation of the coefficients of photographs in [-0.5, 0.5]: float64
    [functions], of functions [functions, n, n, 3].

    In a field of the correlation 0.97 ^ distance, with less of a deviation in chroma,
    and a floor of 2 gray levels for noise.
    """
    n = functions.shape[1]
    position = np.stack(np.meshgrid(np.arange(n), np.arange(n)), -1).reshape(-1, 2)
    distance = np.sqrt(((position[:, None] - position[None]) ** 2).sum(-1))
    luma, *chroma = np.einsum("nijc,dc->dnij", functions, color_matrix())
    flat = [part.reshape(len(functions), -1) for part in (luma, *chroma)]
    power = 0.0
    for part, deviation in zip(flat, (0.4, 0.12, 0.05), strict=True):
        field = deviation**2 * 0.97**distance
        power = power + np.einsum("ni,ij,nj->n", part, field, part)
    return np.sqrt(power + (2 / 255) ** 2)


class Kernel(keras.initializers.Initializer):
    """A kernel that starts as a given array [height, width, inputs, outputs]."""

    def __init__(self, array):
        self.array = np.asarray(array, "float32")

    def __call__(self, shape, dtype=None):
        return ops.convert_to_tensor(self.array.reshape(shape), dtype=dtype)


def first_index(latents):
    """Table index to start from at level 0, falling with frequency; float64 [latents].

    Negative means surely zero. Fitted by eye to the spread of the DCT of photographs.
    """
    chroma = chroma_count(latents)
    return np.concatenate(
        [
            top - 7.8 * np.log(1.0 + np.arange(count))
            for top, count in ((32, latents - 2 * chroma), (16, chroma), (16, chroma))
        ]
    )
