"""The graphs of a bundle, run by LiteRT on NumPy arrays.

The engine is imported with the first graph, and each graph is loaded at its first use.
"""

import ctypes
import os
import threading
import weakref
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codec import machine
from codec.errors import CodecError
from codec.networks.bundle import ENCODE, EXACT, GRADIENT, PULLBACK, Bundle

Array = NDArray[Any]
Patches = tuple[tuple[int, bytes], ...]  # (offset, bytes) in a file
GRAPHS_MAX = 32  # in memory, for each number of threads its own
PATCHED_MAX = 8  # graphs of adapted models in memory; such a model has at most 4
LOADING = threading.RLock()  # so that no process forks while the engine starts


class Graph:
    """One LiteRT graph, for arrays of any height and width. Threads may share it.
    CodecError if it cannot be loaded.
    """

    def __init__(self, path: Path, threads: int, patches: Patches = ()) -> None:
        LOADED.add(self)
        self.load(path, threads, patches)
        self.lock = threading.Lock()

    def load(self, path: Path, threads: int, patches: Patches) -> None:
        from ai_edge_litert.interpreter import Interpreter

        try:
            source: dict[str, Any] = {"model_path": str(path)}
            if patches:
                source = {"model_content": patched(path.read_bytes(), patches)}
            self.interpreter = Interpreter(**source, num_threads=threads)
            self.interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise CodecError(failure(f"cannot load {path.name}", error)) from None

    def __call__(self, signature: str, **arrays: Array) -> dict[str, Array]:
        """Outputs by name; CodecError if it fails."""
        with self.lock:
            try:
                outputs: dict[str, Array] = self.interpreter.get_signature_runner(
                    signature
                )(**arrays)
            except (RuntimeError, ValueError) as error:  # all that the engine raises
                shapes = {name: array.shape for name, array in arrays.items()}
                raise CodecError(failure("inference failed", error, shapes)) from None
        return outputs


LOADED: "weakref.WeakSet[Graph]" = weakref.WeakSet()


def failure(what: str, error: Exception, facts: object = "") -> str:
    """The engine says no more of a lack of memory than of any other failure, and graphs
    are tested before: it is the likely one.
    """
    return f"{what}, not enough memory? {facts} {error}".rstrip().replace("\n", " ")


def patched(data: bytes, patches: Patches) -> bytes:
    changed = bytearray(data)
    for offset, part in patches:
        changed[offset : offset + len(part)] = part
    return bytes(changed)


def load_graph(path: Path, threads: int, patches: Patches = ()) -> Graph:
    """A graph, loaded once for whichever threads ask for it."""
    with LOADING:
        if patches:
            return patched_graph(path, threads, patches)
        return plain_graph(path, threads)


plain_graph = lru_cache(GRAPHS_MAX)(Graph)
patched_graph = lru_cache(PATCHED_MAX)(Graph)


def abandon_graphs() -> None:
    """In a forked process: load graphs anew. The threads of those that are there were
    not forked, so these can neither run nor be freed, which would wait for them.
    """
    LOADING.release()
    for graph in LOADED:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(graph))
    plain_graph.cache_clear()
    patched_graph.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=LOADING.acquire,
        after_in_parent=LOADING.release,
        after_in_child=abandon_graphs,
    )


