"""Adapted models: .aecm files that hold how they differ from a shipped model.

See "Adapted models" in codec/FORMAT.md. Reading one starts no inference engine.
"""

import hashlib
import io
import json
import math
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codec.entropy.tables import PRECISION_BITS, RESIDUAL_LIMIT, Tables
from codec.errors import FormatError
from codec.networks.bundle import CONFIG, Bundle, read_tables
from codec.networks.shipped import SHIPPED, load_bundle

ADAPTATION_FORMAT = 1
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")  # how the number of a buffer is written
UNPACKED_MAX_BYTES = 2**25
CONFIG_MAX_BYTES = 4096
ZIP_ENTRY, MEMBERS_MAX = b"PK\1\2", 4096  # the directory is read as a whole
FILE_MAX_BYTES = UNPACKED_MAX_BYTES + 2**20  # with the names
# Graphs whose weights may differ. That of the scales has to be exact.
ADAPTABLE = ("analysis", "hyper_analysis", "mean_context", "synthesis")
WEIGHTS_MIN_BYTES = 128  # smaller buffers may hold shapes
FLOAT32, FLOAT16 = 0, 1  # as LiteRT's schema numbers the types of tensors
FLOATS = {FLOAT32: "<f4", FLOAT16: "<f2"}
WEIGHT_LIMIT = 8192.0  # of magnitudes; the shipped models have up to 1812
VECTORS = ("log_gain", "log_inverse_gain", "block_scale")
VECTOR_LIMIT = 50.0  # of magnitudes, so that the exponential is finite
TABLE_FIELDS = ("minimum", "length", "frequency")
EPOCH = (1980, 1, 1, 0, 0, 0)  # of every member, so that files are reproducible


