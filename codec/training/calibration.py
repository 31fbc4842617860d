"""Frequency tables from the symbols of photographs, blended with the trained model, and
the vectors of the qualities.
"""

import numpy as np
import tensorflow as tf
from keras import ops
from tensorflow_compression_ops import pmf_to_quantized_cdf

from codec.entropy.tables import PRECISION_BITS, Tables
from codec.file.header import QUALITY_CODE_MAX
from codec.networks.bundle import nearest_fraction
from codec.networks.quantization import rounding_by_table
from codec.progress import no_progress
from codec.training import networks as net
from codec.training.rate import interval_bits, residual_cdf

TAIL = 2e-5  # probability left to the escape symbol on either side
LONGEST = 1023  # symbols of one table
SELDOM = 0.04  # share of symbols that are not zero
PRIOR_COUNT = 200.0  # weight of the trained model against the counts of symbols


class Histogram:
    """Counts of integers per table, between -HALF and HALF; what lies beyond counts as
    HALF.
    """

    half = 511

    def __init__(self, tables):
        self.counts = np.zeros((tables, 2 * self.half + 1))

    def add(self, table_index, values):
        values = np.clip(values, -self.half, self.half).astype(np.int64) + self.half
        flat = (
            table_index.astype(np.int64).ravel() * self.counts.shape[1] + values.ravel()
        )
        self.counts += np.bincount(flat, minlength=self.counts.size).reshape(
            self.counts.shape
        )

    def pmf(self, prior):
        """Counts blended with a prior pmf of the same shape."""
        total = self.counts + PRIOR_COUNT * prior
        return total / total.sum(1, keepdims=True)


def quantize_pmf(pmf):
    """Integer frequencies of one pmf over [-half, half], trimmed to what matters:
    (minimum, frequencies).
    """
    half = len(pmf) // 2
    cumulative = np.cumsum(pmf)
    low = int(np.searchsorted(cumulative, TAIL))
    high = int(len(pmf) - 1 - np.searchsorted(np.cumsum(pmf[::-1]), TAIL))
    low, high = min(low, half), max(high, half)
    if high - low + 2 > LONGEST:
        low, high = half - LONGEST // 2 + 1, half + LONGEST // 2 - 1
    escape = max(1 - pmf[low : high + 1].sum(), 2.0**-PRECISION_BITS)
    symbols = np.append(pmf[low : high + 1], escape).astype("float32")
    cdf = pmf_to_quantized_cdf(symbols, precision=PRECISION_BITS).numpy()
    return low - half, np.diff(cdf).astype(np.int32)


def make_tables(pmfs):
    """Tables of a stack of pmfs [tables, 2 * half + 1]."""
    quantized = [quantize_pmf(pmf) for pmf in pmfs]
    longest = max(len(frequency) for _, frequency in quantized)
    return Tables(
        np.array([minimum for minimum, _ in quantized], np.int32),
        np.array([len(frequency) for _, frequency in quantized], np.int32),
        np.stack(
            [
                np.pad(frequency, (0, longest - len(frequency)))
                for _, frequency in quantized
            ]
        ),
    )


def interval_pmf(cdf):
    """Mass of every integer in [-half, half]: float64 [tables, 2 * half + 1]."""
    grid = np.arange(-Histogram.half, Histogram.half + 1, dtype="float32")
    return ops.convert_to_numpy(2.0 ** -interval_bits(grid, cdf)).astype(float)


def residual_prior():
    """Trained model of the residuals, by table index."""
    index = np.arange(net.SCALE_LEVELS, dtype="float32")[:, None]
    scale = net.scale_of_index(index)
    return interval_pmf(lambda value: residual_cdf(value, scale))


def hyper_prior(codec, anchor):
    """Trained model of the hyper-latents at a quality anchor, by channel."""
    level = ops.convert_to_tensor(
        np.array([anchor / (net.QUALITY_ANCHORS - 1)], "float32")
    )
    grid = np.arange(-Histogram.half, Histogram.half + 1, dtype="float32")
    values = np.broadcast_to(grid[None, :, None, None], (1, len(grid), 1, net.HYPER))
    bits = ops.convert_to_numpy(codec.hyper_bits(values, level))[0, :, 0]
    return 2.0 ** -bits.T.astype(float)


