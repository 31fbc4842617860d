"""Multiply-accumulates and bytes of the graphs of a bundle."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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


def macs(path: Path, bundle: Bundle) -> int:
    """Of all convolutions in the first signature of a graph, on a picture of `SIDE_PX`
    squared.
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
    shapes = {d["index"]: d["shape"].tolist() for d in graph.get_tensor_details()}
    return sum(
        math.prod(shapes[op["outputs"][0]][:3]) * math.prod(shapes[op["inputs"][1]])
        for op in graph._get_ops_details()
        if op["op_name"] == "CONV_2D"
    )


def complexities(bundle: Bundle) -> Iterator[Complexity]:
    parts = {
        name: (
            macs(bundle.graph(name), bundle) / SIDE_PX**2 / 1000,
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
