"""Files of a wanted size or PSNR, by search over the quality."""

import math
from collections.abc import Callable, Sequence

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


def file_within(
    encoders: Sequence[Encoder], size_bytes: int, stages: Stages
) -> tuple[bytes, str]:
    """(the best file of at most so many bytes, what is to be said of it: that the
    highest quality is smaller), by the first encoder that has one; UsageError if there
    is none.
    """
    for encoder in encoders:
        found = search(
            encoder,
            lambda file: math.log(len(file)),
            math.log(max(size_bytes, 1)),
            -math.log(1 - SIZE_TOLERANCE),
            stages,
        )
        if found is not None:
            return found[0], smaller(found[0], size_bytes)
    header, least = encoders[0].header, min(len(e.file(0)) for e in encoders)
    asked, given = (8 * n / (header.width * header.height) for n in (size_bytes, least))
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
    found = search(encoder, psnr, limit, PSNR_TOLERANCE_DB, stages)
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

    code = highest(
        lambda code: value_of(code, SHARE_STEPS), QUALITY_CODE_MAX, limit, tolerance
    )
    if code is None:
        return None
    best = files[code, SHARE_STEPS]
    near = best[1] >= limit - tolerance
    if near or code == QUALITY_CODE_MAX or encoder.refinement:
        return best
    step = highest(lambda step: value_of(code + 1, step), SHARE_STEPS, limit, tolerance)
    if step is not None and files[code + 1, step][1] > best[1]:
        return files[code + 1, step]
    return best


def highest(
    value_of: Callable[[int], float], last: int, limit: float, tolerance: float
) -> int | None:
    """A number from 0 to `last` whose value is in [limit - tolerance, limit].
    `value_of` grows with the number.

    If there is none, the highest number found with a value under the limit, or None if
    0 is over it. Interpolation and halving take turns, so that few numbers are tried.
    """
    low, high = (0, value_of(0)), (last, value_of(last))
    if low[1] > limit:
        return None
    if high[1] <= limit:
        return last
    halve = False
    while high[0] - low[0] > 1 and low[1] < limit - tolerance:
        share = 0.5 if halve else (limit - tolerance / 2 - low[1]) / (high[1] - low[1])
        number = low[0] + round(share * (high[0] - low[0]))
        number = min(max(number, low[0] + 1), high[0] - 1)
        value = value_of(number)
        if value <= limit:
            low = number, value
        else:
            high = number, value
        halve = not halve
    return low[0]