def pack_model(bundle: Bundle, weights: Mapping[str, bytes]) -> bytes:
    """The .aecm file of an adapted bundle: a shipped one whose vectors, tables and
    `skip_below` were replaced. `weights` are new contents of buffers by "graph/number".
    """
    config = {
        "format": ADAPTATION_FORMAT,
        "base": bundle.model_id,
        "base_digest": bundle.digest.hex(),
        "skip_below": bundle.skip_below,
    }
    arrays: dict[str, NDArray[Any]] = {key: getattr(bundle, key) for key in VECTORS}
    for key, tables in named_tables(bundle):
        arrays |= {f"{key}_{part}": getattr(tables, part) for part in TABLE_FIELDS}
    members = {CONFIG: json.dumps(config, indent=1).encode()}
    for key, array in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, array)
        members[f"{key}.npy"] = buffer.getvalue()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, content in (members | dict(weights)).items():
            member = zipfile.ZipInfo(key, EPOCH)
            archive.writestr(member, content, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def named_tables(bundle: Bundle) -> Iterator[tuple[str, Tables]]:
    yield "residual", bundle.residual_tables
    for number, tables in enumerate(bundle.hyper_tables):
        yield f"hyper_{number}", tables


def read_model(path: Path | str) -> Bundle:
    """The adapted model in an .aecm file, as `bundle` for `encode` and `decode`.

    Raises FormatError if it is none, damaged or of a model that this program does not
    have, OSError if it cannot be read.
    """
    with open(path, "rb") as file:
        data = file.read(FILE_MAX_BYTES + 1)
    if len(data) > FILE_MAX_BYTES:
        raise FormatError(f"larger than {FILE_MAX_BYTES} bytes, so no adapted model")
    return unpack_model(data)


def unpack_model(data: bytes) -> Bundle:
    """The adapted model in the bytes of an .aecm file; FormatError as `read_model`."""
    try:
        members = unzipped(data)
        require(len(members[CONFIG]) <= CONFIG_MAX_BYTES, "too long")
        config = json.loads(members.pop(CONFIG))
        found, base_id = config["format"], config["base"]
        base_digest, skip_below = config["base_digest"], config["skip_below"]
        arrays = {
            name.removesuffix(".npy"): array_in(content)
            for name, content in members.items()
            if name.endswith(".npy")
        }
        weights = {k: v for k, v in members.items() if not k.endswith(".npy")}
        require({*map(type, (found, base_id, skip_below))} == {int}, "a number")
    except Exception:  # the readers raise all kinds on damaged files
        raise FormatError("not an adapted model (.aecm), or damaged") from None
    if found != ADAPTATION_FORMAT:
        raise FormatError(f"adapted model has format {found}, known is 1")
    if base_id not in SHIPPED or SHIPPED[base_id][1] != base_digest:
        raise FormatError(f"adapts a model {base_id} that this program does not have")
    base = load_bundle(base_id)
    try:
        adapted = replaced(base, arrays, skip_below)
        patches = patches_of(base, weights)
    except (ValueError, KeyError) as error:
        raise FormatError(f"adapted model is wrong: {error}") from None
    digest = hashlib.sha256(base.digest + hashlib.sha256(data).digest()).digest()
    return replace(adapted, digest=digest, patches=patches)


def unzipped(data: bytes) -> dict[str, bytes]:
    """Contents by name; ValueError if they are more than an adapted model may have."""
    require(data.count(ZIP_ENTRY) <= MEMBERS_MAX, "the number of members")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        require(len({m.filename for m in members}) == len(members), "a name")
        require({m.compress_type for m in members} <= METHODS, "a method")
        require(sum(m.file_size for m in members) <= UNPACKED_MAX_BYTES, "the size")
        contents = {}
        for member in members:
            with archive.open(member) as file:
                # A member may hold more than it says; memory is for what it says.
                contents[member.filename] = file.read(member.file_size + 1)
                require(len(contents[member.filename]) == member.file_size, "a size")
        return contents


def array_in(content: bytes) -> NDArray[Any]:
    """The array in an .npy file; ValueError if it is not as large as it says, which
    NumPy would take memory for.
    """
    form: Any = np.lib.format  # NumPy 1.26 has no types for it
    file = io.BytesIO(content)
    require(form.read_magic(file) == (1, 0), "a version")
    shape, fortran_order, dtype = form.read_array_header_1_0(file)
    require(not (fortran_order or dtype.hasobject) and min(shape) >= 0, "an array")
    data = file.read()
    require(len(data) == math.prod(shape) * dtype.itemsize, "an array")
    return np.frombuffer(data, dtype).reshape(shape)


def replaced(base: Bundle, arrays: dict[str, NDArray[Any]], skip_below: Any) -> Bundle:
    """`base` with the vectors and tables of `arrays`; ValueError or KeyError for those
    that no model could have.
    """
    names = [f"{name}_{p}" for name, _ in named_tables(base) for p in TABLE_FIELDS]
    require({*arrays} == {*VECTORS, *names}, "the set of arrays")
    for name in VECTORS:
        array, like = arrays[name], getattr(base, name)
        require(array.dtype == like.dtype and array.shape == like.shape, name)
        require(bool((np.abs(array) <= VECTOR_LIMIT).all()), name)
    tables: dict[str, Tables] = {}
    for name, like in named_tables(base):
        for part in TABLE_FIELDS:
            require(arrays[f"{name}_{part}"].dtype == np.int32, name)
        tables[name] = read_tables(arrays, name)
        require(are_proper(tables[name], len(like.length)), name)
    known = range(1, len(base.residual_tables.length))
    require(skip_below in known, "skip_below")
    vectors: dict[str, Any] = {name: arrays[name] for name in VECTORS}
    return replace(
        base,
        **vectors,
        skip_below=skip_below,
        residual_tables=tables.pop("residual"),
        hyper_tables=tuple(tables.values()),
    )


def require(condition: bool, what: str) -> None:
    if not condition:
        raise ValueError(f"{what} is out of range")


def are_proper(tables: Tables, count: int) -> bool:
    """Whether the tables are `count` and as the class demands."""
    if tables.minimum.shape != (count,) or tables.length.shape != (count,):
        return False
    if tables.frequency.ndim != 2 or len(tables.frequency) != count:
        return False
    used = np.arange(tables.frequency.shape[1]) < tables.length[:, None]
    return bool(
        (np.abs(tables.minimum.astype(np.int64)) <= RESIDUAL_LIMIT).all()
        and (tables.length >= 2).all()
        and (tables.minimum <= 0).all()
        and (tables.minimum + tables.length > 0).all()  # 0 is a symbol or escapes
        and (tables.length <= tables.frequency.shape[1]).all()
        and ((tables.frequency > 0) == used).all()
        and (tables.frequency >= 0).all()
        and (tables.frequency.sum(1, dtype=np.int64) == 2**PRECISION_BITS).all()
    )


def patches_of(
    base: Bundle, weights: Mapping[str, bytes]
) -> dict[str, tuple[tuple[int, bytes], ...]]:
    """Patches by graph, from new contents of buffers by "graph/number"; ValueError for
    buffers that there are not, or that are of another size or no weights.
    """
    patches: dict[str, tuple[tuple[int, bytes], ...]] = {}
    places: dict[str, list[range]] = {}
    types: dict[str, dict[int, set[int]]] = {}
    for key, content in weights.items():
        graph, _, number = key.partition("/")
        require(graph in ADAPTABLE and bool(NUMBER.fullmatch(number)), "a name")
        if graph not in places:
            data = base.graph(graph).read_bytes()
            places[graph], types[graph] = list(buffers(data)), buffer_types(data)
        require(int(number) < len(places[graph]), key)
        place = places[graph][int(number)]
        require(len(place) == len(content) >= WEIGHTS_MIN_BYTES, key)
        require(are_weights(content, types[graph].get(int(number), set())), key)
        patches[graph] = (*patches.get(graph, ()), (place.start, content))
    return patches


def are_weights(content: bytes, types: set[int]) -> bool:
    """Whether the tensors of a buffer are of one type, a float, and its new content is
    of numbers that a model could have.
    """
    if len(types) != 1 or not types <= FLOATS.keys():
        return False
    values = np.frombuffer(content, FLOATS[next(iter(types))])
    return bool((np.abs(values) <= WEIGHT_LIMIT).all())  # and none is NaN


class FlatBuffer:
    """A LiteRT graph as stored, in the terms of LiteRT's schema (schema.fbs): tables
    with numbered fields, and vectors of tables.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data

    def integer(self, layout: str, place: int) -> int:
        return int(struct.unpack_from(layout, self.data, place)[0])

    def linked(self, place: int) -> int:
        return place + self.integer("<I", place)

    def field(self, table: int, number: int) -> int:
        """Place of a field, 0 if it is left out."""
        layout = table - self.integer("<i", table)
        entry = 4 + 2 * number
        inside = entry < self.integer("<H", layout)
        offset = self.integer("<H", layout + entry) if inside else 0
        return table + offset if offset else 0

    def tables(self, table: int, number: int) -> Iterator[int]:
        """Those in a field that is a vector of tables."""
        vector = self.linked(self.field(table, number))
        for index in range(self.integer("<I", vector)):
            yield self.linked(vector + 4 + 4 * index)


def buffers(model: bytes) -> Iterator[range]:
    """Where each buffer of a LiteRT graph lies in the file.

    `buffers` is field 4 of a Model; a Buffer has its bytes as field 0, or their place
    in the file as fields 1 (offset) and 2 (size).
    """
    file = FlatBuffer(model)
    for buffer in file.tables(file.linked(0), 4):
        if inline := file.field(buffer, 0):
            start = file.linked(inline) + 4
            yield range(start, start + file.integer("<I", start - 4))
        elif outside := file.field(buffer, 1):
            start = file.integer("<Q", outside)
            yield range(start, start + file.integer("<Q", file.field(buffer, 2)))
        else:
            yield range(0)


def buffer_types(model: bytes) -> dict[int, set[int]]:
    """Types of the tensors in each buffer of a LiteRT graph, by its number.

    `subgraphs` is field 2 of a Model and `tensors` field 0 of a SubGraph; a Tensor has
    its type as field 1, a byte, and the number of its buffer as field 2.
    """
    file = FlatBuffer(model)
    types: dict[int, set[int]] = {}
    for graph in file.tables(file.linked(0), 2):
        for tensor in file.tables(graph, 0):
            kind, buffer = file.field(tensor, 1), file.field(tensor, 2)
            number = file.integer("<I", buffer) if buffer else 0
            types.setdefault(number, set()).add(
                file.integer("<B", kind) if kind else FLOAT32
            )
    return types
