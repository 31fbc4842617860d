"""Header, chunk table and checksums of .aec files."""

import tracemalloc
import zlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_files import leb128, raw_file, with_crc

from codec.errors import FormatError, UsageError
from codec.file.chunks import (
    EMPTY_CHUNKS,
    EXTRA_CHUNKS_MAX,
    KNOWN_CHUNKS,
    METADATA_CHUNKS,
)
from codec.file.container import pack, unpack
from codec.file.header import QUALITY_CODE_MAX, Header
from codec.file.primitives import Reader, varint
from codec.limits import MAX_PIXELS, METADATA_MAX_BYTES, SIDE_MAX_PX

HEADER = Header(1, b"abcd", 0x1234, 10, 5, 3)
QUICK = settings(deadline=None, max_examples=60)


def read_all(data: bytes) -> list[bytes]:
    """All payloads of a file, each checked."""
    container = unpack(data)
    return [container.payload(i) for i in range(len(container.spans))]


def tiles_for(header: Header) -> list[bytes]:
    return [b""] * header.tile_count


def test_a_small_file_has_exactly_these_bytes():
    expected = bytes.fromhex(
        "89414543"  # magic
        "02"  # version
        "01"  # model id
        "61626364"  # bundle digest
        "3412"  # quality code
        "0a"  # tiles of 2^10 pixels
        "05"  # width
        "03"  # height
        "01"  # one chunk
        "0104"  # a tile of 4 bytes
        "e494664d"  # CRC of all above
        "74696c65"  # payload
        "04a98f76"  # its CRC
    )
    assert pack(HEADER, [b"tile"]) == expected
    assert unpack(expected).header == HEADER
    assert unpack(expected).payload(0) == b"tile"


def test_pack_agrees_with_the_files_built_by_hand():
    header = Header(255, b"\0\1\2\3", 65535, 9, 1025, 513)
    chunks = [(1, bytes([n]) * n) for n in range(6)] + [(0xA0, b"x" * 300), (0xFF, b"")]
    expected = raw_file(
        model_id=255,
        digest=b"\0\1\2\3",
        quality_code=65535,
        tile_log2=9,
        width=1025,
        height=513,
        chunks=chunks,
    )
    assert pack(header, [p for _, p in chunks[:6]], chunks[6:]) == expected


def test_a_file_of_one_tile_has_at_most_32_bytes_besides_its_payload():
    payload = bytes(40_000)
    data = pack(replace(HEADER, width=768, height=512), [payload])
    assert len(data) - len(payload) <= 32


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model_id", 0),
        ("model_id", 255),
        ("bundle_digest", bytes(4)),
        ("bundle_digest", b"\xff" * 4),
        ("quality_code", 0),
        ("quality_code", QUALITY_CODE_MAX),
        ("tile_log2", 9),
        ("tile_log2", 10),
        ("width", 1),
        ("width", SIDE_MAX_PX),
        ("height", 1),
        ("height", SIDE_MAX_PX),
    ],
)
def test_every_field_survives_at_its_minimum_and_maximum(field, value):
    header = replace(HEADER, **{field: value})
    data = pack(header, tiles_for(header))
    assert unpack(data, max_pixels=2**48).header == header


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model_id", -1),
        ("model_id", 256),
        ("bundle_digest", b"abc"),
        ("bundle_digest", b"abcde"),
        ("quality_code", -1),
        ("quality_code", QUALITY_CODE_MAX + 1),
        ("tile_log2", 8),
        ("tile_log2", 11),
        ("width", 0),
        ("width", -1),
        ("width", SIDE_MAX_PX + 1),
        ("height", 0),
        ("height", -1),
        ("height", SIDE_MAX_PX + 1),
    ],
)
def test_pack_refuses_every_field_outside_its_range(field, value):
    header = replace(HEADER, **{field: value})
    with pytest.raises(UsageError, match=field):
        pack(header, tiles_for(header))


