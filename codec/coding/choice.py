"""Which parts of a picture are the networks' and which the layer's."""

import numpy as np

from codec.coding.content import flat_parts, may_be_drawn, photographs_in
from codec.coding.decoder import decode_colors
from codec.coding.encoder import Encoder, header_of
from codec.coding.layering import Layering, Mask
from codec.coding.tiles import whole
from codec.file.container import unpack
from codec.file.layer import FLAT, LOSSY, LayerTile
from codec.limits import NO_LIMIT
from codec.networks.outputs import synthesis_of
from codec.networks.runtime import Networks
from codec.options import EFFORTS, GRAPHICS, PHOTO, EncodeOptions
from codec.picture.color import dissimilarity
from codec.picture.reading import Picture
from codec.progress import Stages

# Of the cost of what the networks make: measures of the eye like it better than SSIM.
NETWORKS_SHARE = 0.8
DRAWN_STAGE = 0.25  # of the work, at a guess
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
        stages: Stages,
    ) -> None:
        self.picture, self.options, self.networks = picture, options, networks
        self.keep_latents, self.stages = keep_latents, stages

    def encoder(self, code: int) -> Encoder:
        """The one that costs least at a quality code."""
        content = self.options.content
        if content == GRAPHICS or self.options.lossless:
            return self.with_layer(None)
        if content == PHOTO or not may_be_drawn(self.picture.rgb, self.picture.visible):
            return self.without_layer()
        drawn = self.with_layer(None)
        self.stages.begin(DRAWN_STAGE)
        file = unpack(drawn.file(code), max_pixels=NO_LIMIT)
        tiles = [file.tile(n) for n in range(file.header.tile_count)]
        kinds = [tile.kind for tile in tiles if isinstance(tile, LayerTile)]
        if set(kinds) == {FLAT}:
            return drawn
        flat = flat_parts(self.picture.rgb)
        photographs = photographs_in(self.picture.rgb, self.picture.visible)
        both = None if flat is None or photographs is None else flat | photographs
        if both is not None and both.mean() >= GROUND_SHARE:  # white stays white
            return self.with_layer(flat, exact=True)
        if LOSSY not in kinds and photographs is None:
            return drawn
        others = [
            self.without_layer() if flat is None else self.with_layer(flat, exact=True)
        ]
        if photographs is not None and not photographs.all():
            others.append(self.with_layer(~photographs))
        costs = [self.cost(drawn.file(code))]
        for done, encoder in enumerate(others):
            self.stages.begin(1 / (len(others) - done + self.keep_latents))
            costs.append(self.cost(encoder.file(code)))
        return [drawn, *others][int(np.argmin(costs))]

    def without_layer(self) -> Encoder:
        return self.made(None)

    def with_layer(self, covered: Mask | None, exact: bool = False) -> Encoder:
        """With a layer of these pixels, or of all."""
        header = header_of(self.picture, self.networks.bundle)
        tune, effort = self.networks.bundle.tune, EFFORTS[self.options.effort]
        exact = exact or self.options.lossless
        layering = Layering(
            *(header, self.picture.rgb, covered, self.picture.visible),
            *(tune, effort, exact, self.networks.threads),
        )
        return self.made(layering)

    def made(self, layering: Layering | None) -> Encoder:
        return Encoder(
            self.picture,
            self.networks,
            EFFORTS[self.options.effort].refinement,
            self.keep_latents,
            self.stages,
            layering,
        )

    def cost(self, file: bytes) -> float:
        """Bytes times how unlike the picture it is: along the curve of a codec the one
        falls about as the other grows. Less of it where networks have a part.
        """
        container = unpack(file, max_pixels=NO_LIMIT)
        tiles = map(container.tile, range(container.header.tile_count))
        is_drawn = all(isinstance(tile, LayerTile) and tile.covers for tile in tiles)
        share = 1 if is_drawn else NETWORKS_SHARE
        region, output = whole(container.header), synthesis_of(self.networks)
        image = decode_colors(container, self.networks, region, output)
        found = np.asarray(image.convert("RGB"))
        if (visible := self.picture.visible) is not None:
            found = np.where(visible[..., None], found, self.picture.rgb)
        return share * len(file) * dissimilarity(self.picture.rgb, found)
