"""Runs a bundle's graphs through LiteRT on NumPy arrays.

Importing this module is cheap; the engine is imported with the first graph, and each
graph is loaded when it is first used.
"""

import contextlib
import os
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codec.bundle import Bundle
from codec.errors import CodecError

Array = NDArray[Any]


def cpu_count() -> int:
    """Cores that this process may use."""
    return (
        len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1
    )


STDERR_LOCK = threading.Lock()


@contextlib.contextmanager
def native_stderr_silenced() -> Iterator[None]:
    """LiteRT announces its delegate on the C level, with no switch to turn that off."""
    with STDERR_LOCK:
        saved, sink = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            os.close(sink)


class Graph:
    """One LiteRT graph; inputs and outputs are arrays with any height and width. Safe
    to share between threads.
    """

    def __init__(self, path: Path, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self.interpreter = Interpreter(model_path=str(path), num_threads=threads)
        self.lock = threading.Lock()
        details = self.interpreter.get_input_details()
        self.inputs = {
            d["name"].split(":")[0].removeprefix("serving_default_"): d["index"]
            for d in details
        }
        self.outputs = [d["index"] for d in self.interpreter.get_output_details()]
        self.shapes: dict[str, tuple[int, ...]] = {}

    def __call__(self, **arrays: Array) -> tuple[Array, ...]:
        """Outputs in the order of the exported function; CodecError if it fails."""
        shapes = {name: array.shape for name, array in arrays.items()}
        with self.lock:
            try:
                if shapes != self.shapes:
                    self.resize(shapes)
                for name, array in arrays.items():
                    self.interpreter.set_tensor(self.inputs[name], array)
                self.interpreter.invoke()
            except (RuntimeError, ValueError) as error:  # all that the engine raises
                self.shapes = {}
                raise CodecError(f"inference failed, {shapes}: {error}") from None
            return tuple(self.interpreter.get_tensor(index) for index in self.outputs)

    def resize(self, shapes: dict[str, tuple[int, ...]]) -> None:
        first, self.shapes = not self.shapes, {}  # unknown until all went well
        for name, shape in shapes.items():
            self.interpreter.resize_tensor_input(self.inputs[name], shape)
        with native_stderr_silenced() if first else contextlib.nullcontext():
            self.interpreter.allocate_tensors()
        self.shapes = shapes


@cache
def load_graph(path: Path, threads: int) -> Graph:
    return Graph(path, threads)


class Networks:
    """The transforms of a bundle; all arrays have a leading batch axis of 1.

    Shapes: image uint8 [1, H, W, 3]; latents float32 [1, H/16, W/16, C]; hyper-latents
    float32 [1, H/64, W/64, K]; H and W are multiples of the bundle's stride.
    """

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        self.bundle, self.threads = bundle, threads or cpu_count()

    def graph(self, name: str) -> Graph:
        return load_graph(self.bundle.graph(name), self.threads)

    def analyze(self, image: Array) -> Array:
        """Latents in image units, the same for every quality."""
        return self.graph("analysis")(image=image)[0]

    def hyper_analyze(self, latents: Array, gain: Array) -> Array:
        """Integer hyper-latents of latents in image units."""
        return self.graph("hyper_analysis")(latents=latents, gain=gain)[0]

    def table_index(self, hyper_latents: Array, offset: int) -> Array:
        """Table index uint8 [1, H/16, W/16, C]; exact integer arithmetic."""
        offsets = np.full((1, 1, 1, 1), offset, np.float32)
        return self.graph("scales")(hyper_latents=hyper_latents, offset=offsets)[0]

    def quantize(
        self,
        latents: Array,
        hyper_latents: Array,
        rounding: Array,
        gain: Array,
        inverse_gain: Array,
    ) -> tuple[Array, Array]:
        """(integer residuals, decoded latents), float32 [1, H/16, W/16, C].

        Residuals are sign(d) * max(0, floor(|d| + rounding)), d = latents - mean.
        """
        residuals, decoded = self._mean_context(
            latents, hyper_latents, rounding, gain, inverse_gain, 1.0
        )
        return residuals, decoded

    def reconstruct(
        self, residuals: Array, hyper_latents: Array, gain: Array, inverse_gain: Array
    ) -> Array:
        """Decoded latents, residuals + mean."""
        rounding = np.full_like(residuals, 0.5)
        return self._mean_context(
            residuals, hyper_latents, rounding, gain, inverse_gain, 0.0
        )[1]

    def _mean_context(
        self,
        value: Array,
        hyper_latents: Array,
        rounding: Array,
        gain: Array,
        inverse_gain: Array,
        subtract: float,
    ) -> tuple[Array, ...]:
        return self.graph("mean_context")(
            value=value,
            hyper_latents=hyper_latents,
            rounding=rounding,
            gain=gain,
            inverse_gain=inverse_gain,
            subtract=np.full((1, 1, 1, 1), subtract, np.float32),
        )

    def synthesize(
        self, latents: Array, inverse_gain: Array, block_scale: Array
    ) -> Array:
        """Image uint8 [1, H, W, 3]."""
        return self.graph("synthesis")(
            latents=latents, inverse_gain=inverse_gain, block_scale=block_scale
        )[0]

    def preview(self, latents: Array, inverse_gain: Array) -> Array:
        """Image uint8 [1, H/f, W/f, 3], f the bundle's factor; a lighter network."""
        return self.graph("preview")(latents=latents, inverse_gain=inverse_gain)[0]

    def error_gradient(
        self, latents: Array, inverse_gain: Array, block_scale: Array, image: Array
    ) -> tuple[float, Array]:
        """(sum of squared errors of the decoded picture before it is rounded to 8 bits,
        in squared gray levels, its gradient with respect to the decoded latents).
        """
        error, gradient = self.graph("error_gradient")(
            latents=latents,
            inverse_gain=inverse_gain,
            block_scale=block_scale,
            image=image,
        )
        return float(error), gradient