def test_pack_refuses_a_negative_tile_size():
    with pytest.raises(UsageError, match="tile_log2"):
        pack(replace(HEADER, tile_log2=-1), [b""])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tile_log2", 0),
        ("tile_log2", 8),
        ("tile_log2", 11),
        ("tile_log2", 255),
        ("width", 0),
        ("width", SIDE_MAX_PX + 1),
        ("width", 2**35 - 1),
        ("height", 0),
        ("height", SIDE_MAX_PX + 1),
        ("height", 2**35 - 1),
    ],
)
def test_unpack_refuses_every_field_outside_its_range(field, value):
    with pytest.raises(FormatError, match=f"{field} is {value}; expected"):
        unpack(raw_file(**{field: value}))


def test_pack_refuses_a_number_of_tiles_that_does_not_fit_the_picture():
    with pytest.raises(UsageError, match="2 tiles; expected 1"):
        pack(HEADER, [b"", b""])


@pytest.mark.parametrize(
    "chunks",
    [
        [(0x00, b"")],
        [(0x01, b"")],
        [(0x7F, b"")],
        [(256, b"")],
        [(0x80, b"")] * (EXTRA_CHUNKS_MAX + 1),
    ],
    ids=["id 0", "a tile", "reserved id", "id 256", "too many"],
)
def test_pack_refuses_chunks_that_no_file_can_hold(chunks):
    with pytest.raises(UsageError):
        pack(HEADER, [b"tile"], chunks)


@pytest.mark.parametrize(
    ("size", "tile_log2", "grid"),
    [
        ((1, 1), 10, (1, 1)),
        ((1024, 1024), 10, (1, 1)),
        ((1025, 1024), 10, (1, 2)),
        ((1024, 1025), 10, (2, 1)),
        ((513, 1025), 9, (3, 2)),
    ],
)
def test_the_tile_grid_covers_the_picture(size, tile_log2, grid):
    width, height = size
    header = replace(HEADER, width=width, height=height, tile_log2=tile_log2)
    assert header.tile_grid == grid
    assert header.tile_count == grid[0] * grid[1]


def test_tiles_come_back_in_raster_order():
    tiles = [bytes([n]) for n in range(6)]
    container = unpack(
        pack(replace(HEADER, tile_log2=9, width=1025, height=513), tiles)
    )
    assert [container.payload(n) for n in range(6)] == tiles


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (0, "00"),
        (1, "01"),
        (127, "7f"),
        (128, "8001"),
        (300, "ac02"),
        (16383, "ff7f"),
        (16384, "808001"),
        (2**35 - 1, "ffffffff7f"),
    ],
)
def test_a_varint_has_exactly_these_bytes(value, data):
    assert varint(value).hex() == data
    assert Reader(bytes.fromhex(data)).varint("x") == value


@QUICK
@given(st.integers(0, 2**35 - 1))
def test_a_varint_comes_back(value):
    assert varint(value) == leb128(value)
    assert Reader(varint(value)).varint("x") == value


@pytest.mark.parametrize("data", ["8000", "818000", "ffffffff00"])
def test_a_varint_longer_than_needed_is_refused(data):
    with pytest.raises(FormatError, match="shortest form"):
        Reader(bytes.fromhex(data)).varint("x")


def test_a_varint_of_six_bytes_is_refused():
    with pytest.raises(FormatError, match="longer than 5 bytes"):
        Reader(bytes.fromhex("808080808001")).varint("x")


@pytest.mark.parametrize("field", ["width", "height", "count"])
def test_unpack_refuses_a_varint_longer_than_needed(field):
    with pytest.raises(FormatError, match="shortest form"):
        unpack(raw_file(**{field: b"\x81\x00"}))


@pytest.mark.parametrize("chunk_id", [0x89, 0xA5, 0xFF])
def test_an_unknown_ancillary_chunk_is_skipped(chunk_id):
    chunks = [(1, b"tile"), (chunk_id, b"comment")]
    container = unpack(raw_file(chunks=chunks))
    assert container.payload(0) == b"tile"
    assert container.payload(1) == b"comment"


@pytest.mark.parametrize("chunk_id", [0x00, 0x03, 0x7F])
def test_an_unknown_critical_chunk_is_refused(chunk_id):
    chunks = [(1, b"tile"), (chunk_id, b"")]
    with pytest.raises(FormatError, match=f"{chunk_id:#04x} is not supported"):
        unpack(raw_file(chunks=chunks))


