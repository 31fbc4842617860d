"""The payload of a layered tile <-> its parts; see "Layer" in codec/FORMAT.md.

Nothing is known of pictures here: all parts are strings of bytes.
"""

from dataclasses import dataclass

from codec.errors import FormatError
from codec.file.primitives import Reader, varint

FLAT, LOSSLESS, LOSSY = range(3)  # what codes the colors of a tile's layer
FLAT_BYTES = 3


@dataclass(frozen=True)
class LayerTile:
    """The layer of a tile. Where `mask` is empty, the `colors` say what it covers;
    where `network` is, that is all of the tile.
    """

    kind: int
    colors: bytes
    mask: bytes = b""
    network: bytes = b""  # as the payload of a tile without a layer

    @property
    def covers(self) -> bool:
        """Whether the networks have no part in the tile."""
        return not self.network


def pack_layer_tile(tile: LayerTile) -> bytes:
    """The payload."""
    parts = (tile.colors, tile.mask)
    lengths = b"".join(varint(len(part)) for part in parts)
    return bytes([tile.kind]) + lengths + b"".join(parts) + tile.network


def unpack_layer_tile(payload: bytes) -> LayerTile:
    """The parts of a payload; FormatError if there are none such."""
    reader = Reader(payload)
    (kind,) = reader.take(1, "the layer")
    lengths = [reader.varint("the layer") for _ in range(2)]
    colors, mask = (reader.take(length, "the layer") for length in lengths)
    network = payload[reader.position :]
    if kind not in (FLAT, LOSSLESS, LOSSY):
        raise FormatError(f"kind {kind} of a layer is not supported by this program")
    if mask and (kind != LOSSY or not network):
        raise FormatError("a layer has a mask that it may not have")
    if kind == FLAT and (len(colors) != FLAT_BYTES or network):
        raise FormatError("a flat layer is no single color of a whole tile")
    return LayerTile(kind, bytes(colors), bytes(mask), bytes(network))
