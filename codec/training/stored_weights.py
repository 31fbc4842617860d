"""The weights in a LiteRT graph; needs no Keras."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

Weights = NDArray[Any]


def convolutions(path: Path) -> Iterator[tuple[str, Weights, Weights]]:
    """(name, kernel [height, width, inputs, outputs], bias), float32, in order of use,
    of the first signature; most are stored as float16. The name holds those of the
    layers that went into it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about memory, of graphs that are run
        graph = Interpreter(str(path), experimental_preserve_all_tensors=True)
    operations = graph._get_ops_details()  # no public way to the operators
    names = {d["index"]: d["name"] for d in graph.get_tensor_details()}
    half = {
        op["outputs"][0]: op["inputs"][0]
        for op in operations
        if op["op_name"] == "DEQUANTIZE"
    }
    for op in operations:
        if op["op_name"] == "CONV_2D":
            kernel, bias = (graph.get_tensor(half.get(i, i)) for i in op["inputs"][1:])
            kernel = kernel.astype("float32").transpose(1, 2, 3, 0)
            yield names[op["outputs"][0]], kernel, bias.astype("float32")
