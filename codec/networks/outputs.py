"""Pictures that are made of decoded latents: as it was encoded, and smaller."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from codec.networks.runtime import Networks

Array = NDArray[Any]


@dataclass(frozen=True)
class Output:
    """A picture made of decoded latents.

    `make(latents, vectors)` gives uint8 [1, H, W, 3] with `cell_px` rows and columns
    for every cell. Right are those that have a `halo` of cells around them.
    """

    make: Callable[[Array, dict[str, Array]], Array]
    cell_px: int
    halo: int

    def sides(self, pixels: int, stride_px: int) -> int:
        """Pixels of the output, for so many `pixels` of the picture; rounded up."""
        return -(-pixels * self.cell_px // stride_px)


def synthesis_of(networks: Networks) -> Output:
    """The picture as it was encoded."""

    def make(latents: Array, vectors: dict[str, Array]) -> Array:
        return networks.synthesize(
            latents, vectors["inverse_gain"], vectors["block_scale"]
        )

    bundle = networks.bundle
    return Output(make, bundle.stride_px, bundle.halos.synthesis)


def preview_of(networks: Networks) -> Output:
    """The picture, smaller by the `preview_factor` of the bundle."""

    def make(latents: Array, vectors: dict[str, Array]) -> Array:
        return networks.preview(latents, vectors["inverse_gain"])

    bundle = networks.bundle
    cell_px = bundle.stride_px // bundle.preview_factor
    return Output(make, cell_px, bundle.halos.synthesis)