def coder_of(codec):
    """Function of (image uint8 [H, W, 3], quality code, rounding float32 [256] by table
    index, as the encoder's): (table index, hyper-latents, y - mean, residuals, y_hat).
    """

    @tf.function  # without it, grouped convolutions are compiled at every call
    def coded(pixels, level, offset, rounding):
        gain, inverse_gain, _ = codec.quality_vectors(level)
        y = codec.analysis(pixels) * gain
        z = ops.round(codec.hyper_analysis(y))
        index = ops.cast(codec.scales(z, offset), "int32")
        parts = codec.mean_context(y, z, gain, inverse_gain, ops.take(rounding, index))
        return index, z, *parts

    def code_image(image, code, rounding):
        offset = nearest_fraction(code, net.INDEX_OFFSET_MAX)
        found = coded(
            image[None].astype("float32") / 255 - 0.5,
            np.array([code / QUALITY_CODE_MAX], "float32"),
            np.full((1, 1, 1, 1), offset, "float32"),
            rounding,
        )
        return tuple(map(ops.convert_to_numpy, found))

    return code_image


def decoder_vectors(codec, code):
    """(inverse_gain, block_scales) of a quality code."""
    level = ops.convert_to_tensor(np.array([code / QUALITY_CODE_MAX], "float32"))
    return codec.quality_vectors(level)[1:]


class Counts:
    """Symbols of `images`, uint8 [H, W, 3], as `code_image` of `coder_of` gives them;
    each has a random quality of its own.
    """

    def __init__(self, code_image, images, rounding, progress):
        self.hyper = [Histogram(net.HYPER) for _ in range(net.QUALITY_ANCHORS)]
        self.residuals = Histogram(net.SCALE_LEVELS)
        random = np.random.default_rng(0)
        for number, image in enumerate(images):
            code = int(random.integers(0, QUALITY_CODE_MAX + 1))
            anchor = nearest_fraction(code, net.QUALITY_ANCHORS - 1)
            index, z, _, residual, _ = code_image(image, code, rounding)
            channels = np.broadcast_to(np.arange(net.HYPER), z.shape)
            self.hyper[anchor].add(channels, z)
            self.residuals.add(index, residual)
            progress((number + 1) / len(images))
        self.residuals.counts += self.residuals.counts[:, ::-1]  # signs carry nothing

    def skip_below(self):
        """The first table index, from 1 on, at which at least SELDOM of the symbols are
        not zero.

        By its own error a symbol with less than about 0.8 bits is not worth them, but
        the context and the synthesis are trained with all of them, and without them are
        off: see RUNS.md.
        """
        zeros = self.residuals.pmf(residual_prior())[:, Histogram.half]
        return max(1, int(np.argmax(1 - zeros >= SELDOM)))


def calibrate(codec, images, progress=no_progress):
    """(residual tables, hyper tables per anchor, skip_below), counted on `images`.

    A first pass with plain rounding gives the tables that the encoder's rounding goes
    by; a second one counts what it then leaves.
    """
    coder, rounding = coder_of(codec), np.full(256, 0.5, np.float32)
    plain = Counts(coder, images, rounding, lambda done: progress(done / 2))
    skip_below = plain.skip_below()
    tables = make_tables(plain.residuals.pmf(residual_prior()))
    rounding = rounding_by_table(tables, skip_below)
    final = Counts(coder, images, rounding, lambda done: progress((1 + done) / 2))
    hyper_tables = [
        make_tables(histogram.pmf(hyper_prior(codec, anchor)))
        for anchor, histogram in enumerate(final.hyper)
    ]
    return make_tables(final.residuals.pmf(residual_prior())), hyper_tables, skip_below


def anchor_vectors(codec):
    """Logarithms of the gains and the block scales at the quality anchors."""
    gain, inverse_gain, block_scale = (
        ops.convert_to_numpy(vector)[:, 0, 0]
        for vector in codec.quality_vectors(net.anchor_levels())
    )
    return {
        "log_gain": np.log(gain),
        "log_inverse_gain": np.log(inverse_gain),
        "block_scale": block_scale,
    }
