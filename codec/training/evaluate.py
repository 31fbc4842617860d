"""Rate and distortion of a bundle in real file sizes, against the ideal code length of
its tables.
"""

from pathlib import Path

import numpy as np

from codec import api
from codec.coding.symbols import channel_index, tile_symbols
from codec.file.container import unpack
from codec.networks.bundle import Bundle, read_bundle
from codec.networks.runtime import Networks
from codec.options import PHOTO
from codec.training.data import read_images

QUALITIES = (1, 20, 40, 60, 80, 100)


def ideal_bits(data: bytes, bundle: Bundle) -> float:
    """Bits that the symbols in a file cost by its tables, without any overhead."""
    container = unpack(data)
    hyper_tables = bundle.hyper_tables_of(container.header.quality_code)
    bits = 0.0
    for hyper, *residuals in tile_symbols(container, Networks(bundle)):
        bits += hyper_tables.bits(hyper.ravel(), channel_index(hyper))
        bits += bundle.residual_tables.bits(*residuals)
    return bits


def evaluate(folder: Path, images: tuple[Path, ...]) -> None:
    """Print mean bits per pixel, PSNR and the excess over the ideal code length per
    quality.
    """
    bundle = read_bundle(folder)
    pictures = list(read_images(images))
    for quality in QUALITIES:
        rows = []
        for picture in pictures:
            data = api.encode(picture, quality=quality, content=PHOTO, bundle=bundle)
            decoded = np.asarray(api.decode(data, bundle=bundle), float)
            mse = np.mean((decoded - picture) ** 2)
            pixels = picture.shape[0] * picture.shape[1]
            rows.append(
                (
                    8 * len(data) / pixels,
                    10 * np.log10(255**2 / mse),
                    ideal_bits(data, bundle) / pixels,
                )
            )
        bpp, psnr, ideal = np.mean(rows, axis=0)
        print(
            f"quality {quality:3}: {bpp:.4f} bpp, {psnr:.2f} dB, "
            f"{100 * (bpp / ideal - 1):+.2f} % over the ideal"
        )
