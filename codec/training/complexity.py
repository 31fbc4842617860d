"""Multiply-accumulates and bytes of the graphs of a bundle."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from codec.networks.bundle import GRAPHS, Bundle

SIDE_PX = 1408  # 2 megapixels; what is mirrored beyond borders counts, too
DECODER = ("scales", "mean_context", "synthesis")
ENCODER = ("analysis", "hyper_analysis", "scales", "mean_context")


@dataclass(frozen=True)
class Complexity:
    """`kmac_per_pixel` in thousands of multiply-accumulates of convolutions."""

    part: str
    kmac_per_pixel: float
    bytes: int


def input_side(tensor: str, side_px: int, stride_px: int, latent_px: int) -> int:
    """Rows and columns of an input for a picture of `side_px`, 1 for vectors; `tensor`
    is `signature_name:0`.
    """
    name = tensor.split(":")[0].split("_", 1)[1]
    if name in ("image", "gradient"):
        return side_px
    if name == "hyper_latents":
        return side_px // stride_px
    if name in ("latents", "residuals", "rounding"):
        return side_px // latent_px
    return 1


def work(path: Path, bundle: Bundle) -> tuple[float, float]:
    """(multiply-accumulates of all convolutions in thousands, bytes that all operators
    read and write) per pixel, of the first signature of a graph, on a picture of
    `SIDE_PX` squared.
    """
    graph = Interpreter(
        str(path),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    for details in graph.get_input_details():
        side = input_side(details["name"], SIDE_PX, bundle.stride_px, bundle.latent_px)
        shape = [1, side, side, int(details["shape"][-1])]
        graph.resize_tensor_input(details["index"], shape)
    graph.allocate_tensors()
    # Plain integers: NumPy's would overflow.
    tensors = {d["index"]: d for d in graph.get_tensor_details()}
    shapes = {index: d["shape"].tolist() for index, d in tensors.items()}
    macs = moved = 0
    for op in graph._get_ops_details():
        inputs, outputs = op["inputs"], op["outputs"]
        if op["op_name"] == "CONV_2D":
            macs += math.prod(shapes[outputs[0]][:3]) * math.prod(shapes[inputs[1]])
        for index in (*inputs, *outputs):
            if index in tensors:  # -1 stands for none
                size = np.dtype(tensors[index]["dtype"]).itemsize
                moved += math.prod(shapes[index]) * size
    return macs / SIDE_PX**2 / 1000, moved / SIDE_PX**2


def complexities(bundle: Bundle) -> Iterator[Complexity]:
    parts = {
        name: (
            work(bundle.graph(name), bundle)[0],
            bundle.graph(name).stat().st_size,
        )
        for name in GRAPHS
    }
    for name, numbers in parts.items():
        yield Complexity(name, *numbers)
    for name, graphs in (("whole decode", DECODER), ("whole encode", ENCODER)):
        kmac, size = (sum(parts[graph][i] for graph in graphs) for i in (0, 1))
        yield Complexity(name, kmac, int(size))
    total = sum(path.stat().st_size for path in bundle.folder.iterdir())
    yield Complexity("bundle", math.nan, total)
