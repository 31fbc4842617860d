"""Files of a wanted size, PSNR or score, by search over the quality."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codec.coding.decoder import decode_bands, decode_colors
from codec.coding.encoder import Encoder
from codec.coding.tiles import whole
from codec.errors import UsageError
from codec.file.container import unpack
from codec.file.header import QUALITY_CODE_MAX
from codec.limits import NO_LIMIT
from codec.networks.outputs import synthesis_of
from codec.networks.quantization import RATE_SHARE
from codec.picture.color import luma, psnr_of
from codec.picture.profiles import in_srgb
from codec.picture.ssimulacra2 import ssimulacra2
from codec.progress import Stages

SIZE_TOLERANCE = 0.02  # by which a file may be smaller than asked for
PSNR_TOLERANCE_DB = 0.1
SCORE_TOLERANCE = 0.2  # by which a file may be better than asked for
SCORE_LACK_MIN = 1e-6  # of 100: its logarithm is finite
SCORE_TRIES = 8  # the last ones gain less than they take: a score takes long, too
ATTEMPT_STAGE = 1 / 6  # of the work that is left: so many attempts follow, at a guess
# Where the index offset changes, size and PSNR jump by some percent from one quality
# code to the next. Files between the two come from the higher code, and from rounding
# that gives the rate a larger share, up to SHARE_MAX in so many steps.
SHARE_STEPS, SHARE_MAX = 255, 4.0


@dataclass(frozen=True)
class Line:
    """A straight line through (`number`, `value`)."""

    number: float
    value: float
    slope: float

    def number_of(self, value: float) -> float:
        return self.number + (value - self.value) / self.slope


@dataclass(frozen=True)
class Typical:
    """What photographs measure: at the lowest quality code, how much more from one code
    to the next, and from one step of the share to the next.
    """

    start: float
    slope: float
    share_slope: float


Measured = tuple[bytes, float]  # a file, and what it measures

# Means over parts of six of the validation images, for both tunes.
LOG_BPP = Typical(-3.0, 4.5e-5, 1e-3)
PSNR_DB = Typical(27.8, 2.05e-4, 3e-3)
# Means over eight of the validation images, for the tune "visual"; see `even`.
EVEN_SCORE = Typical(-4.44, 2.6e-5, 1.4e-3)


def file_within(
    encoders: Sequence[Encoder],
    size_bytes: int,
    cost: Callable[[bytes], float],
    stages: Stages,
) -> tuple[bytes, str]:
    """(the best file of at most so many bytes, what is to be said of it: that the
    highest quality is smaller), by the encoder whose file has the least `cost`;
    UsageError if none has one.
    """
    header = encoders[0].header
    pixels = header.width * header.height

    def log_bpp(file_bytes: int) -> float:
        return math.log(8 * file_bytes / pixels)

    found = []
    for encoder in encoders:
        under, _ = search(
            encoder,
            lambda file: log_bpp(len(file)),
            log_bpp(max(size_bytes, 1)),
            -math.log(1 - SIZE_TOLERANCE),
            LOG_BPP,
            stages,
        )
        if under is not None:
            found.append(under[0])
    if found:
        file = min(found, key=cost) if len(found) > 1 else found[0]
        return file, smaller(file, size_bytes)
    least = min(len(encoder.file(0)) for encoder in encoders)
    asked, given = (8 * size / pixels for size in (size_bytes, least))
    raise UsageError(
        f"{size_bytes} bytes ({asked:.2g} bits per pixel) are too few; quality 1, the "
        f"lowest, takes {least} ({given:.2g})"
    )


def smaller(file: bytes, size_bytes: int) -> str:
    """What is to be said of a file that is smaller than it could be."""
    code = unpack(file, max_pixels=NO_LIMIT).header.quality_code
    if code < QUALITY_CODE_MAX or len(file) >= size_bytes * (1 - SIZE_TOLERANCE):
        return ""
    return f"quality 100, the highest, takes fewer than {size_bytes} bytes"


def file_of_psnr(encoder: Encoder, psnr_db: float, stages: Stages) -> tuple[bytes, str]:
    """(a file whose decoded samples have this PSNR, or else the one that was found with
    the least more, and what is to be said of it). UsageError if they have less at the
    highest quality.
    """
    picture = encoder.picture
    visible = picture.visible
    samples = luma if picture.gray or picture.neutral else np.asarray

    def psnr(file: bytes) -> float:
        container = unpack(file, max_pixels=NO_LIMIT)
        networks = encoder.networks
        output = synthesis_of(networks)
        bands = decode_bands(container, networks, whole(container.header), output)
        top, square_sum, count = 0, 0.0, 0
        for band in bands:
            original = picture.rgb[top : top + len(band)]
            error = samples(band).astype(np.float32) - samples(original)
            if visible is not None:
                error = error[visible[top : top + len(band)]]
            square_sum += float(np.sum(error**2))
            top, count = top + len(band), count + error.size
        return psnr_of(square_sum / max(count, 1))

    limit = psnr_db + PSNR_TOLERANCE_DB
    found = search(encoder, psnr, limit, PSNR_TOLERANCE_DB, PSNR_DB, stages)
    least = psnr_db - PSNR_TOLERANCE_DB
    return nearest(found, least, f"{psnr_db:g} dB", " dB", float)


def file_of_score(encoder: Encoder, score: float, stages: Stages) -> tuple[bytes, str]:
    """As `file_of_psnr`, of a score of SSIMULACRA 2, that of the colors as they are
    seen, by their profile and on the grays behind them.
    """
    picture, networks = encoder.picture, encoder.networks
    icc = picture.metadata.get("icc")

    def seen(image: Image.Image) -> NDArray[np.uint8]:
        return np.asarray((icc and in_srgb(image, icc)) or image.convert("RGB"))

    original = seen(Image.fromarray(luma(picture.rgb) if picture.gray else picture.rgb))

    def measure(file: bytes) -> float:
        container = unpack(file, max_pixels=NO_LIMIT)
        region, output = whole(container.header), synthesis_of(networks)
        decoded = decode_colors(container, networks, region, output)
        return even(ssimulacra2(original, seen(decoded), picture.alpha))

    least, limit = even(score), even(score + SCORE_TOLERANCE)
    found = search(
        encoder, measure, limit, limit - least, EVEN_SCORE, stages, SCORE_TRIES
    )
    asked = f"{score:g} points of SSIMULACRA 2"
    return nearest(found, least, asked, " points", score_of)


def even(score: float) -> float:
    """A score on a scale along which it grows evenly with the quality."""
    return -math.log(max(100 - score, SCORE_LACK_MIN))


def score_of(even: float) -> float:
    return 100 - math.exp(-even)


def nearest(
    found: tuple[Measured | None, Measured | None],
    least: float,
    asked: str,
    unit: str,
    shown: Callable[[float], float],
) -> tuple[bytes, str]:
    """(the file of what `search` has found that measures at least `least`, what is to
    be said of it). UsageError if there is none.
    """
    under, over = found
    if under and under[1] >= least:
        return under[0], ""
    if over is None:
        reached = shown(under[1]) if under else -math.inf
        raise UsageError(
            f"{asked} are out of reach; quality 100, the highest, has {reached:.2f}"
        )
    file, reached = over[0], shown(over[1])
    if under is None:
        return file, f"quality 1, the lowest, has {reached:.2f}{unit}"
    return file, (
        f"of the qualities tried the nearest to it have {shown(under[1]):.2f} and "
        f"{reached:.2f}{unit}"
    )


def search(
    encoder: Encoder,
    measure: Callable[[bytes], float],
    limit: float,
    tolerance: float,
    typical: Typical,
    stages: Stages,
    tries: float = math.inf,
) -> tuple[Measured | None, Measured | None]:
    """Of the files that were tried, (the largest that measures at most `limit`, from
    `limit - tolerance` on if there is one; the smallest that measures more). After so
    many `tries` both sides of the limit are enough.
    """
    files: dict[tuple[int, int], Measured] = {}
    values: dict[bytes, float] = {}  # of layers that cover all, and have few qualities

    def measure_once(file: bytes) -> float:
        if not encoder.is_all_covered:
            return measure(file)
        content = behind_header(file)
        if content not in values:
            values[content] = measure(file)
        return values[content]

    def value_of(code: int, step: int) -> float:
        stages.begin(ATTEMPT_STAGE)
        share = RATE_SHARE + (SHARE_MAX - RATE_SHARE) * (1 - step / SHARE_STEPS)
        file = encoder.file(code, share)
        files[code, step] = file, measure_once(file)
        return files[code, step][1]

    window = limit - tolerance, limit
    line = Line(0, typical.start, typical.slope)
    if encoder.refinement:  # takes long, so begin near
        quick = encoder.without_refinement()
        code = highest(
            lambda code: measure(quick.file(code)),
            *(QUALITY_CODE_MAX, window, line, tries),
        )
        line = Line(code or 0, sum(window) / 2, typical.slope)
    code = highest(
        lambda code: value_of(code, SHARE_STEPS),
        *(QUALITY_CODE_MAX, window, line, tries),
    )
    if code is not None and not (encoder.refinement or encoder.is_all_covered):
        below, above = (files.get((n, SHARE_STEPS)) for n in (code, code + 1))
        if below and above and below[1] < window[0]:
            highest(
                lambda step: value_of(code + 1, step),
                SHARE_STEPS,
                window,
                Line(SHARE_STEPS, above[1], typical.share_slope),
            )
    value = itemgetter(1)
    # Of files that measure the same the first counts, which has the highest code.
    by_code = [files[key] for key in sorted(files, reverse=True)]
    under = [file for file in by_code if value(file) <= limit]
    over = [file for file in by_code if value(file) > limit]
    return max(under, key=value, default=None), min(over, key=value, default=None)


def behind_header(file: bytes) -> bytes:
    """All but the header, which has the quality."""
    container = unpack(file, max_pixels=NO_LIMIT)
    _, start, _ = container.spans[0]
    return file[start:]


def highest(
    value_of: Callable[[int], float],
    last: int,
    window: tuple[float, float],
    line: Line,
    tries_max: float = math.inf,
) -> int | None:
    """A number from 0 to `last` whose value is in the `window`. `value_of` grows with
    the number, about as the `line`.

    If there is none, the highest number with a value under the window, or None if 0 is
    over it; after `tries_max` tries it need not be the highest one. The first numbers
    tried are where the line meets the window, moved to the value found last, by steps
    that grow; between two, interpolation and halving take turns.
    """
    aim = sum(window) / 2
    low: tuple[int, float] | None = None
    high: tuple[int, float] | None = None
    number, tries, between = line.number_of(aim), 0, 0
    while True:
        first, final = low[0] + 1 if low else 0, high[0] - 1 if high else last
        if first > final or (low and high and tries >= tries_max):
            return low[0] if low else None
        number = min(max(round(number), first), final)
        value = value_of(number)
        if window[0] <= value <= window[1]:
            return number
        if value < aim:
            low = number, value
        else:
            high = number, value
        tries += 1
        if low and high:
            share = (aim - low[1]) / (high[1] - low[1]) if between % 2 == 0 else 0.5
            number = low[0] + share * (high[0] - low[0])
            between += 1
        else:
            number += tries * (aim - value) / line.slope
