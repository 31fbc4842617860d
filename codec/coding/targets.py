"""Files of a wanted size or PSNR, by search over the quality."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from codec.coding.decoder import decode_bands
from codec.coding.encoder import Encoder
from codec.coding.tiles import whole
from codec.errors import UsageError
from codec.file.container import unpack
from codec.file.header import QUALITY_CODE_MAX
from codec.limits import NO_LIMIT
from codec.networks.outputs import synthesis_of
from codec.networks.quantization import RATE_SHARE
from codec.picture.color import luma, psnr_of
from codec.progress import Stages

SIZE_TOLERANCE = 0.02  # by which a file may be smaller than asked for
PSNR_TOLERANCE_DB = 0.1
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


# Means over parts of six of the validation images, for both tunes.
LOG_BPP = Typical(-3.0, 4.5e-5, 1e-3)
PSNR_DB = Typical(27.8, 2.05e-4, 3e-3)


def file_within(
    encoders: Sequence[Encoder], size_bytes: int, stages: Stages
) -> tuple[bytes, str]:
    """(the best file of at most so many bytes, what is to be said of it: that the
    highest quality is smaller), by the first encoder that has one; UsageError if there
    is none.
    """
    header = encoders[0].header
    pixels = header.width * header.height

    def log_bpp(file_bytes: int) -> float:
        return math.log(8 * file_bytes / pixels)

    for encoder in encoders:
        found = search(
            encoder,
            lambda file: log_bpp(len(file)),
            log_bpp(max(size_bytes, 1)),
            -math.log(1 - SIZE_TOLERANCE),
            LOG_BPP,
            stages,
        )
        if found is not None:
            return found[0], smaller(found[0], size_bytes)
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
    """(a file whose decoded samples have this PSNR, what is to be said of it: that the
    lowest quality has more). They also have more with refinement, where no quality code
    comes nearer. UsageError if they have less at the highest quality.
    """
    picture = encoder.picture
    samples = luma if picture.gray else np.asarray

    def psnr(file: bytes) -> float:
        container = unpack(file, max_pixels=NO_LIMIT)
        networks = encoder.networks
        output = synthesis_of(networks)
        bands = decode_bands(container, networks, whole(container.header), output)
        top, square_sum, count = 0, 0.0, 0
        for band in bands:
            original = picture.rgb[top : top + len(band)]
            error = samples(band).astype(np.float32) - samples(original)
            square_sum += float(np.sum(error**2))
            top, count = top + len(band), count + error.size
        return psnr_of(square_sum / count)

    limit = psnr_db + PSNR_TOLERANCE_DB
    found = search(encoder, psnr, limit, PSNR_TOLERANCE_DB, PSNR_DB, stages)
    if found is None:
        file = encoder.file(0)
        return file, f"quality 1, the lowest, has {psnr(file):.2f} dB"
    file, reached = found
    if reached >= psnr_db - PSNR_TOLERANCE_DB:
        return file, ""
    code = unpack(file, max_pixels=NO_LIMIT).header.quality_code
    if code == QUALITY_CODE_MAX:
        raise UsageError(
            f"{psnr_db:g} dB are out of reach; quality 100, the highest, has "
            f"{reached:.2f}"
        )
    return encoder.file(code + 1), ""


def search(
    encoder: Encoder,
    measure: Callable[[bytes], float],
    limit: float,
    tolerance: float,
    typical: Typical,
    stages: Stages,
) -> tuple[bytes, float] | None:
    """(file, what it measures): from `limit - tolerance` to `limit`, or else as little
    below as was found. None if the lowest quality is over the limit.
    """
    files: dict[tuple[int, int], tuple[bytes, float]] = {}

    def value_of(code: int, step: int) -> float:
        stages.begin(ATTEMPT_STAGE)
        share = RATE_SHARE + (SHARE_MAX - RATE_SHARE) * (1 - step / SHARE_STEPS)
        file = encoder.file(code, share)
        files[code, step] = file, measure(file)
        return files[code, step][1]

    window = limit - tolerance, limit
    code = highest(
        lambda code: value_of(code, SHARE_STEPS),
        QUALITY_CODE_MAX,
        window,
        Line(0, typical.start, typical.slope),
    )
    if code is None:
        return None
    best = files[code, SHARE_STEPS]
    near = best[1] >= limit - tolerance
    if near or code == QUALITY_CODE_MAX or encoder.refinement:
        return best
    above = files[code + 1, SHARE_STEPS][1]
    step = highest(
        lambda step: value_of(code + 1, step),
        SHARE_STEPS,
        window,
        Line(SHARE_STEPS, above, typical.share_slope),
    )
    if step is not None and files[code + 1, step][1] > best[1]:
        return files[code + 1, step]
    return best


def highest(
    value_of: Callable[[int], float],
    last: int,
    window: tuple[float, float],
    line: Line,
) -> int | None:
    """A number from 0 to `last` whose value is in the `window`. `value_of` grows with
    the number, about as the `line`.

    If there is none, the highest number with a value under the window, or None if 0 is
    over it. The first numbers tried are where the line meets the window, moved to the
    value found last, by steps that grow; between two, interpolation and halving take
    turns.
    """
    aim = sum(window) / 2
    low: tuple[int, float] | None = None
    high: tuple[int, float] | None = None
    number, tries = line.number_of(aim), 0
    while True:
        first, final = low[0] + 1 if low else 0, high[0] - 1 if high else last
        if first > final:
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
            share = 0.5 if tries % 2 else (aim - low[1]) / (high[1] - low[1])
            number = low[0] + share * (high[0] - low[0])
        else:
            number += tries * (aim - value) / line.slope
