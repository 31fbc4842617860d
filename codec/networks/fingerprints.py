"""Fingerprints: what descriptors tell of pictures, in a few bytes, to find a picture by
a copy or by a part of it.

A part of the descriptor's grid becomes a few numbers of the length 1, by a projection
that keeps what tells pictures apart and not what copies change (Fisher's linear
discriminant). So the mean cosine of parts says how alike two pictures are, whichever
parts of the one lie on those of the other.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from codec.networks import shipped
from codec.networks.descriptors import FLOOR, GRID

PART_LENGTH = 32
FINGERPRINT_BYTES = GRID * GRID * PART_LENGTH
LEVELS = 127  # of a number of the length 1
# A crop may show as many rows and columns of parts as this; how much less a cosine
# tells then, as there are fewer of them.
CROPS = {3: 0.1, 2: 0.2}
SPREAD_SHARE = 1e-3  # of the covariance, added to that of copies
PROJECTION = "projection.npz"  # mean [channels], matrix [channels, PART_LENGTH]


@dataclass(frozen=True)
class Sought:
    """A picture as it is compared with fingerprints: they are as alike as the largest
    of `templates @ fingerprint - handicaps`, at most 1.
    """

    templates: NDArray[np.float32]  # [ways, FINGERPRINT_BYTES]
    handicaps: NDArray[np.float32]  # [ways]


def fingerprint(features: NDArray[np.float32]) -> NDArray[np.int8]:
    """Of what `describe` has made of the latents of the default model, int8
    [FINGERPRINT_BYTES].
    """
    return np.rint(LEVELS * unit_parts(features)).astype(np.int8).ravel()


def sought_anywhere(
    features: NDArray[np.float32], mirrored: NDArray[np.float32]
) -> Sought:
    """To find a picture, or one that it may be cut from, by its features and those of
    its mirror image.
    """
    ways = [(unit_parts(features), GRID, 0, 0), (unit_parts(mirrored), GRID, 0, 0)]
    for side in CROPS:
        parts = unit_parts(regrid(features, side))
        places = range(GRID - side + 1)
        ways += [(parts, side, row, column) for row in places for column in places]
    templates = []
    for parts, side, row, column in ways:
        template = np.zeros((GRID, GRID, PART_LENGTH), np.float32)
        block = parts.reshape(side, side, PART_LENGTH) / (LEVELS * side**2)
        template[row : row + side, column : column + side] = block
        templates.append(template.ravel())
    handicaps = [CROPS.get(side, 0) for _, side, _, _ in ways]
    return Sought(np.stack(templates), np.array(handicaps, np.float32))


def sought_alike(known: NDArray[np.int8]) -> Sought:
    """To find pictures like one whose fingerprint is known."""
    template = known.astype(np.float32) / (LEVELS * GRID) ** 2
    return Sought(template[None], np.zeros(1, np.float32))


def unit_parts(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """The parts of a grid, projected: float32 [parts, PART_LENGTH], of the length 1."""
    mean, matrix = projection()
    parts = (features.reshape(-1, len(mean)) - mean) @ matrix
    return parts / np.maximum(np.linalg.norm(parts, axis=1, keepdims=True), 1e-9)


def regrid(features: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Features over a coarser grid of `side` x `side` parts."""
    edges = np.arange(side + 1) * GRID / side
    cells = np.arange(GRID)
    shared = np.minimum(edges[1:, None], cells + 1) - np.maximum(
        edges[:-1, None], cells
    )
    weights = np.maximum(shared, 0) * side / GRID
    magnitudes = np.exp(features).reshape(GRID, GRID, -1) - FLOOR
    means = np.einsum("ai,bj,ijc->abc", weights, weights, magnitudes)
    return np.log(np.maximum(means, 0) + FLOOR).astype(np.float32).ravel()


@cache
def projection() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(mean, matrix) for the default model."""
    path = shipped.MODELS / f"search-{shipped.DEFAULT_MODEL_ID}" / PROJECTION
    with np.load(path) as arrays:
        return arrays["mean"].astype(np.float32), arrays["matrix"].astype(np.float32)


def fit(
    features: NDArray[np.float32], changes: NDArray[np.float32]
) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    """(mean, matrix) of a projection, from the parts of pictures, and from what copying
    has added to parts; both [parts, channels].
    """
    mean = features.mean(axis=0, dtype=np.float64)
    spread = np.cov(features, rowvar=False)
    copied = changes.T @ changes / len(changes)
    values, vectors = np.linalg.eigh(copied + SPREAD_SHARE * spread)
    whitening = vectors / np.sqrt(np.maximum(values, 1e-9 * values.max()))
    _, directions = np.linalg.eigh(whitening.T @ spread @ whitening)
    matrix = whitening @ directions[:, ::-1][:, :PART_LENGTH]
    matrix /= np.abs(matrix).max()  # so that half precision holds it
    return mean.astype(np.float16), matrix.astype(np.float16)
