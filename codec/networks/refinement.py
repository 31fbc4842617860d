"""Latents refined by gradient descent on what counts: rate plus weighted distortion.

The synthesis runs on softly rounded latents. From iteration to iteration soft rounding
comes nearer to rounding. For few iterations soft rounding is a function of the latents
(Agustsson & Theis, "Universally quantized neural compression", NeurIPS 2020), and its
slope is taken as 1. For many it is drawn at random (stochastic Gumbel annealing: Yang
et al., "Improving inference for neural image compression", NeurIPS 2020), which finds
more. The hyper-latents do not change, and each step takes the means as constants.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codec.entropy.tables import PRECISION_BITS, Tables
from codec.networks.distortions import DISTORTIONS
from codec.networks.quantization import STEP_WEIGHT, rounding_by_table
from codec.networks.rows import Rows
from codec.networks.runtime import Networks
from codec.networks.windowed import WindowedNetworks
from codec.networks.windows import Window, cut

Array = NDArray[Any]

# A step of 1 would lead to the minimum if the transform were orthonormal: squared error
# of model 10 has 0.8 to 1 times that curvature in most channels. Steps fall to 0.
MOMENTUM = 0.6
# Found on parts of four of the validation crops, at two qualities, for 10 and 40
# iterations; for what is seen on two crops of a former model.
STEP = {"psnr": 1.0, "visual": 0.3}
SHARPNESS = 0.3, 8.0  # of the soft rounding, first and last
# Found on parts of four of the validation crops, for 150 iterations.
DRAWN_STEP = 0.08
TEMPERATURE = 0.5, 0.1  # of drawn rounding, first and last
SLOPE_MAX = 5.0  # of drawn rounding
# Of a latent in one iteration. Squared error has one curvature everywhere; what is seen
# has more where nothing masks an error, and descent would overshoot.
MOVE_MAX = {"psnr": np.inf, "visual": 0.15}


@dataclass(frozen=True)
class Refinement:
    """How long to refine, and whether soft rounding is drawn at random."""

    iterations: int
    drawn: bool = False


def refine(
    windowed: WindowedNetworks,
    quality_code: int,
    rgb: Array,
    latents: Rows,
    hyper_latents: Rows,
    table_index: Rows,
    rounding: Array,
    refinement: Refinement,
) -> Rows:
    """Latents in image units, refined window by window. Rounded to the nearest, they
    cost no more than `latents` rounded by `rounding`.

    `rgb` is uint8 [H, W, 3], `rounding` float32 [256] by table index; the other arrays
    are as in `WindowedNetworks`.
    """
    gain = windowed.networks.bundle.vectors(quality_code)["gain"]
    unit = windowed.cell_latents

    def result(
        window: Window, latents: Array, hyper_latents: Array, index: Array
    ) -> Array:
        if windowed.idle[window.core].all():
            for _ in range(refinement.iterations):
                windowed.advance()
            return cut(latents, window.inner, unit)
        found = refine_window(
            windowed.networks,
            quality_code,
            windowed.pixels(rgb, window),
            latents * gain,
            hyper_latents,
            index,
            rounding,
            refinement,
            windowed.advance,
        )
        return cut(found, window.inner, unit) / gain

    inputs = [latents, hyper_latents, table_index]
    steps = refinement.iterations + 1
    return windowed.by_windows(
        unit, windowed.halos.decoder, inputs, result, steps=steps
    )


def refine_window(
    networks: Networks,
    quality_code: int,
    image: Array,
    latents: Array,
    hyper_latents: Array,
    table_index: Array,
    rounding: Array,
    refinement: Refinement,
    advance: Callable[[], None],
) -> Array:
    """As `refine`, of one window. `image` is uint8 [1, H, W, 3], latents are in
    quantization steps; `advance` is called after every iteration.
    """
    bundle = networks.bundle
    vectors = bundle.vectors(quality_code)
    gains = vectors["gain"], vectors["inverse_gain"]
    weight = bundle.bits_per_error(quality_code)
    coded = table_index >= bundle.skip_below
    tables = bundle.residual_tables, bundle.skip_below
    plain, slopes = rounding_by_table(*tables, 0)[table_index], rate_slopes(*tables)
    distortion = DISTORTIONS[bundle.tune](networks, vectors, image)
    move_max = MOVE_MAX[bundle.tune]

    def cost(target: Array) -> float:
        residuals, decoded = networks.quantize(target, hyper_latents, plain, *gains)
        bits = bundle.residual_tables.bits(
            residuals[coded].astype(np.int32), table_index[coded]
        )
        return bits + weight * distortion(decoded)[0]

    random = np.random.default_rng(0)
    step = DRAWN_STEP if refinement.drawn else STEP[bundle.tune]
    target, velocity = latents, np.zeros_like(latents)
    for i in range(refinement.iterations):
        progress = i / refinement.iterations
        residuals, decoded = networks.quantize(target, hyper_latents, plain, *gains)
        mean = decoded - residuals
        difference = target - mean
        soft, slope = softly_rounded(difference, refinement, progress, random)
        _, gradient = distortion(mean + coded * soft)
        magnitude = np.minimum(np.abs(difference).astype(int), slopes.shape[1] - 1)
        rate_slope = slopes[table_index, magnitude] * np.sign(difference)
        velocity *= MOMENTUM
        velocity += (1 - MOMENTUM) * coded * slope * (weight * gradient + rate_slope)
        move = step * (1 - progress) / (2 * STEP_WEIGHT) * velocity
        target = target - np.clip(move, -move_max, move_max)
        advance()
    # This would be decoded without refinement; rounded to the nearest it stays the
    # same.
    _, start = networks.quantize(latents, hyper_latents, rounding[table_index], *gains)
    return min(start, target, key=cost)


def softly_rounded(
    value: Array, refinement: Refinement, progress: float, random: np.random.Generator
) -> tuple[Array, Array]:
    """(`value` softly rounded, the slope that the gradient takes), when a share
    `progress` of the iterations is done.
    """
    if refinement.drawn:
        return drawn_round(value, between(*TEMPERATURE, progress), random)
    soft = soft_round(value, between(*SHARPNESS, progress))
    return soft, np.ones_like(soft)


def soft_round(value: Array, sharpness: float) -> Array:
    """Between the identity (`sharpness` near 0) and rounding (infinite)."""
    middle = np.floor(value) + np.float32(0.5)
    spread = np.float32(2 * np.tanh(sharpness / 2))
    return middle + np.tanh(np.float32(sharpness) * (value - middle)) / spread


def drawn_round(
    value: Array, temperature: float, random: np.random.Generator
) -> tuple[Array, Array]:
    """(`value` rounded softly up or down at random, the slope of that). It is less soft
    and less random at a lower `temperature`.

    Yang et al. 2020, section 3.2, with the binary Gumbel-softmax written as a sigmoid.
    """
    below = np.floor(value)
    up = np.clip(value - below, 1e-3, 1 - 1e-3)
    logit = (np.arctanh(up) - np.arctanh(1 - up)) / temperature
    logit += random.logistic(size=value.shape).astype(np.float32)
    share = (np.tanh(logit / (2 * temperature)) + 1) / 2  # of rounding up
    slope = 1 / (1 - up**2) + 1 / (1 - (1 - up) ** 2)
    slope *= share * (1 - share) / temperature**2
    return below + share, np.minimum(slope, SLOPE_MAX)


def between(first: float, last: float, progress: float) -> float:
    """From `first` to `last`, by equal factors."""
    return first * (last / first) ** progress


def rate_slopes(tables: Tables, skip_below: int) -> NDArray[np.float32]:
    """Bits that a magnitude of m + 1 costs more than m: float32 [256, longest], by
    table index and m. They are 0 for tables under `skip_below`, and where the escape
    begins.
    """
    slopes = np.zeros((256, tables.frequency.shape[1]), np.float32)
    for table in range(skip_below, len(tables.length)):
        zero = -tables.minimum[table]
        frequency = tables.frequency[table, zero : tables.length[table] - 1]
        bits = PRECISION_BITS - np.log2(frequency)
        steps = np.diff(bits)  # none if zero escapes
        slopes[table, : len(steps)] = steps
    return slopes
