"""What is wrong with a decoded picture, and the gradient of that by its latents: what
refinement weighs against the rate. Another one is a function and a line in
`DISTORTIONS`.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from codec.networks.runtime import Array, Networks
from codec.networks.shipped import objective_file

# Decoded latents, in quantization steps -> (sum over all samples, in squared gray
# levels; its gradient).
Distortion = Callable[[Array], tuple[float, Array]]

SAMPLES = 3  # of a pixel
# Of squared error, beside what is seen: latents of one picture find the blind spots of
# a measure sooner than networks do, see RUNS.md.
ERROR_SHARE = 0.5
OBJECTIVE_PX = 256  # side of the squares that the graph of an objective takes


def squared_error(
    networks: Networks, vectors: dict[str, Array], image: Array
) -> Distortion:
    """The squared error. `image` is uint8 [1, H, W, 3]."""
    decoder = vectors["inverse_gain"], vectors["block_scale"]

    def found(latents: Array) -> tuple[float, Array]:
        return networks.error_gradient(latents, *decoder, image)

    return found


def seen(networks: Networks, vectors: dict[str, Array], image: Array) -> Distortion:
    """What people see of the error, square by square, as in training, see
    `codec/training/objectives.py`, and a share of squared error.
    """
    decoder = vectors["inverse_gain"], vectors["block_scale"]
    objective = objective_file(networks.bundle.tune)
    rows, columns = (list(segments(side)) for side in image.shape[1:3])

    def found(latents: Array) -> tuple[float, Array]:
        decoded = networks.synthesize(latents, *decoder)
        off = decoded.astype(np.float32) - image
        total, slope = ERROR_SHARE * float(np.sum(off**2)), 2 * ERROR_SHARE * off
        for row, column in itertools.product(rows, columns):
            square = np.ix_([0], row.near, column.near)
            error, gradient = networks.objective(
                objective, image[square], decoded[square]
            )
            core = slope[:, row.core, column.core]
            total += (1 - ERROR_SHARE) * error * core.size
            # It is a mean over the pixels of a square, and those around are as near.
            scale = (1 - ERROR_SHARE) * SAMPLES * OBJECTIVE_PX**2
            core += scale * gradient[:, row.inner, column.inner]
        return total, networks.pullback(latents, *decoder, slope)

    return found


@dataclass(frozen=True)
class Segment:
    """Pixels of a side, and the `OBJECTIVE_PX` places around them to judge them by."""

    core: slice
    near: list[int]
    inner: slice  # the core, counted in `near`


def segments(side: int) -> Iterator[Segment]:
    """As few segments as make up a side, of nearly equal length. A short side is
    mirrored beyond its end.
    """
    count = -(-side // OBJECTIVE_PX)
    edges = [side * i // count for i in range(count + 1)]
    places = list(range(side))
    while len(places) < OBJECTIVE_PX:
        places += places[::-1]
    last = max(side, OBJECTIVE_PX) - OBJECTIVE_PX
    for start, stop in itertools.pairwise(edges):
        first = min(max((start + stop - OBJECTIVE_PX) // 2, 0), last)
        near = places[first : first + OBJECTIVE_PX]
        yield Segment(slice(start, stop), near, slice(start - first, stop - first))


DISTORTIONS = {"psnr": squared_error, "visual": seen}
