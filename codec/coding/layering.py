"""The layer of a picture that is encoded: which pixels are its, and what codes them."""

import itertools
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from codec.coding.content import count_colors
from codec.coding.tiles import tile_spans
from codec.file.header import QUALITY_CODE_MAX, Header
from codec.file.layer import FLAT, LOSSLESS, LOSSY, LayerTile
from codec.options import Effort
from codec.picture.alpha import repeated_where_invisible, smooth_where_invisible
from codec.picture.avif import has_avif, pack_lossy
from codec.picture.vp8l import EFFORT_MAX, pack_lossless
from codec.progress import Progress, no_progress

# AVIF's quality for photographs that score as ours do at qualities of 1, 10, 20 to 100:
# SSIMULACRA 2 for the tune visual, PSNR for psnr. Read off kodak_summary.csv, codec
# `avif`, which `tests/test_benchmarks.py` does again.
AVIF_QUALITY = {
    "visual": (5, 10, 20, 29, 36, 43, 50, 57, 63, 70, 75),
    "psnr": (6, 12, 21, 29, 37, 45, 54, 62, 70, 77, 85),
}
QUALITIES = (1, *range(10, 101, 10))
EXACT_SHARE = 1.35  # of AVIF's bytes, that an exact tile may have
# Tiles of few pixels and colors, such as pixel art, get all of lossless WebP's effort.
SMALL_PX, FEW_COLORS = 2**18, 256
Colors = NDArray[np.uint8]  # [H, W, 3]
Mask = NDArray[np.bool_]  # [H, W]


@dataclass
class Layering:
    """The layer of a picture: the pixels that are `covered`, all if that is None. The
    colors are of no matter where they are not `visible`.
    """

    header: Header
    colors: Colors
    covered: Mask | None
    visible: Mask | None
    tune: str
    effort: Effort
    exact: bool  # whatever it takes
    threads: int
    # Made so far, by number, and by AVIF's quality, of which there are fewer than ours.
    exact_tiles: dict[int, LayerTile] = field(default_factory=dict)
    worthwhile_tiles: dict[tuple[int, int], LayerTile] = field(default_factory=dict)

    @cached_property
    def tiles(self) -> dict[int, tuple[slice, slice]]:
        """Places of the tiles that have a layer, by number."""
        spans = enumerate(itertools.product(*tile_spans(self.header)))
        covered = self.covered
        return {n: at for n, at in spans if covered is None or covered[at].any()}

    @cached_property
    def whole(self) -> frozenset[int]:
        """Tiles that it covers."""
        covered = self.covered
        return frozenset(
            n for n, at in self.tiles.items() if covered is None or covered[at].all()
        )

    def lossless(self, number: int) -> LayerTile:
        """The layer of a tile as it is."""
        if number not in self.exact_tiles:
            self.exact_tiles[number] = self.exact_tile(number)
        return self.exact_tiles[number]

    def exact_tile(self, number: int) -> LayerTile:
        colors = self.colors[self.tiles[number]]
        if self.visible is not None:
            visible = self.visible[self.tiles[number]]
            colors = repeated_where_invisible(colors, visible)
        if number in self.whole and (colors == colors[0, 0]).all():
            return LayerTile(FLAT, colors[0, 0].tobytes())
        return LayerTile(LOSSLESS, self.packed(colors, number))

    def packed(self, colors: Colors, number: int) -> bytes:
        """VP8L data of colors in place of a tile's, where the layer is."""
        effort = self.effort.webp_effort
        if colors[..., 0].size <= SMALL_PX and count_colors(colors) <= FEW_COLORS:
            effort = EFFORT_MAX
        return pack_lossless(colors, self.mask(number), effort)

    def mask(self, number: int) -> Mask | None:
        """What is covered of a tile, None if all of it is."""
        if self.covered is None or number in self.whole:
            return None
        return self.covered[self.tiles[number]]

    def beneath(self) -> Colors:
        """What the networks see: smooth where the layer is."""
        if self.covered is None:
            return self.colors
        return smooth_where_invisible(self.colors, ~self.covered)

    def coded(
        self, code: int, progress: Progress = no_progress
    ) -> dict[int, LayerTile]:
        """The layer of every tile by number at a quality code, without what the
        networks make.
        """
        position = code / QUALITY_CODE_MAX * 99 + 1
        quality = round(float(np.interp(position, QUALITIES, AVIF_QUALITY[self.tune])))
        as_is = self.exact or not has_avif()
        made: dict[int, LayerTile] = {}
        for n in self.tiles:
            made[n] = self.lossless(n) if as_is else self.worthwhile(n, quality)
            progress(len(made) / len(self.tiles))
        return made

    def worthwhile(self, number: int, quality: int) -> LayerTile:
        """Lossless, unless that takes EXACT_SHARE times as many bytes as AVIF."""
        key = number, quality
        if key not in self.worthwhile_tiles:
            self.worthwhile_tiles[key] = self.worthwhile_tile(*key)
        return self.worthwhile_tiles[key]

    def worthwhile_tile(self, number: int, quality: int) -> LayerTile:
        lossless = self.lossless(number)
        if lossless.kind == FLAT:
            return lossless
        colors, mask = self.colors[self.tiles[number]], self.mask(number)
        packed = b"" if mask is None else self.packed(np.zeros_like(colors), number)
        speed = self.effort.avif_speed
        avif = pack_lossy(colors, mask, quality, speed, self.threads)
        lossy_bytes = len(avif) + len(packed)
        if len(lossless.colors) <= EXACT_SHARE * lossy_bytes:
            return lossless
        return LayerTile(LOSSY, avif, packed)
