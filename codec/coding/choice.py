"""Which parts of a picture are the networks' and which the layer's."""

import itertools

import numpy as np

from codec.coding.content import flat_parts, may_be_drawn, photographs_in
from codec.coding.decoder import decode_bands
from codec.coding.encoder import Encoder, header_of
from codec.coding.layering import Layering, Mask
from codec.coding.tiles import tile_spans
from codec.file.container import Container, unpack
from codec.file.layer import FLAT, LOSSY, LayerTile
from codec.limits import NO_LIMIT
from codec.networks.outputs import synthesis_of
from codec.networks.runtime import Networks
from codec.options import EFFORTS, GRAPHICS, PHOTO, EncodeOptions
from codec.picture.reading import Picture
from codec.progress import Progress

# The networks get all but what is flat if they make it this much smaller than the layer
# does at the same quality: drawn things, which they know less of, look worse then.
NETWORKS_SHARE = 0.95
# Of a picture, for it to be nothing but a photograph on a ground of one color.
GROUND_SHARE = 0.98


class Choice:
    """The encoders of a picture that there are to choose from."""

    def __init__(
        self,
        picture: Picture,
        options: EncodeOptions,
        networks: Networks,
        keep_latents: bool,
        progress: Progress,
    ) -> None:
        self.picture, self.options, self.networks = picture, options, networks
        self.keep_latents, self.progress = keep_latents, progress

    def encoder(self, code: int) -> Encoder:
        """The one that costs least at a quality code."""
        content = self.options.content
        if content == GRAPHICS or self.options.lossless:
            return self.with_layer(None)
        if content == PHOTO or not may_be_drawn(self.picture.rgb):
            return self.without_layer()
        drawn = self.with_layer(None)
        file = unpack(drawn.file(code), max_pixels=NO_LIMIT)
        tiles = [file.tile(n) for n in range(file.header.tile_count)]
        kinds = [tile.kind for tile in tiles if isinstance(tile, LayerTile)]
        if set(kinds) == {FLAT}:
            return drawn
        flat, photographs = (
            find(self.picture.rgb) for find in (flat_parts, photographs_in)
        )
        both = None if flat is None or photographs is None else flat | photographs
        if both is not None and both.mean() >= GROUND_SHARE:  # white stays white
            return self.with_layer(flat, exact=True)
        if LOSSY not in kinds and photographs is None:
            return drawn
        alone = (
            self.without_layer() if flat is None else self.with_layer(flat, exact=True)
        )
        others, shares = [alone], [1.0, 1 / NETWORKS_SHARE]
        if photographs is not None:
            others.append(self.with_layer(~photographs))
            shares.append(1.0)
        exact = [number for number, kind in enumerate(kinds) if kind != LOSSY]
        costs = [file.size_bytes, *(self.cost(o.file(code), exact) for o in others)]
        return [drawn, *others][int(np.argmin(np.multiply(costs, shares)))]

    def without_layer(self) -> Encoder:
        return self.made(None)

    def with_layer(self, covered: Mask | None, exact: bool = False) -> Encoder:
        """With a layer of these pixels, or of all."""
        header = header_of(self.picture, self.networks.bundle)
        tune, effort = self.options.tune, EFFORTS[self.options.effort]
        exact = exact or self.options.lossless
        layering = Layering(header, self.picture.rgb, covered, tune, effort, exact)
        return self.made(layering)

    def made(self, layering: Layering | None) -> Encoder:
        return Encoder(
            self.picture,
            self.networks,
            EFFORTS[self.options.effort].refinement,
            self.keep_latents,
            self.progress,
            layering,
        )

    def cost(self, file: bytes, exact: list[int]) -> float:
        """Bytes of a file, and what its error is worth in the `exact` tiles, those that
        are lossless otherwise.
        """
        container = unpack(file, max_pixels=NO_LIMIT)
        header = container.header
        if not exact:
            return len(file)
        spans = list(itertools.product(*tile_spans(header)))
        errors = sum(self.square_sum(container, spans[number]) for number in exact)
        bits = errors * self.networks.bundle.bits_per_error(header.quality_code)
        return len(file) + bits / 8

    def square_sum(self, container: Container, place: tuple[slice, slice]) -> float:
        """Of the errors in a part of the picture, in squared gray levels."""
        rows, columns = place
        region = (
            columns.start,
            rows.start,
            columns.stop - columns.start,
            rows.stop - rows.start,
        )
        output = synthesis_of(self.networks)
        bands = [*decode_bands(container, self.networks, region, output)]
        error = np.concatenate(bands).astype(np.float32) - self.picture.rgb[place]
        return float(np.square(error).sum())
