"""Trained networks -> bundle: LiteRT graphs, integer tables, per-quality vectors,
configuration.

Runs on the TensorFlow backend only; its operators build the tables (tensorflow-
compression).
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from keras import ops
from tensorflow_compression_ops import pmf_to_quantized_cdf

from codec.bundle import ARRAYS, CONFIG, nearest_fraction
from codec.container import QUALITY_CODE_MAX
from codec.entropy.tables import PRECISION_BITS, Tables
from codec.training import networks as net
from codec.training.data import load_pool
from codec.training.rate import interval_bits, residual_cdf

FLOAT = tf.float32
EXACT_LIMIT = 2**24  # integers up to here are exact in float32
STEP_WEIGHT = 6 / math.log(
    2
)  # bits per squared step: the slope of the rate of a uniform quantizer at high rate
TAIL = 2e-5  # probability left to the escape symbol on either side
LONGEST = 1023  # symbols of one table
PRIOR_COUNT = 200.0  # weight of the trained model against the counts of symbols


def graphs(codec):
    """(name, function of tensors, input signature) of every graph in the bundle."""

    def spec(name, *shape, dtype=FLOAT):
        return tf.TensorSpec((1, *shape), dtype, name=name)

    def grid(name, channels):
        return spec(name, None, None, channels)

    gain, inverse_gain = (
        spec("gain", 1, 1, net.LATENTS),
        spec("inverse_gain", 1, 1, net.LATENTS),
    )

    def analysis(image):
        return codec.analysis(tf.cast(image, FLOAT) / 255 - 0.5)

    def hyper_analysis(latents, gain):
        scaled = latents * gain
        return scaled, tf.round(codec.hyper_analysis(scaled))

    def scales(hyper_latents, offset):
        return tf.cast(codec.scales(hyper_latents, offset), tf.uint8)

    def mean_context(value, hyper_latents, rounding, gain, inverse_gain, subtract):
        return codec.mean_context(
            value, hyper_latents, gain, inverse_gain, rounding, subtract
        )[1:]

    def synthesis(latents, inverse_gain, block_scale):
        x_hat = codec.synthesis(latents * inverse_gain, block_scale)
        return tf.cast(
            tf.round(tf.clip_by_value((x_hat + 0.5) * 255, 0, 255)), tf.uint8
        )

    yield "analysis", analysis, [spec("image", None, None, 3, dtype=tf.uint8)]
    yield "hyper_analysis", hyper_analysis, [grid("latents", net.LATENTS), gain]
    yield "scales", scales, [grid("hyper_latents", net.HYPER), spec("offset", 1, 1, 1)]
    yield (
        "mean_context",
        mean_context,
        [
            grid("value", net.LATENTS),
            grid("hyper_latents", net.HYPER),
            grid("rounding", net.LATENTS),
            gain,
            inverse_gain,
            spec("subtract", 1, 1, 1),
        ],
    )
    block_scale = spec("block_scale", 1, 1, net.BLOCKS * net.CHANNELS)
    yield (
        "synthesis",
        synthesis,
        [grid("latents", net.LATENTS), inverse_gain, block_scale],
    )


def write_graphs(codec, folder):
    """Convert all graphs; weights are stored as float16, except the integers of the
    scale network.
    """
    owner = tf.Module()
    owner.codec = codec
    for name, function, signature in graphs(codec):
        concrete = tf.function(function).get_concrete_function(*signature)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], owner)
        if name != "scales":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        (folder / f"{name}.tflite").write_bytes(converter.convert())


def integer_layers(codec):
    """(kernel, bias) of the scale network as int64; raises if a partial sum could leave
    the exact range.
    """
    limit = net.HYPER_LIMIT
    layers = []
    for layer in codec.scales.convs:
        kernel, bias = (
            ops.convert_to_numpy(w).astype(np.int64) for w in layer.integer_weights()
        )
        # The largest accumulator, and the rounding constant and offset that are added
        # in its units.
        margin = np.abs(bias) + (1 + net.INDEX_OFFSET_MAX) * 2**layer.shift
        bound = int((np.abs(kernel).sum((0, 1, 2)) * limit + margin).max())
        if bound >= EXACT_LIMIT:
            raise SystemExit(
                f"scale network is not exact: a partial sum may reach {bound}, "
                f"limit {EXACT_LIMIT}"
            )
        layers.append((kernel, bias, bound))
        limit = layer.limit
    return layers


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
    """Mass of every integer in [-half, half] under a cdf that maps [2 * half + 1] to
    [tables, 2 * half + 1].
    """
    grid = np.arange(-Histogram.half, Histogram.half + 1, dtype="float32")
    return ops.convert_to_numpy(2.0 ** -interval_bits(grid, cdf)).astype(float)


def residual_prior():
    """Trained model of the residuals, by table index."""
    index = np.arange(net.SCALE_LEVELS, dtype="float32")[:, None]
    scale = net.SCALE_MIN * np.exp(
        index * math.log(net.SCALE_MAX / net.SCALE_MIN) / (net.SCALE_LEVELS - 1)
    )
    return interval_pmf(lambda value: residual_cdf(value, scale))


def hyper_prior(codec, anchor):
    """Trained model of the hyper-latents at a quality anchor, by channel."""
    level = ops.convert_to_tensor(
        np.array([anchor / (net.QUALITY_ANCHORS - 1)], "float32")
    )
    grid = np.arange(-Histogram.half, Histogram.half + 1, dtype="float32")[
        None, :, None, None
    ]
    values = np.broadcast_to(grid, (1, grid.shape[1], 1, net.HYPER))
    bits = ops.convert_to_numpy(codec.hyper_bits(values, level))[0, :, 0]
    return 2.0 ** -bits.T.astype(float)


def calibrate(codec, images: Iterator[np.ndarray]):
    """Count symbols on `images` at random qualities: (residual tables, hyper tables per
    anchor, skip_below).
    """
    hyper = [Histogram(net.HYPER) for _ in range(net.QUALITY_ANCHORS)]
    residual = Histogram(net.SCALE_LEVELS)
    # Squared error, in squared steps, of coding a symbol and of leaving it zero; and
    # how many there were.
    coding, skipping, seen = np.zeros((3, net.SCALE_LEVELS))
    random = np.random.default_rng(0)
    channels = np.arange(net.HYPER)
    for image in images:
        code = int(random.integers(0, QUALITY_CODE_MAX + 1))
        level = ops.convert_to_tensor(np.array([code / QUALITY_CODE_MAX], "float32"))
        gain, inverse_gain, _ = codec.quality_vectors(level)
        y = codec.analysis(image[None].astype("float32") / 255 - 0.5) * gain
        z = ops.round(codec.hyper_analysis(y))
        offset = float(nearest_fraction(code, net.INDEX_OFFSET_MAX))
        index = ops.convert_to_numpy(
            codec.scales(z, np.full((1, 1, 1, 1), offset, "float32"))
        ).astype(np.int64)
        difference, symbols, _ = map(
            ops.convert_to_numpy, codec.mean_context(y, z, gain, inverse_gain)
        )
        z = ops.convert_to_numpy(z)
        hyper[nearest_fraction(code, net.QUALITY_ANCHORS - 1)].add(
            np.broadcast_to(channels, z.shape), z
        )
        residual.add(index, symbols)
        for total, value in (
            (coding, (difference - symbols) ** 2),
            (skipping, difference**2),
            (seen, index >= 0),
        ):
            total += np.bincount(
                index.ravel(), value.ravel(), minlength=net.SCALE_LEVELS
            )
    residual.counts += residual.counts[:, ::-1]  # the sign carries nothing
    tables = make_tables(residual.pmf(residual_prior()))
    pmf = residual.pmf(residual_prior())
    entropy = -(pmf * np.log2(pmf)).sum(1)
    seen = np.maximum(seen, 1)
    pays = entropy + STEP_WEIGHT * coding / seen < STEP_WEIGHT * skipping / seen
    skip_below = max(1, int(np.argmax(pays)))
    hyper_tables = [
        make_tables(h.pmf(hyper_prior(codec, i))) for i, h in enumerate(hyper)
    ]
    return tables, hyper_tables, skip_below


def anchor_vectors(codec):
    """Logarithms of the gains and the block scales at the quality anchors."""
    level = ops.convert_to_tensor(
        np.linspace(0, 1, net.QUALITY_ANCHORS).astype("float32")
    )
    gain, inverse_gain, block_scale = (
        ops.convert_to_numpy(v)[:, 0, 0] for v in codec.quality_vectors(level)
    )
    return {
        "log_gain": np.log(gain),
        "log_inverse_gain": np.log(inverse_gain),
        "block_scale": block_scale,
    }


def complexity(codec):
    """Multiply-accumulates per pixel of each part, from the kernels and the resolutions
    they run at.
    """
    pixels = {
        "analysis": (
            (codec.analysis.first, *blocks(codec.analysis)),
            (codec.analysis.last,),
        ),
        "synthesis": (
            (*blocks(codec.synthesis), codec.synthesis.last),
            (codec.synthesis.first,),
        ),
    }
    macs = {
        name: weights(eighth) / 8**2 + weights(sixteenth) / 16**2
        for name, (eighth, sixteenth) in pixels.items()
    }
    hyper, scales, mean = codec.hyper_analysis, codec.scales, codec.mean_context
    macs["hyper-analysis"] = (
        weights([hyper.first]) / 32**2 + weights([hyper.last]) / 64**2
    )
    macs["scales"] = sum(
        weights([c]) / side**2
        for c, side in zip(scales.convs, (64, 32, 16), strict=True)
    )
    at_latents = [mean.base, mean.hyper, *mean.known, *mean.mix, *mean.correct]
    macs["mean and context"] = weights(at_latents) / 16**2 + sum(
        weights([c]) / side**2 for c, side in zip(mean.up, (64, 32), strict=True)
    )
    return macs


def blocks(transform):
    return [layer for block in transform.blocks for layer in (block.wide, block.out)]


def weights(layers):
    return sum(math.prod(layer.kernel.shape) for layer in layers)


def export(codec, folder: Path, *, model_id: int, data, calibration_tiles: int):
    """Write the bundle to `folder` and print what it holds."""
    folder.mkdir(parents=True, exist_ok=True)
    integer = integer_layers(codec)
    write_graphs(codec, folder)
    pool, probability = load_pool(data)
    chosen = np.random.default_rng(1).choice(
        len(pool), min(calibration_tiles, len(pool)), replace=False, p=probability
    )
    residual_tables, hyper_tables, skip_below = calibrate(
        codec, (pool[i] for i in chosen)
    )
    arrays = anchor_vectors(codec)
    named = {"residual": residual_tables} | {
        f"hyper_{i}": tables for i, tables in enumerate(hyper_tables)
    }
    for name, tables in named.items():
        arrays |= {
            f"{name}_{field}": getattr(tables, field)
            for field in ("minimum", "length", "frequency")
        }
    for i, (kernel, bias, _) in enumerate(
        integer
    ):  # for other implementations of the integer network, and tests
        arrays |= {
            f"scales_kernel_{i}": kernel.astype(np.int32),
            f"scales_bias_{i}": bias.astype(np.int32),
        }
    np.savez_compressed(folder / ARRAYS, **arrays)
    config = {
        "model_id": model_id,
        "stride_px": net.STRIDE_PX,
        "latent_px": net.LATENT_PX,
        "latent_channels": net.LATENTS,
        "hyper_channels": net.HYPER,
        "hyper_limit": net.HYPER_LIMIT,
        "index_offset_max": net.INDEX_OFFSET_MAX,
        "skip_below": skip_below,
        "hyper_table_sets": len(hyper_tables),
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n")
    report(codec, folder, integer, skip_below)


def report(codec, folder, integer, skip_below):
    macs = complexity(codec)
    shared = macs["scales"] + macs["mean and context"]
    macs["whole decode"] = shared + macs["synthesis"]
    macs["whole encode"] = shared + macs["analysis"] + macs["hyper-analysis"]
    for name, count in macs.items():
        print(f"{name:18} {count / 1000:6.2f} kMAC/px")
    bounds = ", ".join(str(bound) for *_, bound in integer)
    print(f"largest partial sums of the scale network: {bounds}; limit {EXACT_LIMIT}")
    print(f"residuals with a table index below {skip_below} are not coded")
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"bundle {folder}: {size / 1e6:.2f} MB")
