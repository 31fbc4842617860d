"""Files with a layer as the networks would have coded them, for what needs latents."""

from dataclasses import replace

import numpy as np

from codec.coding.decoder import decode_colors
from codec.coding.encoder import Encoder
from codec.coding.tiles import whole
from codec.file.container import Container, pack, unpack
from codec.limits import NO_LIMIT
from codec.networks.outputs import synthesis_of
from codec.networks.quantization import RATE_SHARE
from codec.networks.runtime import Networks
from codec.picture.reading import Picture


def without_layer(container: Container, networks: Networks) -> Container:
    """The file itself, or, where it has a layer, what it shows, coded by the networks
    alone at the same quality. FormatError if it is damaged.
    """
    if not container.is_layered:
        return container
    header = container.header
    image = decode_colors(container, networks, whole(header), synthesis_of(networks))
    picture = Picture(np.asarray(image.convert("RGB")))
    encoder = Encoder(picture, networks, None, keep_latents=False)
    payloads = encoder.payloads(header.quality_code, RATE_SHARE)
    extras = [
        (container.spans[number][0], container.payload(number))
        for number in range(header.tile_count, len(container.spans))
    ]
    header = replace(encoder.header, quality_code=header.quality_code)
    return unpack(pack(header, payloads, extras), max_pixels=NO_LIMIT)