class Networks:
    """The transforms of a bundle.

    Shapes: image uint8 [1, H, W, 3]; latents float32 [1, H/16, W/16, C]; hyper-latents
    float32 [1, H/64, W/64, K]. H and W are multiples of the stride. `analysis` and
    `synthesis` are the precisions of these networks, EXACT or FAST; for the synthesis
    None is the bundle's.
    """

    def __init__(
        self,
        bundle: Bundle,
        threads: int | None = None,
        *,
        analysis: str = EXACT,
        synthesis: str | None = None,
    ) -> None:
        self.bundle, self.threads = bundle, int(threads or machine.cpu_count())
        self.analysis = analysis
        self.synthesis = synthesis or bundle.precision

    def graph(self, name: str) -> Graph:
        patches = self.bundle.patches.get(name, ())
        return load_graph(self.bundle.graph(name), self.threads, patches)

    def analyze(self, image: Array) -> Array:
        """Latents in image units, the same for every quality."""
        return self.graph("analysis")(self.analysis, image=image)["latents"]

    def hyper_analyze(self, latents: Array, gain: Array) -> Array:
        """Integer hyper-latents of latents in image units."""
        graph = self.graph("hyper_analysis")
        return graph(EXACT, latents=latents, gain=gain)["hyper_latents"]

    def table_index(self, hyper_latents: Array, offset: int) -> Array:
        """Table index uint8 [1, H/16, W/16, C]; exact integer arithmetic."""
        offsets = np.full((1, 1, 1, 1), offset, np.float32)
        graph = self.graph("scales")
        return graph(EXACT, hyper_latents=hyper_latents, offset=offsets)["index"]

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
        found = self._mean_context(
            ENCODE,
            latents=latents,
            hyper_latents=hyper_latents,
            rounding=rounding,
            gain=gain,
            inverse_gain=inverse_gain,
        )
        return found["residuals"], found["decoded"]

    def reconstruct(
        self, residuals: Array, hyper_latents: Array, gain: Array, inverse_gain: Array
    ) -> Array:
        """Decoded latents, residuals + mean."""
        return self._mean_context(
            EXACT,
            residuals=residuals,
            hyper_latents=hyper_latents,
            gain=gain,
            inverse_gain=inverse_gain,
        )["latents"]

    def _mean_context(self, signature: str, **arrays: Array) -> dict[str, Array]:
        return self.graph("mean_context")(signature, **arrays)

    def synthesize(
        self, latents: Array, inverse_gain: Array, block_scale: Array
    ) -> Array:
        """Image uint8 [1, H, W, 3]."""
        vectors = {"inverse_gain": inverse_gain, "block_scale": block_scale}
        graph = self.graph("synthesis")
        return graph(self.synthesis, latents=latents, **vectors)["image"]

    def preview(self, latents: Array, inverse_gain: Array) -> Array:
        """Image uint8 [1, H/f, W/f, 3], f the bundle's factor; a lighter network."""
        graph = self.graph("preview")
        return graph(EXACT, latents=latents, inverse_gain=inverse_gain)["image"]

    def head(self, path: Path, latents: Array, block_scale: Array) -> dict[str, Array]:
        """Outputs of the graph of a head, from latents in image units."""
        graph = load_graph(path, self.threads)
        return graph(EXACT, latents=latents, block_scale=block_scale)

    def error_gradient(
        self, latents: Array, inverse_gain: Array, block_scale: Array, image: Array
    ) -> tuple[float, Array]:
        """(sum of squared errors of the decoded picture before it is rounded to 8 bits,
        in squared gray levels, its gradient with respect to the decoded latents).
        """
        found = self.graph("synthesis")(
            GRADIENT,
            latents=latents,
            inverse_gain=inverse_gain,
            block_scale=block_scale,
            image=image,
        )
        return float(found["error"]), found["gradient"]

    def pullback(
        self, latents: Array, inverse_gain: Array, block_scale: Array, gradient: Array
    ) -> Array:
        """Gradient with respect to the decoded latents, where that with respect to the
        decoded picture, in gray levels, is `gradient`, float32 [1, H, W, 3].
        """
        return self.graph("synthesis")(
            PULLBACK,
            latents=latents,
            inverse_gain=inverse_gain,
            block_scale=block_scale,
            gradient=gradient,
        )["gradient"]

    def objective(
        self, path: Path, image: Array, decoded: Array
    ) -> tuple[float, Array]:
        """(distortion of a decoded picture, about the mean squared error in gray
        levels, its gradient with respect to the samples of that) by the graph of an
        objective, of pictures uint8 [1, H, W, 3] of its size.
        """
        found = load_graph(path, self.threads)(EXACT, image=image, decoded=decoded)
        return float(found["error"]), found["gradient"]
