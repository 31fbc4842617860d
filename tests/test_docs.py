"""codec/FORMAT.md says what the code does; links of all documents lead somewhere."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import codec
from codec import limits
from codec.entropy import tables
from codec.entropy.coder import SymbolDecoder, encode_symbols
from codec.entropy.tables import Tables
from codec.file import chunks, container, header

ROOT = Path(codec.__file__).parent.parent
FOLDERS = ("benchmarks", "codec", "docs", "tests")
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(p for name in FOLDERS for p in (ROOT / name).rglob("*.md"))]
)
TEXT = (Path(codec.__file__).parent / "FORMAT.md").read_text(encoding="utf-8")
CONSTANTS = {
    "MAGIC": header.MAGIC,
    "FORMAT_VERSION": header.FORMAT_VERSION,
    "DIGEST_BYTES": header.DIGEST_BYTES,
    "QUALITY_CODE_MAX": header.QUALITY_CODE_MAX,
    "SIDE_MAX_PX": limits.SIDE_MAX_PX,
    "TILE_CHUNK": chunks.TILE_CHUNK,
    "FIRST_ANCILLARY_CHUNK": chunks.FIRST_ANCILLARY_CHUNK,
    "EXTRA_CHUNKS_MAX": chunks.EXTRA_CHUNKS_MAX,
    "GRAY_CHUNK": chunks.GRAY_CHUNK,
    "NEUTRAL_CHUNK": chunks.NEUTRAL_CHUNK,
    "ALPHA_CHUNK": chunks.ALPHA_CHUNK,
    "METADATA_MAX_BYTES": limits.METADATA_MAX_BYTES,
    "TEXTS_MAX": limits.TEXTS_MAX,
    "PRECISION_BITS": tables.PRECISION_BITS,
    "CODER_BITS": tables.CODER_BITS,
    "ESCAPE_CLASSES": tables.ESCAPE_CLASSES,
    "RESIDUAL_LIMIT": tables.RESIDUAL_LIMIT,
}


def documented(name: str) -> str:
    """Second cell of the table row that starts with the constant's name."""
    (value,) = re.findall(rf"^\| *`{name}` *\| *([^|]*?) *\|", TEXT, re.MULTILINE)
    return value


def worked_file() -> tuple[bytes, dict[str, int]]:
    """(bytes, values) of the worked file: a block of hex and one of JSON after it."""
    (match,) = re.finditer(r"```hex\n(.*?)```\s*```json\n(.*?)```", TEXT, re.DOTALL)
    digits = re.sub("#.*", "", match[1])
    return bytes.fromhex(digits), json.loads(match[2])


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_documented_constant_is_that_of_the_code(name):
    value, text = CONSTANTS[name], documented(name)
    if isinstance(value, bytes):
        assert bytes.fromhex(text) == value
    else:
        assert int(text, 0) == value


def test_the_worked_file_has_the_documented_values():
    data, values = worked_file()
    parsed = container.unpack(data)
    fields = ("model_id", "quality_code", "tile_log2", "width", "height")
    found = {name: getattr(parsed.header, name) for name in fields}
    assert found | {"payload_bytes": len(parsed.payload(0))} == values


def test_the_worked_file_is_packed_to_the_same_bytes():
    data, _ = worked_file()
    parsed = container.unpack(data)
    tiles = [parsed.payload(n) for n in range(parsed.header.tile_count)]
    assert container.pack(parsed.header, tiles) == data


def test_the_documented_field_ranges_are_those_of_the_code():
    for name, size, low, high in header.FIELDS:
        (row,) = re.findall(rf"^\| {name} \|([^|]*)\|([^|]*)\|", TEXT, re.MULTILINE)
        assert row[0].strip() == (str(size) if size else "varint")
        if name == "tile_log2":
            assert row[1].strip() == f"{low}, {high}"
        elif low is not None:
            assert row[1].strip() == f"{low} to {high}"


def test_the_documented_example_of_an_escape_has_these_bytes():
    (match,) = re.finditer(
        r"minimum (-?\d+) and frequencies ([\d, ]+); the integers\s+([-\d, ]+), of "
        r"which .*?payload\s+`([0-9a-f ]+)`",
        TEXT,
        re.DOTALL,
    )
    frequency = np.array([match[2].split(",")], np.int32)
    values = np.array(match[3].split(","), np.int32)
    table = Tables(
        np.array([match[1]], np.int32), np.array([frequency.size], np.int32), frequency
    )
    index = np.zeros(values.size, np.uint8)
    payload = bytes.fromhex(match[4])
    assert encode_symbols([(values, index, table)]) == payload
    assert np.array_equal(SymbolDecoder(payload).decode(index, table), values)


def anchors(path: Path) -> set[str]:
    """Of all headings, as hosts of Markdown make them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    kept = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in kept}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(path):
    links = re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8"))
    for link in links:
        if not link.startswith("http"):
            name, _, anchor = link.partition("#")
            target = path.parent / name if name else path
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def test_every_document_and_decision_is_in_the_index():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for path in (ROOT / "docs").rglob("*.md"):
        link = path.relative_to(ROOT / "docs").as_posix()
        assert link == "README.md" or f"]({link})" in index
