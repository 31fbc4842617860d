"""The layer of a file, laid over what the networks make."""

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codec.coding.symbols import note
from codec.coding.tiles import tile_spans
from codec.errors import FormatError
from codec.file.container import Container
from codec.file.layer import FLAT, LOSSY, LayerTile
from codec.networks.windows import overlap
from codec.options import Region
from codec.picture.avif import unpack_lossy
from codec.picture.vp8l import unpack_lossless
from codec.progress import Progress

Band = NDArray[np.uint8]  # [rows, W, 3]


class Layer:
    """The layer over a region of a picture. Damage is as for `symbol_rows`."""

    def __init__(
        self, container: Container, region: Region, damage: dict[int, str] | None
    ) -> None:
        self.container, self.region, self.damage = container, region, damage
        self.header = container.header
        # By row of tiles: number, columns and layer of those that have one.
        self.tiles: dict[int, list[tuple[int, slice, LayerTile]]] = {}
        left, top, width, height = region
        self.whole: set[int] = set()  # tiles that it covers
        self.covers = True  # all of the region
        tiles = itertools.product(*tile_spans(container.header))
        for number, (rows, columns) in enumerate(tiles):
            inside = slice(top, top + height), slice(left, left + width)
            if not (overlap(rows, inside[0]) and overlap(columns, inside[1])):
                continue
            try:
                tile = container.tile(number)
            except FormatError as error:
                note(damage, number, error)
                self.covers = False
                continue
            if isinstance(tile, LayerTile):
                row = self.tiles.setdefault(rows.start // self.header.tile_px, [])
                row.append((number, columns, tile))
                if tile.covers:
                    self.whole.add(number)
            self.covers &= number in self.whole

    def blank(self, factor: int, progress: Progress) -> Iterator[Band]:
        """Bands of nothing, a row of tiles each, `factor` times smaller. `progress` is
        told when the next one is asked for.
        """
        _, top, width, height = self.region
        for rows in tile_spans(self.header)[0]:
            count = min(rows.stop, top + height) - max(rows.start, top)
            if count > 0:
                shape = -(-count // factor), -(-width // factor), 3
                yield np.zeros(shape, np.uint8)
                progress((min(rows.stop, top + height) - top) / height)

    def over(self, bands: Iterable[Band], factor: int) -> Iterator[Band]:
        """The bands from top to bottom, with the layer over them. They are `factor`
        times smaller than the region, which begins with a tile then.
        """
        left, top, _, height = self.region
        side, last = self.header.tile_px, top + height - 1
        spans = tile_spans(self.header)[0]
        made: dict[int, Image.Image] = {}
        for band in bands:
            image, stop = Image.fromarray(band), top + len(band) * factor
            near: dict[int, Image.Image] = {}
            for row in range(top // side, min(stop - 1, last) // side + 1):
                rows = spans[row]
                for number, columns, tile in self.tiles.get(row, ()):
                    picture = made.get(number)
                    if picture is None:
                        size = columns.stop - columns.start, rows.stop - rows.start
                        picture = self.picture(number, tile, size, factor)
                    near[number] = picture
                    place = (
                        (columns.start - left) // factor,
                        (rows.start - top) // factor,
                    )
                    mask = picture if picture.mode == "RGBA" else None
                    image.paste(picture, place, mask)
            made, top = near, stop
            yield np.asarray(image)

    def picture(
        self, number: int, tile: LayerTile, size: tuple[int, int], factor: int
    ) -> Image.Image:
        """What a tile's layer holds, RGB, or RGBA where it does not cover the tile."""
        try:
            picture = layer_picture(tile, size)
        except FormatError as error:
            note(self.damage, number, self.container.damaged(number, error))
            return Image.new("RGBA", size)
        if factor == 1:
            return picture
        if picture.mode == "RGBA":
            return picture.convert("RGBa").reduce(factor).convert("RGBA")
        return picture.reduce(factor)


def layer_picture(tile: LayerTile, size: tuple[int, int]) -> Image.Image:
    """RGB if the layer covers the tile, else RGBA with alpha of 0 and 255 alone;
    FormatError if it is damaged.
    """
    if tile.kind == FLAT:
        return Image.new("RGB", size, tuple(tile.colors))
    if tile.kind == LOSSY:
        picture = unpack_lossy(tile.colors, *size)
        if tile.mask:
            mask = unpack_lossless(tile.mask, *size)
            if mask.mode != "RGBA":
                raise FormatError("the mask of a layer has no alpha")
            picture.putalpha(mask.getchannel("A"))
    else:
        picture = unpack_lossless(tile.colors, *size)
    whole = picture.mode == "RGB" or picture.getchannel("A").getextrema() == (255, 255)
    if tile.covers != whole:
        raise FormatError("a layer does not cover what it should")
    if whole:
        return picture.convert("RGB")
    levels = picture.getchannel("A").histogram()
    if levels[0] + levels[255] != size[0] * size[1]:
        raise FormatError("a layer is half transparent")
    return picture
