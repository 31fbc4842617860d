"""The weights in a LiteRT graph; needs no Keras."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

Weights = NDArray[Any]


class Stored:
    """The operators of the first signature of a graph, and its constants."""

    def __init__(self, path: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about memory, of graphs that are run
            self.graph = Interpreter(str(path), experimental_preserve_all_tensors=True)
        # There is no public way to the operators.
        self.operations = self.graph._get_ops_details()
        details = self.graph.get_tensor_details()
        self.names = {d["index"]: d["name"] for d in details}
        self.shapes = {d["index"]: d["shape"].tolist() for d in details}
        self.half = {
            op["outputs"][0]: op["inputs"][0] for op in self.of_kind("DEQUANTIZE")
        }

    def of_kind(self, name: str) -> Iterator[dict[str, Any]]:
        return (op for op in self.operations if op["op_name"] == name)

    def constant(self, index: int) -> Weights:
        """float32; most are stored as float16."""
        values = self.graph.get_tensor(self.half.get(index, index))
        return values.astype("float32")


def convolutions(path: Path) -> Iterator[tuple[str, Weights, Weights]]:
    """(name, kernel [height, width, inputs, outputs], bias), float32, in order of use,
    of the first signature. The name holds those of the layers that went into it.
    """
    stored = Stored(path)
    for op in stored.of_kind("CONV_2D"):
        kernel, bias = (stored.constant(index) for index in op["inputs"][1:])
        yield stored.names[op["outputs"][0]], kernel.transpose(1, 2, 3, 0), bias


def factors(path: Path, size: int) -> Iterator[Weights]:
    """Constants [size] that something is multiplied by, float32, in order of use, of
    the first signature.
    """
    stored, found = Stored(path), set[int]()
    for op in stored.of_kind("MUL"):
        for index in op["inputs"]:
            if stored.shapes[index] == [size] and index not in found:
                found.add(index)
                yield stored.constant(index)