@pytest.mark.parametrize(
    "chunks",
    [
        [(0x80, b""), (1, b"tile")],
        [(1, b"tile"), (1, b"tile")],
        [(1, b"tile"), (0x80, b""), (1, b"tile")],
        [(0x80, b"")],
    ],
    ids=["tile last", "tile too many", "tile after comment", "no tile"],
)
def test_tiles_stand_first_and_nowhere_else(chunks):
    with pytest.raises(FormatError, match=r"chunk \d has id"):
        unpack(raw_file(chunks=chunks))


def test_as_many_extra_chunks_as_the_limit_are_accepted():
    chunks = [(1, b"tile")] + [(0x99, b"")] * EXTRA_CHUNKS_MAX
    assert len(unpack(raw_file(chunks=chunks)).spans) == 1 + EXTRA_CHUNKS_MAX


@pytest.mark.parametrize("count", [0, 1 + EXTRA_CHUNKS_MAX + 1, 2**28, 2**35 - 1])
def test_an_absurd_number_of_chunks_is_refused(count):
    with pytest.raises(FormatError, match=f"number of chunks is {count}; expected 1"):
        unpack(raw_file(count=count))


@pytest.mark.parametrize("version", [0, 1, 3, 255])
def test_another_version_is_refused_by_its_number(version):
    with pytest.raises(FormatError, match=f"format version {version} is not supported"):
        unpack(raw_file(version=version))


def test_a_newer_version_is_named_even_when_nothing_else_makes_sense():
    with pytest.raises(FormatError, match="format version 3"):
        unpack(b"\x89AEC\x03")


@pytest.mark.parametrize("extra", [b"\0", b"0123456789"])
def test_trailing_bytes_are_refused(extra):
    with pytest.raises(FormatError, match=f"{len(extra)} bytes after the end"):
        unpack(raw_file() + extra)


@pytest.mark.parametrize(
    "data", [b"x", b"\x89PNG\r\n\x1a\n", b"\x89AEX", b"AEC\x89", b"hello, world"]
)
def test_other_files_are_no_aec_files(data):
    with pytest.raises(FormatError, match=r"not an \.aec file"):
        unpack(data)


def test_a_file_cut_at_any_byte_is_said_to_be_cut_off():
    """Also the empty file: nothing in it tells it from the start of an .aec file."""
    data = raw_file(width=1025, chunks=[(1, b"one"), (1, b"second"), (0xA0, b"more")])
    assert read_all(data) == [b"one", b"second", b"more"]
    for length in range(len(data)):
        with pytest.raises(FormatError, match="cut off"):
            read_all(data[:length])


def test_every_single_flipped_bit_is_noticed():
    data = raw_file(width=1025, chunks=[(1, b"one"), (1, b"second"), (0xA0, b"more")])
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(FormatError):
            read_all(bytes(damaged))


def test_a_damaged_payload_is_named_and_the_others_stay_readable():
    data = bytearray(raw_file(width=1025, chunks=[(1, b"one"), (1, b"second")]))
    data[data.index(b"second")] ^= 1
    container = unpack(bytes(data))
    assert container.payload(0) == b"one"
    with pytest.raises(FormatError, match="tile 2 of 2 is damaged"):
        container.payload(1)


def test_the_limit_on_pixels_is_inclusive():
    data = pack(replace(HEADER, width=7, height=11), [b""])
    assert unpack(data, max_pixels=4096).header.width == 7
    with pytest.raises(FormatError, match="7 x 11 pixels is over the limit of 4095"):
        unpack(data, max_pixels=4095)


def test_the_default_limit_on_pixels_is_2_to_the_28():
    header = replace(HEADER, width=2**14, height=2**14)
    assert unpack(pack(header, tiles_for(header))).header == header
    with pytest.raises(FormatError, match=f"limit of {MAX_PIXELS}"):
        unpack(raw_file(width=2**14 + 1, height=2**14))


def test_the_limit_on_pixels_comes_before_anything_that_depends_on_the_size():
    header_only = raw_file(width=SIDE_MAX_PX, height=SIDE_MAX_PX, count=b"", chunks=())
    with pytest.raises(FormatError, match="over the limit"):
        unpack(header_only[:-4])


