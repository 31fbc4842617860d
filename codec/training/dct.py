"""The block transform coder that the networks start from: DCT kernels."""

import keras
import numpy as np
from keras import ops


def dct_matrix(n):
    """Orthonormal DCT-II, float64 [frequency, position]."""
    k, i = np.arange(n)[:, None], np.arange(n)[None]
    matrix = np.cos(np.pi * (2 * i + 1) * k / (2 * n)) * np.sqrt(2 / n)
    matrix[0] /= np.sqrt(2)
    return matrix


def dct_basis(n, counts):
    """Lowest n x n DCT functions of an orthonormal color transform.

    `counts` of (luma, two chroma) functions -> float64 [sum(counts), n, n, 3].
    """
    color = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], float)
    color /= np.linalg.norm(color, axis=1, keepdims=True)
    d = dct_matrix(n)
    frequencies = [(u, v) for u in range(n) for v in range(n)]
    frequencies.sort(key=lambda f: f[0] ** 2 + f[1] ** 2)
    functions = [
        np.einsum("i,j,c->ijc", d[u], d[v], color[c])
        for c, count in enumerate(counts)
        for u, v in frequencies[:count]
    ]
    return np.array(functions)


def chroma_count(latents):
    """Channels for each of the two chroma components."""
    return round(latents * 0.18)


def transform_kernels(channels, latents):
    """(8 x 8 blocks [channels, 192], 2 x 2 of those [latents, 4 * channels]).

    The second is the 16 x 16 DCT expressed in the 8 x 8 one: the two together start as
    a 16 x 16 DCT with the highest frequencies left out.
    """
    chroma8, chroma16 = (channels - 64) // 2, chroma_count(latents)
    basis8 = dct_basis(8, (64, chroma8, chroma8)).reshape(channels, 192)
    basis16 = dct_basis(16, (latents - 2 * chroma16, chroma16, chroma16))
    quarters = [
        basis16[:, i : i + 8, j : j + 8].reshape(latents, 192) @ basis8.T
        for i in (0, 8)
        for j in (0, 8)
    ]
    return basis8, np.stack(quarters, axis=1).reshape(latents, 4 * channels)


class CenterTap(keras.initializers.Initializer):
    """A convolution that starts as a matrix [outputs, inputs] at its center alone."""

    def __init__(self, matrix):
        self.matrix = np.asarray(matrix, "float32")

    def __call__(self, shape, dtype=None):
        kernel = np.zeros(shape, "float32")
        kernel[shape[0] // 2, shape[1] // 2] = self.matrix.T
        return ops.convert_to_tensor(kernel, dtype=dtype)


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
