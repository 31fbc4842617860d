"""Integer frequency tables, each with an escape symbol; see "Tables" in
codec/FORMAT.md.
"""

from dataclasses import dataclass
from typing import Any

import constriction
import numpy as np
from numpy.typing import NDArray

PRECISION_BITS = 16  # the frequencies of a table sum to 2^16
CODER_BITS = 24  # constriction works with 24-bit probabilities
RESIDUAL_LIMIT = 2**15 - 1  # residuals lie in [-RESIDUAL_LIMIT, RESIDUAL_LIMIT]


@dataclass(frozen=True)
class Tables:
    """A stack of up to 256 tables.

    Table t codes the integers `minimum[t]` to `minimum[t] + length[t] - 2`; its last
    symbol is the escape. Its frequencies are `frequency[t, :length[t]]`, all positive,
    summing to 2^PRECISION_BITS.
    """

    minimum: NDArray[np.int32]  # [tables]
    length: NDArray[np.int32]  # [tables], at least 2
    frequency: NDArray[np.int32]  # [tables, longest], zero beyond the length

    def model(self, table: int) -> Any:
        """The exact integer distribution as constriction takes it.

        With `perfect=False` constriction gives every symbol one unit and shares out the
        rest in proportion, so `frequency * 2^8 - 1` comes back as exactly `frequency *
        2^8`.
        """
        frequency = self.frequency[table, : self.length[table]].astype(np.float64)
        return constriction.stream.model.Categorical(
            frequency * (1 << CODER_BITS - PRECISION_BITS) - 1, perfect=False
        )

    def bits(self, values: NDArray[np.int32], table_index: NDArray[np.uint8]) -> float:
        """Ideal code length of `values`, escapes counted with the bits of their Exp-
        Golomb code.
        """
        symbols = np.clip(
            values - self.minimum[table_index], -1, self.length[table_index] - 1
        )
        escaped = (symbols < 0) | (symbols == self.length[table_index] - 1)
        symbols = np.where(escaped, self.length[table_index] - 1, symbols)
        frequency = self.frequency[table_index, symbols]
        bits = float(np.sum(PRECISION_BITS - np.log2(frequency)))
        excess = escape_excess(
            values[escaped],
            self.minimum[table_index[escaped]],
            self.length[table_index[escaped]],
        )
        return bits + float(
            np.sum(np.log2(ESCAPE_CLASSES) + np.floor(np.log2(excess + 1.0)))
        )


ESCAPE_CLASSES = 24  # of the Exp-Golomb code: excess + 1 < 2^24


def escape_excess(
    values: NDArray[np.int32], minimum: NDArray[np.int32], length: NDArray[np.int32]
) -> NDArray[np.int64]:
    """How far `values` lie outside their tables: 2 * distance, plus 1 below it."""
    values = values.astype(np.int64)  # type: ignore[assignment]
    above, below = values - (minimum + length - 1), minimum - 1 - values
    return np.where(above >= 0, 2 * above, 2 * below + 1)


def escape_value(
    excess: NDArray[np.integer[Any]],
    minimum: NDArray[np.int32],
    length: NDArray[np.int32],
) -> NDArray[np.int32]:
    """Inverse of `escape_excess`."""
    distance = excess >> 1
    return np.where(
        excess & 1, minimum - 1 - distance, minimum + length - 1 + distance
    ).astype(np.int32)
