"""Rate and distortion of a bundle in real file sizes, against the ideal code length of
its tables.
"""

import itertools
from pathlib import Path

import numpy as np

from codec import api
from codec.bundle import Bundle, read_bundle
from codec.coding import channel_index, decode_symbols, tile_cells
from codec.container import unpack
from codec.runtime import Networks
from codec.training.data import read_images
from codec.windows import cut

QUALITIES = (1, 20, 40, 60, 80, 100)


def ideal_bits(data: bytes, bundle: Bundle) -> float:
    """Bits that the symbols in a file cost by its tables, without any overhead."""
    container, networks = unpack(data), Networks(bundle)
    code = container.header.quality_code
    hyper_latents, residuals = decode_symbols(container, networks)
    bits = 0.0
    unit = bundle.stride_px // bundle.latent_px
    for tile in itertools.product(*tile_cells(container.header, bundle)):
        hyper, residual = cut(hyper_latents, tile, 1), cut(residuals, tile, unit)
        index = networks.table_index(
            hyper.astype(np.float32), bundle.index_offset(code)
        )
        mask = index >= bundle.skip_below
        bits += bundle.hyper_tables_of(code).bits(hyper.ravel(), channel_index(hyper))
        bits += bundle.residual_tables.bits(residual[mask], index[mask])
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
            data = api.encode(picture, quality=quality, bundle=bundle)
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
