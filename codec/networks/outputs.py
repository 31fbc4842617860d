"""The pictures that networks make of decoded latents: the whole, and a smaller one."""

from typing import Any

from numpy.typing import NDArray

from codec.networks.runtime import Networks
from codec.networks.windows import Output

Array = NDArray[Any]


def synthesis_of(networks: Networks) -> Output:
    """The picture as it was encoded."""

    def make(latents: Array, vectors: dict[str, Array]) -> Array:
        return networks.synthesize(
            latents, vectors["inverse_gain"], vectors["block_scale"]
        )

    return Output(make, networks.bundle.stride_px)


def preview_of(networks: Networks) -> Output:
    """The picture smaller, by the bundle's factor."""

    def make(latents: Array, vectors: dict[str, Array]) -> Array:
        return networks.preview(latents, vectors["inverse_gain"])

    bundle = networks.bundle
    return Output(make, bundle.stride_px // bundle.preview_factor)
