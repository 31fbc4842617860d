"""Model bundles: a folder of LiteRT graphs, tables and vectors, named by a model id and
guarded by a digest.

Loading a bundle starts no inference engine.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codec.entropy.tables import Tables
from codec.errors import CodecError, FormatError
from codec.file.header import QUALITY_CODE_MAX

GRAPHS = (
    "analysis",
    "hyper_analysis",
    "scales",
    "mean_context",
    "synthesis",
    "preview",
)
# Signatures of the graphs; `EXACT` is in all.
EXACT = "exact"  # floats; of the mean_context, the decoder's
ENCODE = "encode"  # the encoder's, of the mean_context
FAST = "fast"  # as exact, but residual branches in int8; of analysis and synthesis
GRADIENT = "gradient"  # of the synthesis, if the bundle can refine
PRECISIONS = (EXACT, FAST)
CONFIG = "config.json"
ARRAYS = "arrays.npz"
# Model ids in files are literals, never reused. From the first release on, every one
# decodes for ever.
# (folder, SHA-256 of the bundle)
SHIPPED = {
    7: ("psnr-7", "0459972a63925d2fe8be622a6769bab15cad83a5ede58a1bb3ba1436f71c3125"),
    9: ("visual-9", "d1c6d381925e6cda07422e1076576ddeddd26c9db5edbe4f36331485ec439d11"),
}
MODEL_OF_TUNE = {"visual": 9, "psnr": 7}
TUNE_DEFAULT = "visual"
DEFAULT_MODEL_ID = MODEL_OF_TUNE[TUNE_DEFAULT]
MODELS = Path(__file__).parent.parent / "models"


@dataclass(frozen=True)
class Bundle:
    """Everything a model is, apart from the engine that runs its graphs."""

    folder: Path
    model_id: int
    digest: bytes  # SHA-256, see "Bundle" in codec/FORMAT.md
    stride_px: int  # side of one hyper-latent cell
    latent_px: int  # side of one latent cell
    preview_factor: int  # sides of the picture are as many times those of the preview
    latent_channels: int
    hyper_channels: int
    hyper_limit: int  # hyper-latents lie in [-hyper_limit, hyper_limit]
    index_offset_max: int  # added to table indices at the highest quality
    # Bits per pixel that one squared gray level of mean error is worth, lowest quality
    # and highest.
    lmbda_min: float
    lmbda_max: float
    skip_below: int  # residuals with a lower table index are not coded, but zero
    can_refine: bool  # latents by gradient descent; where training minimized the error
    hyper_tables: tuple[Tables, ...]  # per range of qualities; a table per channel
    residual_tables: Tables  # by table index
    log_gain: NDArray[np.float32]  # [anchors, latent_channels]
    log_inverse_gain: NDArray[np.float32]  # [anchors, latent_channels]
    block_scale: NDArray[np.float32]  # [anchors, channels of all blocks]
    # By graph what an adapted model has in place of its file's bytes: (offset, bytes).
    patches: Mapping[str, tuple[tuple[int, bytes], ...]] = field(default_factory=dict)

    def graph(self, name: str) -> Path:
        return graph_file(self.folder, name)

    def vectors(self, quality_code: int) -> dict[str, NDArray[np.float32]]:
        """`gain`, `inverse_gain` and `block_scale` of a quality, each float32 [1, 1, 1,
        channels].
        """
        position = quality_code / QUALITY_CODE_MAX * (len(self.log_gain) - 1)
        low = min(int(position), len(self.log_gain) - 2)

        def between(anchors: NDArray[np.float32]) -> NDArray[np.float32]:
            value = anchors[low] + (anchors[low + 1] - anchors[low]) * np.float32(
                position - low
            )
            return value[None, None, None]

        return {
            "gain": np.exp(between(self.log_gain)),
            "inverse_gain": np.exp(between(self.log_inverse_gain)),
            "block_scale": between(self.block_scale),
        }

    def bits_per_error(self, quality_code: int) -> float:
        """Bits that one squared gray level of error in one of the three samples of a
        pixel is worth: the trade-off that the model was trained for.
        """
        level = quality_code / QUALITY_CODE_MAX
        return self.lmbda_min * (self.lmbda_max / self.lmbda_min) ** level / 3

    def index_offset(self, quality_code: int) -> int:
        """Integer added to every table index; exact, from the header alone."""
        return nearest_fraction(quality_code, self.index_offset_max)

    def hyper_tables_of(self, quality_code: int) -> Tables:
        """The tables of the hyper-latents for the range of qualities that holds
        `quality_code`.
        """
        return self.hyper_tables[
            nearest_fraction(quality_code, len(self.hyper_tables) - 1)
        ]


def nearest_fraction(quality_code: int, maximum: int) -> int:
    """floor(quality_code / QUALITY_CODE_MAX * maximum + 1/2) in integers."""
    return (2 * quality_code * maximum + QUALITY_CODE_MAX) // (2 * QUALITY_CODE_MAX)


def graph_file(folder: Path, name: str) -> Path:
    return folder / f"{name}.tflite"


def bundle_digest(folder: Path) -> bytes:
    """SHA-256 over the SHA-256 of the files, in the order config, arrays, graphs."""
    files = [folder / CONFIG, folder / ARRAYS]
    files += [graph_file(folder, name) for name in GRAPHS]
    digests = [hashlib.sha256(file.read_bytes()).digest() for file in files]
    return hashlib.sha256(b"".join(digests)).digest()


def read_tables(arrays: dict[str, NDArray[np.int32]], name: str) -> Tables:
    return Tables(
        arrays[f"{name}_minimum"], arrays[f"{name}_length"], arrays[f"{name}_frequency"]
    )


def read_bundle(folder: Path) -> Bundle:
    """The bundle in `folder`."""
    return parse_bundle(folder, bundle_digest(folder))


def parse_bundle(folder: Path, digest: bytes) -> Bundle:
    config = json.loads((folder / CONFIG).read_text())
    with np.load(folder / ARRAYS) as data:
        arrays = dict(data)
    return Bundle(
        folder=folder,
        digest=digest,
        hyper_tables=tuple(
            read_tables(arrays, f"hyper_{i}")
            for i in range(config.pop("hyper_table_sets"))
        ),
        residual_tables=read_tables(arrays, "residual"),
        **{
            name: arrays[name]
            for name in ("log_gain", "log_inverse_gain", "block_scale")
        },
        **config,
    )


def load_bundle(model_id: int) -> Bundle:
    """The shipped bundle with this id.

    Raises FormatError if there is none, CodecError if its files are not those released.
    """
    if model_id not in SHIPPED:
        known = ", ".join(map(str, SHIPPED))
        raise FormatError(
            f"file needs model {model_id}, which this program does not have "
            f"(it has {known})"
        )
    return read_released(*SHIPPED[model_id])


@cache
def read_released(name: str, digest: str) -> Bundle:
    """The bundle `name`, its digest tested before anything in it is parsed."""
    try:
        found = bundle_digest(MODELS / name)
    except OSError as error:
        raise CodecError(f"model {name} is not installed whole: {error}") from None
    if found.hex() != digest:
        raise CodecError(f"model {name} is damaged: its files are not those released")
    return parse_bundle(MODELS / name, found)


def model_name(model_id: int) -> str:
    """Name of a shipped model, "unknown" for others."""
    return SHIPPED[model_id][0] if model_id in SHIPPED else "unknown"
