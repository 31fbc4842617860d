"""Symbols <-> payload with constriction's ANS coder, grouped by table; see "Payload" in
codec/FORMAT.md.

An entropy decoder cannot notice damage: any words decode to some symbols. The checksums
of the container do. This module promises that it ends, and makes no more symbols than
were asked for.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import constriction
import numpy as np
from numpy.typing import NDArray

from codec.entropy.tables import ESCAPE_CLASSES, Tables, escape_excess, escape_value
from codec.errors import FormatError, UsageError

AnsCoder = constriction.stream.stack.AnsCoder
Uniform = constriction.stream.model.Uniform
WORD_BYTES = 4


def groups(table_index: NDArray[np.uint8]) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """(table, positions) of every table that occurs, both ascending. Encoder and
    decoder go by this order.
    """
    order = np.argsort(table_index, kind="stable")
    counts = np.bincount(table_index, minlength=256)
    ends = np.cumsum(counts)
    for table in np.flatnonzero(counts):
        yield int(table), order[ends[table] - counts[table] : ends[table]]


def encode_symbols(
    parts: Sequence[tuple[NDArray[np.int32], NDArray[np.uint8], Tables]],
) -> bytes:
    """Payload of several arrays, each (values [n], table_index [n], tables), to be
    decoded in this order.

    Raises UsageError for a value 2^23 or more outside its table.
    """
    coder = AnsCoder()
    # The coder is a stack: last in, first out.
    for values, table_index, tables in reversed(parts):
        steps = []
        escaped = np.zeros(values.shape, bool)
        for table, positions in groups(table_index):
            length = int(tables.length[table])
            symbols = values[positions] - tables.minimum[table]
            outside = (symbols < 0) | (symbols >= length - 1)
            escaped[positions] = outside
            symbols = np.where(outside, length - 1, symbols).astype(np.int32)
            steps.append((symbols, tables.model(table)))
        encode_escapes(coder, values[escaped], table_index[escaped], tables)
        for symbols, model in reversed(steps):
            coder.encode_reverse(symbols, model)
    return coder.get_compressed().astype("<u4").tobytes()


def encode_escapes(
    coder: Any,
    values: NDArray[np.int32],
    table_index: NDArray[np.uint8],
    tables: Tables,
) -> None:
    """Exp-Golomb of order 0: all bit lengths of excess + 1, then all lower bits."""
    if not values.size:
        return
    lengths = tables.length[table_index]
    number = escape_excess(values, tables.minimum[table_index], lengths) + 1
    bits = np.frexp(number)[1].astype(np.int32) - 1
    if bits.max() >= ESCAPE_CLASSES:
        raise UsageError("a latent is too large to be coded")
    wide = bits > 0
    if wide.any():
        rest = (number - (1 << bits))[wide].astype(np.int32)
        coder.encode_reverse(rest, Uniform(), (1 << bits)[wide])
    coder.encode_reverse(bits, Uniform(ESCAPE_CLASSES))


class SymbolDecoder:
    """Decodes, call by call, what `encode_symbols` wrote part by part."""

    def __init__(self, payload: bytes) -> None:
        """Raises FormatError if `payload` cannot come from the coder."""
        if len(payload) % WORD_BYTES:
            raise FormatError(
                f"payload of {len(payload)} bytes is not a whole number of words"
            )
        words = np.frombuffer(payload, "<u4").astype(np.uint32)
        if words.size and words[-1] == 0:
            raise FormatError("payload ends in a zero word")
        self.coder = AnsCoder(words)

    def decode(
        self, table_index: NDArray[np.uint8], tables: Tables
    ) -> NDArray[np.int32]:
        """Values int32 [n] for `table_index` uint8 [n]."""
        values = np.empty(table_index.shape, np.int32)
        escaped = np.zeros(table_index.shape, bool)
        for table, positions in groups(table_index):
            symbols = self.coder.decode(tables.model(table), positions.size)
            values[positions] = symbols + tables.minimum[table]
            escaped[positions] = symbols == tables.length[table] - 1
        if escaped.any():
            values[escaped] = self.decode_escapes(table_index[escaped], tables)
        return values

    def decode_escapes(
        self, table_index: NDArray[np.uint8], tables: Tables
    ) -> NDArray[np.int32]:
        bits = self.coder.decode(Uniform(ESCAPE_CLASSES), table_index.size)
        number = (1 << bits).astype(np.int32)
        wide = bits > 0
        if wide.any():
            number[wide] += self.coder.decode(Uniform(), number[wide])
        return escape_value(
            number - 1, tables.minimum[table_index], tables.length[table_index]
        )

    def finish(self) -> None:
        """Raises FormatError if words are left over."""
        if not self.coder.is_empty():
            raise FormatError("payload is longer than its symbols")
