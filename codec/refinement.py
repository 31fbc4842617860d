"""Latents refined by gradient descent on the true objective, rate plus weighted error.

The decoder runs on softly rounded latents, soft rounding being annealed towards
rounding (Agustsson & Theis, "Universally quantized neural compression", NeurIPS 2020);
gradients pass straight through it. The hyper-latents stay as they are, and the means
are taken as constants in each step.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from codec.entropy.tables import PRECISION_BITS, Tables
from codec.quantization import NOT_CODED, STEP_WEIGHT
from codec.runtime import Networks

Array = NDArray[Any]

# Found on two of the validation crops, at two qualities.
STEP = 0.2  # of the way to the minimum of an orthonormal transform; falls to 0
MOMENTUM = 0.8
SHARPNESS = 1.0, 8.0  # of the soft rounding, first and last


def refine(
    networks: Networks,
    quality_code: int,
    image: Array,
    latents: Array,
    hyper_latents: Array,
    table_index: Array,
    start: Array,
    iterations: int,
) -> Array:
    """Better residuals than `start`, or `start`, float32 [1, H/16, W/16, C].

    `image` uint8 [1, H, W, 3]; the other arrays as in `Networks`, `latents` in
    quantization steps.
    """
    bundle = networks.bundle
    vectors = bundle.vectors(quality_code)
    inverse_gain, block_scale = vectors["inverse_gain"], vectors["block_scale"]
    gains = vectors["gain"], inverse_gain
    weight = bundle.bits_per_error(quality_code)
    coded = table_index >= bundle.skip_below
    rounding = np.where(coded, np.float32(0.5), np.float32(NOT_CODED))
    slopes = rate_slopes(bundle.residual_tables, bundle.skip_below)

    def error_gradient(decoded: Array) -> tuple[float, Array]:
        return networks.error_gradient(decoded, inverse_gain, block_scale, image)

    def cost(residuals: Array) -> float:
        decoded = networks.reconstruct(residuals, hyper_latents, *gains)
        bits = bundle.residual_tables.bits(
            residuals[coded].astype(np.int32), table_index[coded]
        )
        return bits + weight * error_gradient(decoded)[0]

    first, last = SHARPNESS
    target, velocity = latents, np.zeros_like(latents)
    for i in range(iterations):
        progress = i / iterations
        residuals, decoded = networks.quantize(target, hyper_latents, rounding, *gains)
        mean = decoded - residuals
        soft = coded * soft_round(target - mean, first * (last / first) ** progress)
        _, gradient = error_gradient(mean + soft)
        magnitude = np.minimum(np.abs(soft).astype(int), slopes.shape[1] - 1)
        rate_slope = slopes[table_index, magnitude] * np.sign(soft)
        velocity *= MOMENTUM
        velocity += (1 - MOMENTUM) * coded * (weight * gradient + rate_slope)
        target = target - STEP * (1 - progress) / (2 * STEP_WEIGHT) * velocity
    found, _ = networks.quantize(target, hyper_latents, rounding, *gains)
    return min(start, found, key=cost)


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
