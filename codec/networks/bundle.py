"""A bundle: all that a model is, as a folder of LiteRT graphs, tables and vectors.

Reading one starts no inference engine.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codec.entropy.tables import Tables
from codec.file.header import QUALITY_CODE_MAX

GRAPHS = (
    "analysis",
    "hyper_analysis",
    "scales",
    "mean_context",
    "synthesis",
    "preview",
)
# Signatures of the graphs. All graphs have EXACT.
EXACT = "exact"  # in float32; of mean_context, what the decoder runs
ENCODE = "encode"  # of mean_context: what the encoder runs
FAST = "fast"  # of analysis and synthesis: residual branches in int8
# Of the synthesis, for the encoder: the squared error of a picture with its gradient by
# the latents, or the gradient of any distortion taken from the picture to the latents.
GRADIENT = "gradient"  # for the tune psnr
PULLBACK = "pullback"  # for other tunes
CONFIG = "config.json"
ARRAYS = "arrays.npz"


@dataclass(frozen=True)
class Halos:
    """How far each network sees beyond what it makes, in cells."""

    analysis: int
    hyper_analysis: int
    mean: int
    synthesis: int

    @property
    def decoder(self) -> int:
        """Of the mean and the synthesis, one after the other."""
        return self.mean + self.synthesis


DESCRIPTOR_STEP = 0.01  # what descriptors take a step at the highest quality for


@dataclass(frozen=True)
class Bundle:
    """A model. The names of numbers are those in config.json, see codec/FORMAT.md."""

    folder: Path
    model_id: int
    digest: bytes  # SHA-256, see "Bundle" in codec/FORMAT.md
    stride_px: int  # side of a cell, the square of one hyper-latent
    latent_px: int  # side of the square of one latent
    halos: Halos
    preview_factor: int  # the preview has sides so many times shorter
    latent_channels: int
    hyper_channels: int
    hyper_limit: int  # hyper-latents lie in [-hyper_limit, hyper_limit]
    index_offset_max: int  # added to table indices at the highest quality
    # Bits per pixel that one squared gray level of mean error is worth, at the lowest
    # and at the highest quality.
    lmbda_min: float
    lmbda_max: float
    skip_below: int  # residuals with a lower table index are zero and not coded
    tune: str  # what it was trained for
    precision: str  # EXACT or FAST: of the synthesis, unless another is asked for
    architecture: str  # a name in codec/training/architectures.py
    hyper_tables: tuple[Tables, ...]  # by range of qualities, then by channel
    residual_tables: Tables  # by table index
    log_gain: NDArray[np.float32]  # [anchors, latent_channels]
    log_inverse_gain: NDArray[np.float32]  # [anchors, latent_channels]
    block_scale: NDArray[np.float32]  # [anchors, channels of all blocks]
    # By graph: (offset, bytes) that an adapted model has in place of those in the file.
    patches: Mapping[str, tuple[tuple[int, bytes], ...]] = field(default_factory=dict)

    @property
    def latents_per_cell(self) -> int:
        """Latents along the side of a cell."""
        return self.stride_px // self.latent_px

    @property
    def descriptor_scale(self) -> NDArray[np.float32]:
        """Factors [latent_channels] on latents in image units, so that descriptors know
        what is little, whatever the units.
        """
        return DESCRIPTOR_STEP / np.exp(self.log_inverse_gain[-1])

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
        """Bits that one squared gray level of error in one sample is worth. A pixel has
        three samples. The model was trained for this trade-off.
        """
        level = quality_code / QUALITY_CODE_MAX
        return self.lmbda_min * (self.lmbda_max / self.lmbda_min) ** level / 3

    def index_offset(self, quality_code: int) -> int:
        """The integer that is added to every table index, from the quality alone."""
        return nearest_fraction(quality_code, self.index_offset_max)

    def hyper_tables_of(self, quality_code: int) -> Tables:
        """The tables of the hyper-latents at a quality."""
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
        halos=Halos(**config.pop("halos")),
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
