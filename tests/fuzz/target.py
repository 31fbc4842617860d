"""What a fuzz target is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


def as_it_is(data: bytes) -> bytes:
    return data


@dataclass(frozen=True)
class Target:
    """A reader of strangers' bytes.

    `outcome` says in a word how it took them, and raises whatever it should not have
    raised. `repaired` makes checksums right, so that what lies behind them is reached.
    """

    seeds: Callable[[], Sequence[bytes]]
    outcome: Callable[[bytes], str]
    repaired: Callable[[bytes], bytes] = as_it_is
    seeds_alone: bool = False  # each input is a seed, mutated once
    # (input, seed) -> another one, where a fuzzer's own mutations lead nowhere
    mutated: Callable[[bytes, int], bytes] | None = None
    max_bytes: int = 2**13  # of a mutated file
