"""Damaged and hostile files: a FormatError or the right picture, nothing else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_golden import GOLDEN, MALFORMED, malformed_files

import codec
from codec.coding.decoder import networks_of
from codec.coding.symbols import decode_symbols
from codec.errors import FormatError
from codec.file.container import pack, unpack
from codec.options import DecodeOptions

SAMPLE = GOLDEN / "65x33-q50.aec"
NAMES = sorted(path.name for path in MALFORMED.glob("*"))


@pytest.fixture(scope="module")
def sample() -> bytes:
    return SAMPLE.read_bytes()


def symbols(data: bytes):
    container = unpack(data)
    return decode_symbols(container, networks_of(container, DecodeOptions()))


def refused_or_right(data: bytes, expected) -> bool:
    """Whether `data` is refused; if not, its symbols are those of the whole file."""
    try:
        found = symbols(data)
    except FormatError as error:
        assert str(error)
        assert "\n" not in str(error)
        return True
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
    return False


def header_bytes(data: bytes) -> int:
    return unpack(data).spans[0][1]


def test_a_file_cut_at_any_byte_is_refused(sample):
    for length in range(len(sample)):
        for call in (symbols, codec.read_info):
            with pytest.raises(FormatError, match="cut off"):
                call(sample[:length])


def test_every_flipped_bit_of_the_header_is_refused(sample):
    for bit in range(8 * header_bytes(sample)):
        damaged = bytearray(sample)
        damaged[bit // 8] ^= 1 << bit % 8
        for call in (symbols, codec.read_info):
            with pytest.raises(FormatError):
                call(bytes(damaged))


def test_random_flipped_bits_are_refused(sample):
    random, expected = np.random.default_rng(0), symbols(sample)
    for _ in range(300):
        damaged = bytearray(sample)
        for _ in range(int(random.integers(1, 4))):
            damaged[random.integers(len(sample))] ^= 1 << int(random.integers(8))
        right = bytes(damaged) == sample
        assert refused_or_right(bytes(damaged), expected) != right


def test_random_bytes_in_place_of_a_stretch_are_refused_or_right(sample):
    random, expected = np.random.default_rng(1), symbols(sample)
    for _ in range(100):
        start = int(random.integers(len(sample)))
        count = int(random.integers(1, 60))
        damaged = sample[:start] + random.bytes(count) + sample[start + count :]
        refused_or_right(damaged, expected)


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=100))
def test_random_bytes_are_refused(data):
    for start in (b"", b"\x89AEC", b"\x89AEC\x02"):
        with pytest.raises(FormatError):
            codec.decode(start + data)
        with pytest.raises(FormatError):
            codec.read_info(start + data)


def test_random_payloads_with_right_checksums_end_in_a_picture_or_a_format_error(
    sample,
):
    """What no checksum guards against; the picture is then whatever it is."""
    random, header = np.random.default_rng(2), unpack(sample).header
    decoded = 0
    for size in (0, 4, 8, 40, 400, 4000):
        for _ in range(8):
            data = pack(header, [random.bytes(size)])
            try:
                assert codec.decode(data).size == (header.width, header.height)
                decoded += 1
            except FormatError as error:
                assert "tile 1 of 1 is damaged" in str(error)
    assert decoded


def test_no_payload_at_all_still_gives_a_picture(sample):
    header = unpack(sample).header
    picture = codec.decode(pack(header, [b""]))
    assert picture.size == (header.width, header.height)


def test_the_malformed_files_are_all_there():
    assert sorted(f"{name}.aec" for name in malformed_files()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_malformed_file_is_refused(name):
    with pytest.raises(FormatError) as caught:
        codec.decode((MALFORMED / name).read_bytes())
    assert "\n" not in str(caught.value)
