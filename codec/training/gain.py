"""What an adapted model saves: bytes of pictures that look as good as before."""

import contextlib
import math
from dataclasses import dataclass

import numpy as np

from codec.api import decode_file, encode_picture
from codec.errors import CodecError
from codec.options import QUALITY_DEFAULT, DecodeOptions, EncodeOptions
from codec.picture.color import dissimilarity, psnr_of
from codec.picture.reading import Picture, picture_in

PICTURES_MAX, SIDE_PX = 8, 512  # of the middle of a picture
QUALITIES = (QUALITY_DEFAULT - 15, QUALITY_DEFAULT, QUALITY_DEFAULT + 15)
TINY = 1e-9  # or flat pictures would have no logarithm
MEASURES = {"visual": "SSIM", "psnr": "PSNR"}  # by tune


@dataclass(frozen=True)
class Gain:
    """Bits per pixel for the same measure, before and after."""

    before_bpp: float
    after_bpp: float
    measure: str
    compared: int  # pictures
    held_out: bool  # whether they are others than those trained on

    def __str__(self):
        change = self.after_bpp / self.before_bpp - 1
        which = "others" if self.held_out else "of them"
        return (
            f"{self.before_bpp:.3f} -> {self.after_bpp:.3f} bits per pixel "
            f"({change:+.1%}) for the same {self.measure}, on {self.compared} {which}"
        )


def gain_on(others, trained_on, tune, adapted, max_pixels, progress):
    """The `Gain` by an adapted bundle over the shipped one of the tune, on the middle
    of pictures in the files `others`, or, if none can be read, in `trained_on`.
    """
    images = middles(others, max_pixels)
    held_out = bool(images)
    images = images or middles(trained_on, max_pixels)
    calls = [(None, QUALITY_DEFAULT), *((adapted, quality) for quality in QUALITIES)]
    points = []
    for number, (bundle, quality) in enumerate(calls):
        points.append(measured(images, tune, bundle, quality))
        progress((number + 1) / len(calls))
    (before_bpp, level), *after = points
    rates, levels = zip(*after, strict=True)
    after_bpp = math.exp(np.interp(level, levels, np.log(rates)))
    return Gain(before_bpp, after_bpp, MEASURES[tune], len(images), held_out)


def middles(paths, max_pixels):
    """The middle of the first pictures that can be read, each uint8 [H, W, 3]."""
    found = []
    for path in paths:
        with contextlib.suppress(CodecError, OSError, MemoryError):
            image = picture_in(path.read_bytes(), max_pixels, ()).rgb
            top, left = (max(0, side - SIDE_PX) // 2 for side in image.shape[:2])
            part = image[top : top + SIDE_PX, left : left + SIDE_PX]
            found.append(np.ascontiguousarray(part))
        if len(found) == PICTURES_MAX:
            break
    return found


def measured(images, tune, bundle, quality):
    """(bits per pixel, level of the tune's measure, which grows with the quality)."""
    options = EncodeOptions(quality=quality, tune=tune, content="photo", bundle=bundle)
    bits, pixels, errors = 0, 0, []
    for image in images:
        data = encode_picture(Picture(image), options)
        decoded = np.asarray(decode_file(data, DecodeOptions(bundle=bundle)))
        if MEASURES[tune] == "PSNR":
            errors.append(np.mean((decoded.astype(np.float32) - image) ** 2))
        else:
            errors.append(dissimilarity(image, decoded))
        bits, pixels = bits + 8 * len(data), pixels + image[..., 0].size
    error = float(np.mean(errors))
    level = psnr_of(error) if MEASURES[tune] == "PSNR" else -math.log(error + TINY)
    return bits / pixels, level
