"""What a damaged or cut-off file still gives."""

import itertools

from PIL import Image

from codec.coding.decoder import decode_colors
from codec.coding.extras import add_extras
from codec.coding.tiles import tile_spans, whole
from codec.file.container import Container
from codec.file.layer import LayerTile
from codec.networks.outputs import synthesis_of
from codec.networks.runtime import Networks
from codec.picture.repair import fill_in
from codec.progress import Progress, no_progress


def salvage_picture(
    container: Container, networks: Networks, progress: Progress = no_progress
) -> tuple[Image.Image, list[str]]:
    """(picture, what is wrong with it). Damaged tiles are filled in from around them,
    damaged alpha and metadata are left out.
    """
    header, damage = container.header, dict[int, str]()
    region, output = whole(header), synthesis_of(networks)
    image = decode_colors(container, networks, region, output, damage, progress)
    if damage:
        tiles = list(itertools.product(*tile_spans(header)))
        exact = [
            place
            for number, place in enumerate(tiles)
            if number not in damage and is_covered(container.tile(number))
        ]
        fill_in(image, [tiles[number] for number in damage], exact)
    faults = [damage[number] for number in sorted(damage)]
    if len(damage) == header.tile_count:
        faults.append("no tile is whole, so nothing of the colors is left")
    add_extras(image, container, region, faults)
    after = len(container.data) - container.size_bytes
    if after > 0:
        faults.append(f"{after} bytes after the end of the file")
    return image, faults


def is_covered(tile: bytes | LayerTile) -> bool:
    """Whether the networks, in which damage goes on, have no part in a tile."""
    return isinstance(tile, LayerTile) and tile.covers
