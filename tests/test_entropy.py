"""Symbols to payload and back, against a reference coder in plain Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.entropy.coder import SymbolDecoder, encode_symbols
from codec.entropy.tables import ESCAPE_CLASSES, PRECISION_BITS, Tables
from codec.errors import FormatError, UsageError

QUICK = settings(deadline=None, max_examples=40)


def ans_payload(steps: list[tuple[int, int]]) -> bytes:
    """Steps (left, probability), in units of 2^-24 and in decoding order, as the bytes
    of 32-bit words, the last of which a decoder reads first.
    """
    state, words = 0, []
    for left, probability in reversed(steps):
        if state >> 40 >= probability:
            words.append(state & 0xFFFFFFFF)
            state >>= 32
        state = (state // probability << 24) + left + state % probability
    while state:
        words.append(state & 0xFFFFFFFF)
        state >>= 32
    return b"".join(word.to_bytes(4, "little") for word in words)


def uniform_step(value: int, size: int) -> tuple[int, int]:
    """`size` equal intervals; the last takes what remains of 2^24."""
    unit = 2**24 // size
    return value * unit, unit if value < size - 1 else 2**24 - value * unit


def reference_payload(parts) -> bytes:
    """What `encode_symbols` must write, one symbol at a time."""
    steps = []
    for values, table_index, tables in parts:
        escapes = {}
        for table in sorted(set(table_index.tolist())):
            low, length = int(tables.minimum[table]), int(tables.length[table])
            frequency = tables.frequency[table].tolist()
            for i in np.flatnonzero(table_index == table).tolist():
                symbol = int(values[i]) - low
                if symbol >= length - 1:
                    escapes[i] = 2 * (symbol - length + 1)
                elif symbol < 0:
                    escapes[i] = 2 * (-symbol - 1) + 1
                if i in escapes:
                    symbol = length - 1
                steps.append((256 * sum(frequency[:symbol]), 256 * frequency[symbol]))
        numbers = [escapes[i] + 1 for i in sorted(escapes)]
        steps += [uniform_step(n.bit_length() - 1, ESCAPE_CLASSES) for n in numbers]
        steps += [
            uniform_step(n - 2 ** (n.bit_length() - 1), 2 ** (n.bit_length() - 1))
            for n in numbers
            if n > 1
        ]
    return ans_payload(steps)


def random_tables(random: np.random.Generator, count: int, longest: int) -> Tables:
    """Tables of 2 to `longest` symbols, from even to very uneven."""
    length = random.integers(2, longest + 1, count).astype(np.int32)
    frequency = np.zeros((count, length.max()), np.int32)
    for row, n in zip(frequency, length, strict=True):
        share = random.dirichlet(np.full(n, 10.0 ** random.uniform(-2, 2)))
        row[:n] = 1 + np.floor(share * (2**PRECISION_BITS - n))
        row[row.argmax()] += 2**PRECISION_BITS - row.sum()
    assert (frequency.sum(1) == 2**PRECISION_BITS).all()
    return Tables(random.integers(-300, 1, count).astype(np.int32), length, frequency)


def random_message(random: np.random.Generator, tables: Tables, size: int, far: int):
    """(values, table_index): in the tables and up to `far` outside on both sides."""
    index = random.integers(0, len(tables.length), size).astype(np.uint8)
    low, length = tables.minimum[index], tables.length[index]
    return random.integers(low - far, low + length - 1 + far).astype(np.int32), index


def decode(payload: bytes, parts) -> list[np.ndarray]:
    decoder = SymbolDecoder(payload)
    values = [decoder.decode(index, tables) for _, index, tables in parts]
    decoder.finish()
    return values


TINY = Tables(
    np.array([-1], np.int32),
    np.array([4], np.int32),
    np.array([[16384, 32768, 8192, 8192]], np.int32),
)


def indices(*values: int) -> np.ndarray:
    return np.array(values, np.uint8)


def values(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int32)


@pytest.mark.parametrize(
    ("message", "state"),
    [
        # one symbol: the start of its interval in units of 2^-24, state 0 before it
        ([-1], 0),
        ([0], 16384 << 8),
        ([1], 49152 << 8),
        # the last symbol is coded first: 49152 * 2^8 becomes quotient 1, remainder
        # 2^22 of the interval of 2^23 units that starts at 2^22
        ([0, 1], (1 << 24) + (1 << 22) + (1 << 22)),
        # an escape at excess 0: class 0 of 24 leaves state 0, then the escape symbol
        ([2], 57344 << 8),
        # excess 1 (one below the table): number 2, class 1, no lower bit set
        ([-2], (57344 << 8) + 2**24 // 24),
    ],
)
def test_a_short_message_is_exactly_this_word(message, state):
    payload = encode_symbols([(values(*message), indices(*[0] * len(message)), TINY)])
    assert payload == (state.to_bytes(4, "little") if state else b"")


def test_the_words_equal_those_of_the_reference_coder():
    for seed in range(25):
        random = np.random.default_rng(seed)
        parts = []
        for _ in range(int(random.integers(1, 4))):
            tables = random_tables(
                random, int(random.integers(1, 257)), [3, 40, 1023][seed % 3]
            )
            size = int(random.integers(0, 200))
            far = [0, 1, 5000, 2**23 - 2][seed // 3 % 4]
            parts.append((*random_message(random, tables, size, far), tables))
        assert encode_symbols(parts) == reference_payload(parts)


def test_the_shipped_tables_are_coded_as_by_the_reference(bundle):
    random = np.random.default_rng(1)
    parts = [
        (*random_message(random, tables, 300, 3), tables)
        for tables in (*bundle.hyper_tables, bundle.residual_tables)
    ]
    assert encode_symbols(parts) == reference_payload(parts)


def test_the_shipped_tables_are_distributions(bundle):
    for tables in (*bundle.hyper_tables, bundle.residual_tables):
        longest = tables.frequency.shape[1]
        used = np.arange(longest) < tables.length[:, None]
        assert (tables.frequency.sum(1) == 2**PRECISION_BITS).all()
        assert ((tables.frequency > 0) == used).all()
        assert (tables.length >= 2).all()
        assert (tables.minimum <= 0).all()
        assert (tables.minimum + tables.length - 2 >= 0).all()


def test_no_symbols_make_an_empty_payload():
    empty = (values(), indices(), TINY)
    assert encode_symbols([]) == b""
    assert encode_symbols([empty, empty]) == b""
    assert [v.size for v in decode(b"", [empty, empty])] == [0, 0]


@QUICK
@given(
    st.integers(0, 2**32),
    st.lists(st.integers(0, 300), max_size=3),
    st.sampled_from([1, 2, 256]),
    st.sampled_from([2, 30, 1023]),
    st.sampled_from([0, 1, 100, 2**22]),
)
def test_every_message_comes_back(seed, sizes, count, longest, far):
    random = np.random.default_rng(seed)
    tables = random_tables(random, count, longest)
    parts = [(*random_message(random, tables, n, far), tables) for n in sizes]
    payload = encode_symbols(parts)
    for (expected, *_), found in zip(parts, decode(payload, parts), strict=True):
        assert found.dtype == np.int32
        assert np.array_equal(found, expected)


def test_escapes_on_both_sides_come_back_in_their_places():
    message = values(0, 2, -2, 2**22, -(2**22), -1, 3, 2**23, -(2**23), 1)
    index = indices(*[0] * message.size)
    payload = encode_symbols([(message, index, TINY)])
    assert np.array_equal(decode(payload, [(message, index, TINY)])[0], message)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    "size",
    [
        2**23 + 2,
        2**24,
        2**29,
        2**30,
        2**31 - 1,
    ],
)
def test_a_value_too_far_outside_its_table_is_refused(size, sign):
    with pytest.raises(UsageError, match="too large"):
        encode_symbols([(values(sign * size), indices(0), TINY)])


@pytest.mark.parametrize("longest", [2, 40, 1023])
def test_a_payload_is_within_one_percent_of_the_ideal_code_length(longest):
    random = np.random.default_rng(longest)
    tables = random_tables(random, 64, longest)
    index = random.integers(0, 64, 40_000).astype(np.uint8)
    message = np.empty(index.shape, np.int32)
    for table in range(64):  # drawn from the distribution itself
        positions = np.flatnonzero(index == table)
        share = tables.frequency[table] / 2**PRECISION_BITS
        symbols = random.choice(share.size, positions.size, p=share)
        message[positions] = symbols + tables.minimum[table]
    # Escapes at some distance, or the coder would store the zeros for nothing.
    escaped = message == tables.minimum[index] + tables.length[index] - 1
    message[escaped] += random.integers(0, 1000, int(escaped.sum()), np.int32)
    ideal = tables.bits(message, index) / 8
    size = len(encode_symbols([(message, index, tables)]))
    assert abs(size - ideal) <= 0.01 * ideal + 16


def test_the_ideal_code_length_is_minus_the_logarithm_of_the_share():
    message, index = values(-1, 0, 1, 2, -3), indices(0, 0, 0, 0, 0)
    # the last two are escapes of excess 0 and 3: a class of 24, and 0 and 2 lower bits
    expected = 2 + 1 + 3 + (3 + np.log2(24)) + (3 + np.log2(24) + 2)
    assert TINY.bits(message, index) == pytest.approx(expected)


@QUICK
@given(st.integers(0, 2**32), st.binary(max_size=200), st.sampled_from([2, 60, 1023]))
def test_garbage_gives_values_or_a_format_error(seed, payload, longest):
    random = np.random.default_rng(seed)
    tables = random_tables(random, 256, longest)
    try:
        decoder = SymbolDecoder(payload)
        for size in (0, 1, 500):
            index = random.integers(0, 256, size).astype(np.uint8)
            assert decoder.decode(index, tables).shape == (size,)
        decoder.finish()
    except FormatError:
        pass


def test_garbage_of_whole_words_decodes_to_something_of_the_size_asked_for():
    random = np.random.default_rng(5)
    tables = random_tables(random, 256, 300)
    for _ in range(50):
        decoder = SymbolDecoder(random.bytes(400)[:-1] + b"\x01")
        index = random.integers(0, 256, 1000).astype(np.uint8)
        assert decoder.decode(index, tables).shape == (1000,)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 4001])
def test_a_payload_of_no_whole_number_of_words_is_refused(size):
    with pytest.raises(FormatError, match=f"{size} bytes is not a whole number"):
        SymbolDecoder(b"\x01" * size)


@pytest.mark.parametrize("words", [1, 2, 100])
def test_a_payload_that_ends_in_a_zero_word_is_refused(words):
    with pytest.raises(FormatError, match="zero word"):
        SymbolDecoder(b"\x01" * 4 * (words - 1) + bytes(4))


def test_leftover_words_are_refused():
    message, index = values(0, 1, 2, -7, 1), indices(0, 0, 0, 0, 0)
    payload = encode_symbols([(message, index, TINY)])
    for extra in (1, 2, 10):
        decoder = SymbolDecoder(b"\xaa\xbb\xcc\xdd" * extra + payload)
        decoder.decode(index, TINY)
        with pytest.raises(FormatError, match="longer than its symbols"):
            decoder.finish()


def test_symbols_that_are_not_asked_for_are_refused():
    message, index = values(0, 1, 1, 0, 1), indices(0, 0, 0, 0, 0)
    decoder = SymbolDecoder(encode_symbols([(message, index, TINY)]))
    assert np.array_equal(decoder.decode(index[:3], TINY), message[:3])
    with pytest.raises(FormatError, match="longer than its symbols"):
        decoder.finish()
