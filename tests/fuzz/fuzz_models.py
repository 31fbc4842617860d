"""Adapted models: one is read and codes a picture, or is refused with a FormatError.

The input is a list of edits to the members of an intact file, for a mutated archive
would hardly ever be one.
"""

import io
import zipfile
import zlib
from functools import cache

import numpy as np
from target import Target

import codec
from codec.errors import FormatError
from codec.networks.adaptation import ADAPTABLE, buffers, pack_model, unpack_model
from codec.networks.bundle import Bundle
from codec.networks.shipped import TUNES, load_bundle

PICTURE = np.zeros((64, 64, 3), np.uint8)
CODED = 64  # one in so many that are read codes the picture
BASE = TUNES["psnr"].model_id
EDIT_BYTES = 5  # before what it puts in: member, kind, place (2), length
LONGEST = 2000  # buffers that are edited, in bytes


@cache
def base() -> Bundle:
    return load_bundle(BASE)


@cache
def members() -> tuple[tuple[str, bytes], ...]:
    """Of an intact file, with a few of the weights."""
    weights = {}
    for graph in ADAPTABLE:
        data = base().graph(graph).read_bytes()
        for number, place in enumerate(buffers(data)):
            if 128 <= len(place) <= LONGEST:
                weights[f"{graph}/{number}"] = data[place.start : place.stop]
                break
    with zipfile.ZipFile(io.BytesIO(pack_model(base(), weights))) as archive:
        return tuple((name, archive.read(name)) for name in archive.namelist())


def edited(data: bytes) -> bytes:
    """The intact file with the edits: bytes put over others, in place of the name or of
    the end of a member, or a member left out.
    """
    found = [list(member) for member in members()]
    while len(data) > EDIT_BYTES and found:
        number, kind, high, low, length = data[:EDIT_BYTES]
        new, data = data[EDIT_BYTES : EDIT_BYTES + length], data[EDIT_BYTES + length :]
        member, place = found[number % len(found)], 256 * high + low
        name, content = member
        place %= len(content) + 1
        if kind % 8 == 0:
            found.remove(member)
        elif kind % 8 == 1:
            member[0] = new.decode("latin1") or name
        elif kind % 8 == 2:
            member[1] = content[:place] + new
        else:
            member[1] = content[:place] + new + content[place + len(new) :]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in dict(found).items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()


def outcome(data: bytes) -> str:
    model_file = edited(data)
    try:
        model = unpack_model(model_file)
    except FormatError as error:
        assert "\n" not in str(error)
        return "refused"
    if zlib.crc32(data) % CODED:
        return "read"
    file = codec.encode(PICTURE, bundle=model)
    assert codec.decode(file, bundle=model).size == (64, 64)
    return "read, codes"


def seeds() -> list[bytes]:
    """An edit of every member, at its start and in its middle."""
    count = len(members())
    return [
        bytes([number, kind, high, 0, 4]) + new
        for number in range(count)
        for kind, high in ((3, 0), (3, 1), (0, 0), (2, 0))
        for new in (b"\0\0\xc0\x7f", b"1e99")
    ] + [b""]


TARGET = Target(seeds, outcome, max_bytes=512)
