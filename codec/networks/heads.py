"""Heads: networks that make another picture of the same latents than the synthesis.

Each belongs to a model and has a digest of its own. Files do not name them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codec.networks.outputs import Output, synthesis_of
from codec.networks.runtime import Networks
from codec.networks.shipped import head_file
from codec.picture.color import luma

COLORIZE = "colorize"


@dataclass(frozen=True)
class Head:
    """A head, whose picture has sides `enlargement` times as long."""

    enlargement: int = 1
    halo: int | None = None  # in cells; None: that of the synthesis


HEADS = {
    "denoise": Head(),
    "restore": Head(),
    "upscale": Head(enlargement=2),
    # From the kernels in codec/training/heads.py: 3 x 3 at 1/16, five times at 1/32,
    # and once with stride 2, 208 pixels.
    COLORIZE: Head(halo=4),
}


def head_of(networks: Networks, name: str) -> Output:
    """The output of a head. Errors are as for `head_file`."""
    bundle = networks.bundle
    path, synthesis = head_file(bundle.model_id, name), synthesis_of(networks)

    def make(
        latents: NDArray[np.float32], vectors: dict[str, NDArray[np.float32]]
    ) -> NDArray[np.uint8]:
        inputs = latents * vectors["inverse_gain"], vectors["block_scale"]
        if name != COLORIZE:
            return networks.head(path, *inputs)["image"]
        gray = synthesis.make(latents, vectors)
        return colored(gray, networks.head(path, *inputs)["chroma"])

    head = HEADS[name]
    halo = bundle.halos.synthesis if head.halo is None else head.halo
    return Output(make, bundle.stride_px * head.enlargement, halo)


def colored(image: NDArray[np.uint8], chroma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB of the luma of [1, H, W, 3] and of Cb and Cr [1, h, w, 2], enlarged."""
    height, width = image.shape[1:3]
    planes = [Image.fromarray(luma(image[0]))]
    for i in range(2):
        plane = Image.fromarray(np.ascontiguousarray(chroma[0, ..., i]))
        planes.append(plane.resize((width, height), Image.Resampling.BILINEAR))
    return np.asarray(Image.merge("YCbCr", planes).convert("RGB"))[None]
