"""The subcommand `entropy`: our entropy coder beside that of tensorflow-compression."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

import codec
from benchmarks.environment import write_versions
from benchmarks.measurement import image_paths, load_rgb
from benchmarks.options import folder_argument, output_option
from benchmarks.results import write_rows
from benchmarks.scaling import timed
from codec.coding.symbols import tile_symbols
from codec.entropy.coder import SymbolDecoder, encode_symbols
from codec.entropy.tables import PRECISION_BITS, Tables
from codec.file.container import unpack
from codec.networks.bundle import Bundle
from codec.networks.runtime import Networks
from codec.networks.shipped import DEFAULT_MODEL_ID, load_bundle

QUALITIES = (20, 60, 90)
ROUNDS = 5
Symbols = tuple[NDArray[np.int32], NDArray[np.uint8]]  # values, table index
# Symbols and tables -> payload; payload, table index and tables -> symbols.
Encode = Callable[[Symbols, Tables], Any]
Decode = Callable[[Any, NDArray[np.uint8], Tables], NDArray[np.int32]]


@dataclass(frozen=True)
class Entropy:
    """Residuals of all images at a quality, coded in one go with the same tables.

    `overhead_percent` is over the ideal code length of the tables; speeds are medians
    in millions of symbols per second, one thread.
    """

    coder: str
    quality: float
    symbols: int
    bytes: int
    overhead_percent: float
    encode_msym_s: float
    decode_msym_s: float


def residuals(data: bytes, bundle: Bundle) -> Symbols:
    """The coded residuals of a file."""
    tiles = list(tile_symbols(unpack(data), Networks(bundle)))
    values, index = (np.concatenate([tile[i] for tile in tiles]) for i in (1, 2))
    return values, index


def encode_ours(symbols: Symbols, tables: Tables) -> bytes:
    return encode_symbols([(*symbols, tables)])


def decode_ours(
    payload: bytes, index: NDArray[np.uint8], tables: Tables
) -> NDArray[np.int32]:
    return SymbolDecoder(payload).decode(index, tables)


def lookup(tables: Tables) -> NDArray[np.int32]:
    """The tables as tensorflow-compression takes them: a negative precision, which
    allows escapes, and the cumulative frequencies.
    """
    rows = np.zeros((len(tables.length), 2 + tables.frequency.shape[1]), np.int32)
    rows[:, 0] = -PRECISION_BITS
    rows[:, 2:] = np.cumsum(tables.frequency, axis=1)
    return rows


def encode_tfc(symbols: Symbols, tables: Tables) -> Any:
    import tensorflow_compression_ops as tfc

    values, index = symbols
    handle = tfc.create_range_encoder([], lookup(tables))
    shifted = values - tables.minimum[index]
    handle = tfc.entropy_encode_index(handle, index.astype(np.int32), shifted)
    return tfc.entropy_encode_finalize(handle)


def decode_tfc(
    payload: Any, index: NDArray[np.uint8], tables: Tables
) -> NDArray[np.int32]:
    import tensorflow as tf
    import tensorflow_compression_ops as tfc

    handle = tfc.create_range_decoder(payload, lookup(tables))
    handle, shifted = tfc.entropy_decode_index(
        handle, index.astype(np.int32), index.shape, tf.int32
    )
    assert tfc.entropy_decode_finalize(handle).numpy().all()
    return shifted.numpy() + tables.minimum[index]


def size_of(payload: Any) -> int:
    return len(payload if isinstance(payload, bytes) else payload.numpy())


CODERS: dict[str, tuple[Encode, Decode]] = {
    "aecodec (constriction, ANS)": (encode_ours, decode_ours),
    "tensorflow-compression (range coder)": (encode_tfc, decode_tfc),
}


def measured(
    name: str, quality: float, symbols: Symbols, tables: Tables, rounds: int
) -> Entropy:
    """Raises ValueError if the symbols do not come back."""
    encode, decode = CODERS[name]
    values, index = symbols
    encoding, decoding = [], []
    for _ in range(rounds):
        seconds, payload = timed(partial(encode, symbols, tables))
        encoding.append(seconds)
        seconds, found = timed(partial(decode, payload, index, tables))
        decoding.append(seconds)
    if not np.array_equal(found, values):
        raise ValueError(f"{name} does not give the symbols back")
    ideal = tables.bits(values, index)
    return Entropy(
        coder=name,
        quality=quality,
        symbols=values.size,
        bytes=size_of(payload),
        overhead_percent=100 * (8 * size_of(payload) / ideal - 1),
        encode_msym_s=values.size / median(encoding) / 1e6,
        decode_msym_s=values.size / median(decoding) / 1e6,
    )


@click.command()
@folder_argument
@output_option
def entropy(folder: Path, output: Path) -> None:
    """Code the residuals of the images in FOLDER with our entropy coder and that of
    tensorflow-compression (extra `train`).
    """
    paths = image_paths(folder)
    bundle = load_bundle(DEFAULT_MODEL_ID)
    rows = []
    for quality in QUALITIES:
        files = (
            codec.encode(load_rgb(path), quality=quality, content="photo")
            for path in paths
        )
        values, index = zip(*(residuals(data, bundle) for data in files), strict=True)
        symbols = np.concatenate(values), np.concatenate(index)
        for name in CODERS:
            row = measured(name, quality, symbols, bundle.residual_tables, ROUNDS)
            rows.append(row)
            click.echo(row)
    write_rows(output / "entropy.csv", Entropy, rows)
    write_versions(output / "entropy_versions.json", {"images": len(paths)})
