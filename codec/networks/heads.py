"""Heads: networks beside the synthesis, which make another picture of the same latents.

They belong to a model, and have digests of their own, so that files know nothing of
them.
"""

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codec.errors import CodecError, UsageError
from codec.networks.bundle import MODEL_OF_TUNE, MODELS, graph_file, model_name
from codec.networks.outputs import synthesis_of
from codec.networks.runtime import Networks
from codec.networks.windows import SYNTHESIS_HALO, Output
from codec.picture.color import luma

HEADS = ("denoise", "restore", "upscale", "colorize")
COLORIZE = "colorize"
ENLARGEMENT = {"upscale": 2}  # sides of the picture are times this
# Color, from the kernels in codec/training/heads.py: 3 x 3 at 1/16, five times at 1/32,
# and once with stride 2, 208 pixels.
HALO = {COLORIZE: 4}
SHIPPED: dict[int, dict[str, str]] = {  # model id -> head -> SHA-256 of its file
    7: {
        "denoise": ("86fd64d55ad160aa72670d22ef650f0f398978fc610056936c2e1e34d28b6223"),
        "restore": ("4bb993cb6fe9a5bbbe1385c953b233c525d97b3775ac9921786cad9be3b12cb5"),
        "upscale": ("d2a5c60fd0524dc08a2fec90e3998d1add4e970a32b5e23505fbf382e78e724a"),
        "colorize": (
            "9c545b30295d974ab98dbecd2ee1a98edba0d7813d5383d0e9cc01c6dbb9deba"
        ),
    },
}


@cache
def head_file(model_id: int, name: str) -> Path:
    """The graph of a shipped head, its digest tested.

    UsageError if the model has none, CodecError if the file is not the one released.
    """
    if name not in SHIPPED.get(model_id, ()):
        tunes = (t for t, of_tune in MODEL_OF_TUNE.items() if of_tune in SHIPPED)
        raise UsageError(
            f"there is no head {name} for model {model_name(model_id)}; "
            f"encode with --tune {' or '.join(tunes)} for one"
        )
    path = graph_file(MODELS / f"heads-{model_id}", name)
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise CodecError(f"head {name} is not installed: {error}") from None
    if found != SHIPPED[model_id][name]:
        raise CodecError(f"head {name} is damaged: its file is not the one released")
    return path


def output_of(networks: Networks, name: str) -> Output:
    """The output of a head of the networks' model; errors as for `head_file`."""
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

    cell_px = bundle.stride_px * ENLARGEMENT.get(name, 1)
    return Output(make, cell_px, HALO.get(name, SYNTHESIS_HALO))


def colored(image: NDArray[np.uint8], chroma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The luma of [1, H, W, 3] with Cb and Cr [1, h, w, 2], interpolated, as RGB."""
    height, width = image.shape[1:3]
    planes = [Image.fromarray(luma(image[0]))]
    for i in range(2):
        plane = Image.fromarray(np.ascontiguousarray(chroma[0, ..., i]))
        planes.append(plane.resize((width, height), Image.Resampling.BILINEAR))
    return np.asarray(Image.merge("YCbCr", planes).convert("RGB"))[None]