@pytest.mark.parametrize("side", [SIDE_MAX_PX, 2**20])
def test_a_short_file_of_huge_dimensions_takes_no_memory(side):
    header = replace(HEADER, width=side, height=side)
    data = raw_file(width=side, height=side, chunks=(), count=header.tile_count)
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="cut off"):
            unpack(data, max_pixels=2**48)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_a_chunk_that_claims_gigabytes_is_cut_off():
    table = raw_file(chunks=(), count=1)[:-4] + b"\x01" + leb128(2**35 - 1)
    container = unpack(with_crc(table))
    assert container.size_bytes > 2**35
    with pytest.raises(FormatError, match=r"cut off.*tile 1 of 1"):
        container.payload(0)


headers = st.builds(
    Header,
    st.integers(0, 255),
    st.binary(min_size=4, max_size=4),
    st.integers(0, QUALITY_CODE_MAX),
    st.sampled_from([9, 10]),
    st.integers(1, 5000),
    st.integers(1, 3000),
)


@QUICK
@given(headers, st.data())
def test_every_header_and_every_payload_come_back(header, data):
    tiles = [
        data.draw(st.binary(max_size=20)) if n < 5 else bytes([n % 256])
        for n in range(header.tile_count)
    ]
    chunks = data.draw(
        st.lists(
            st.tuples(st.integers(0x80, 0xFF), st.binary(max_size=300)).map(
                lambda chunk: (chunk[0], b"") if chunk[0] in EMPTY_CHUNKS else chunk
            ),
            max_size=EXTRA_CHUNKS_MAX,
            unique_by=lambda chunk: chunk[0],
        )
    )
    packed = pack(header, tiles, chunks)
    container = unpack(packed)
    assert container.header == header
    assert container.size_bytes == len(packed)
    assert read_all(packed) == tiles + [payload for _, payload in chunks]
    assert [chunk_id for chunk_id, *_ in container.spans[len(tiles) :]] == [
        chunk_id for chunk_id, _ in chunks
    ]


@QUICK
@given(st.binary(max_size=80))
def test_random_bytes_give_nothing_but_a_format_error(data):
    with pytest.raises(FormatError):
        read_all(data)
    with pytest.raises(FormatError):
        read_all(b"\x89AEC\x01" + data)


def with_chunk(chunk_id: int, payload: bytes):
    return unpack(raw_file(chunks=((1, b"tile"), (chunk_id, payload))))


@pytest.mark.parametrize("name", METADATA_CHUNKS)
def test_metadata_come_back(name):
    container = with_chunk(METADATA_CHUNKS[name], zlib.compress(b"some bytes"))
    assert container.metadata() == {name: b"some bytes"}


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"no zlib stream",
        zlib.compress(b"cut off")[:-1],
        zlib.compress(b"and more") + b"x",
        zlib.compress(bytes(METADATA_MAX_BYTES + 1)),
    ],
)
def test_metadata_that_are_not_one_whole_stream_are_refused(payload):
    with pytest.raises(FormatError, match="exif data"):
        with_chunk(METADATA_CHUNKS["exif"], payload).metadata()


def test_metadata_as_large_as_the_limit_come_back():
    payload = zlib.compress(bytes(METADATA_MAX_BYTES))
    container = with_chunk(METADATA_CHUNKS["xmp"], payload)
    assert container.metadata()["xmp"] == bytes(METADATA_MAX_BYTES)


def test_metadata_of_all_kinds_share_the_limit():
    half = METADATA_MAX_BYTES // 2
    for more, fits in ((0, True), (1, False)):
        sizes = {"icc": half, "exif": half + more, "dpi": 0}
        chunks = [
            (METADATA_CHUNKS[name], zlib.compress(bytes(size)))
            for name, size in sizes.items()
        ]
        container = unpack(pack(HEADER, [b"tile"] * HEADER.tile_count, chunks))
        if fits:
            assert {k: len(v) for k, v in container.metadata().items()} == sizes
        else:
            with pytest.raises(FormatError, match="exif data is too large"):
                container.metadata()


@pytest.mark.parametrize("chunk_id", sorted(KNOWN_CHUNKS))
def test_a_known_chunk_that_occurs_twice_is_refused(chunk_id):
    chunks = ((1, b"tile"), (chunk_id, b""), (chunk_id, b""))
    with pytest.raises(FormatError, match="occurs twice"):
        unpack(raw_file(chunks=chunks))
