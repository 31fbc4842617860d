"""Latents refined by gradient descent on the true objective, rate plus weighted error.

The decoder runs on softly rounded latents, soft rounding being annealed towards
rounding (Agustsson & Theis, "Universally quantized neural compression", NeurIPS 2020);
gradients pass straight through it. The hyper-latents stay as they are, and the means
are taken as constants in each step.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codec.entropy.tables import PRECISION_BITS, Tables
from codec.quantization import STEP_WEIGHT, rounding_by_table
from codec.runtime import Networks
from codec.windows import DECODER_HALO, Rows, Window, WindowedNetworks, cut

Array = NDArray[Any]

# Found on two of the validation crops, at two qualities, for 10 to 60 iterations.
STEP = 0.3  # of the way to the minimum of an orthonormal transform; falls to 0
MOMENTUM = 0.6
SHARPNESS = 0.3, 8.0  # of the soft rounding, first and last


def refine(
    windowed: WindowedNetworks,
    quality_code: int,
    rgb: Array,
    latents: Rows,
    hyper_latents: Rows,
    table_index: Rows,
    rounding: Array,
    iterations: int,
) -> Rows:
    """Latents in image units to be rounded plainly, at least as good as `latents`
    rounded by `rounding`.

    `rgb` uint8 [H, W, 3], `rounding` float32 [256] by table index; the other arrays as
    in `WindowedNetworks`. Windows are refined one by one.
    """
    gain = windowed.networks.bundle.vectors(quality_code)["gain"]
    unit = windowed.cell_latents

    def result(
        window: Window, latents: Array, hyper_latents: Array, index: Array
    ) -> Array:
        found = refine_window(
            windowed.networks,
            quality_code,
            windowed.pixels(rgb, window),
            latents * gain,
            hyper_latents,
            index,
            rounding,
            iterations,
            windowed.advance,
        )
        return cut(found, window.inner, unit) / gain

    inputs = [latents, hyper_latents, table_index]
    steps = iterations + 1
    return windowed.by_windows(unit, DECODER_HALO, inputs, result, steps=steps)


def refine_window(
    networks: Networks,
    quality_code: int,
    image: Array,
    latents: Array,
    hyper_latents: Array,
    table_index: Array,
    rounding: Array,
    iterations: int,
    advance: Callable[[], None],
) -> Array:
    """As `refine`, of one window, with `image` uint8 [1, H, W, 3] and latents in
    quantization steps; `advance` is called after every iteration.
    """
    bundle = networks.bundle
    vectors = bundle.vectors(quality_code)
    inverse_gain, block_scale = vectors["inverse_gain"], vectors["block_scale"]
    gains = vectors["gain"], inverse_gain
    weight = bundle.bits_per_error(quality_code)
    coded = table_index >= bundle.skip_below
    tables = bundle.residual_tables, bundle.skip_below
    plain, slopes = rounding_by_table(*tables, 0)[table_index], rate_slopes(*tables)

    def error_gradient(decoded: Array) -> tuple[float, Array]:
        return networks.error_gradient(decoded, inverse_gain, block_scale, image)

    def cost(target: Array) -> float:
        residuals, decoded = networks.quantize(target, hyper_latents, plain, *gains)
        bits = bundle.residual_tables.bits(
            residuals[coded].astype(np.int32), table_index[coded]
        )
        return bits + weight * error_gradient(decoded)[0]

    first, last = SHARPNESS
    target, velocity = latents, np.zeros_like(latents)
    for i in range(iterations):
        progress = i / iterations
        residuals, decoded = networks.quantize(target, hyper_latents, plain, *gains)
        mean = decoded - residuals
        soft = coded * soft_round(target - mean, first * (last / first) ** progress)
        _, gradient = error_gradient(mean + soft)
        magnitude = np.minimum(np.abs(soft).astype(int), slopes.shape[1] - 1)
        rate_slope = slopes[table_index, magnitude] * np.sign(soft)
        velocity *= MOMENTUM
        velocity += (1 - MOMENTUM) * coded * (weight * gradient + rate_slope)
        target = target - STEP * (1 - progress) / (2 * STEP_WEIGHT) * velocity
        advance()
    # What `rounding` decodes to is rounded to itself.
    _, start = networks.quantize(latents, hyper_latents, rounding[table_index], *gains)
    return min(start, target, key=cost)


def soft_round(value: Array, sharpness: float) -> Array:
    """Between the identity (`sharpness` near 0) and rounding (infinite)."""
    middle = np.floor(value) + np.float32(0.5)
    spread = np.float32(2 * np.tanh(sharpness / 2))
    return middle + np.tanh(np.float32(sharpness) * (value - middle)) / spread


def rate_slopes(tables: Tables, skip_below: int) -> NDArray[np.float32]:
    """Bits that magnitude m + 1 costs more than m: float32 [256, longest], by table
    index and m; 0 for tables under `skip_below` and where the escape begins.
    """
    slopes = np.zeros((256, tables.frequency.shape[1]), np.float32)
    for table in range(skip_below, len(tables.length)):
        zero = -tables.minimum[table]
        frequency = tables.frequency[table, zero : tables.length[table] - 1]
        bits = PRECISION_BITS - np.log2(frequency)
        slopes[table, : len(bits) - 1] = np.diff(bits)
    return slopes
