"""Trained networks -> bundle: LiteRT graphs, tables, vectors and configuration.

Runs on the TensorFlow backend only.
"""

import json
from pathlib import Path

import numpy as np
import tensorflow as tf
from keras import ops

from codec import api
from codec.bundle import ARRAYS, CONFIG, REFINEMENT_GRAPH, read_bundle
from codec.container import unpack
from codec.training import networks as net
from codec.training.calibration import calibrate
from codec.training.complexity import complexities
from codec.training.data import load_pool
from codec.training.evaluate import ideal_bits
from codec.training.preview import fit_preview

FLOAT = tf.float32
EXACT_LIMIT = 2**24  # integers up to here are exact in float32
PREVIEW_TILES = 100  # that the preview is fitted to
CHECKED_TILES = 8  # encoded at the end, to compare payloads with the ideal length
PAYLOAD_TOLERANCE = 0.01


def graphs(codec, preview, tune):
    """(name, function of tensors, input signature) of every graph in the bundle; that
    for refinement only with networks trained for what it measures.
    """

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
        return tf.round(codec.hyper_analysis(latents * gain))

    def scales(hyper_latents, offset):
        return tf.cast(codec.scales(hyper_latents, offset), tf.uint8)

    def mean_context(value, hyper_latents, rounding, gain, inverse_gain, subtract):
        return codec.mean_context(
            value, hyper_latents, gain, inverse_gain, rounding, subtract
        )[1:]

    def pixels(x_hat):
        return tf.cast(
            tf.round(tf.clip_by_value((x_hat + 0.5) * 255, 0, 255)), tf.uint8
        )

    def synthesis(latents, inverse_gain, block_scale):
        return pixels(codec.synthesis(latents * inverse_gain, block_scale))

    def small(latents, inverse_gain):
        return pixels(preview(latents * inverse_gain))

    def error_gradient(latents, inverse_gain, block_scale, image):
        x = tf.cast(image, FLOAT) / 255 - 0.5
        error, gradient = codec.synthesis.error_gradient(
            latents * inverse_gain, block_scale, x
        )
        return 255.0**2 * error, 255.0**2 * gradient * inverse_gain

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
    block_scale = spec("block_scale", 1, 1, sum(net.BLOCK_SCALES))
    decoded = [grid("latents", net.LATENTS), inverse_gain, block_scale]
    yield "synthesis", synthesis, decoded
    yield "preview", small, decoded[:2]
    if tune == "psnr":
        images = spec("image", None, None, 3, dtype=tf.uint8)
        yield REFINEMENT_GRAPH, error_gradient, [*decoded, images]


def write_graphs(codec, preview, folder, tune):
    """Convert all graphs; weights are stored as float16."""
    for stale in folder.glob("*.tflite"):  # of another tune, they would count
        stale.unlink()
    owner = tf.Module()
    owner.networks = codec, preview
    for name, function, signature in graphs(codec, preview, tune):
        concrete = tf.function(function).get_concrete_function(*signature)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], owner)
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


def export(
    codec, folder: Path, *, model_id: int, data, calibration_tiles: int, tune: str
):
    """Write the bundle to `folder` and print what it holds."""
    folder.mkdir(parents=True, exist_ok=True)
    integer = integer_layers(codec)
    pool, probability = load_pool(data)
    chosen = np.random.default_rng(1).choice(
        len(pool), min(calibration_tiles, len(pool)), replace=False, p=probability
    )
    images = [pool[i] for i in chosen]
    residual_tables, hyper_tables, skip_below = calibrate(codec, images)
    preview = fit_preview(codec, images[:PREVIEW_TILES], residual_tables, skip_below)
    write_graphs(codec, preview, folder, tune)
    arrays = anchor_vectors(codec)
    named = {"residual": residual_tables} | {
        f"hyper_{i}": tables for i, tables in enumerate(hyper_tables)
    }
    for name, tables in named.items():
        arrays |= {
            f"{name}_{field}": getattr(tables, field)
            for field in ("minimum", "length", "frequency")
        }
    np.savez_compressed(folder / ARRAYS, **arrays)
    config = {
        "model_id": model_id,
        "stride_px": net.STRIDE_PX,
        "latent_px": net.LATENT_PX,
        "preview_factor": net.PREVIEW_FACTOR,
        "latent_channels": net.LATENTS,
        "hyper_channels": net.HYPER,
        "hyper_limit": net.HYPER_LIMIT,
        "index_offset_max": net.INDEX_OFFSET_MAX,
        "lmbda_min": net.LMBDA_MIN,
        "lmbda_max": net.LMBDA_MAX,
        "skip_below": skip_below,
        "hyper_table_sets": len(hyper_tables),
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n", newline="\n")
    report(folder, integer, skip_below)
    check_payloads(read_bundle(folder), images[:CHECKED_TILES])


def check_payloads(bundle, images):
    """Payloads against the ideal code length of the tables, over all qualities."""
    found = ideal = 0.0
    for image, quality in zip(images, np.linspace(1, 100, len(images)), strict=True):
        data = api.encode(image, quality=quality, bundle=bundle)
        found += 8 * sum(length for *_, length in unpack(data).spans)
        ideal += ideal_bits(data, bundle)
    excess = found / ideal - 1
    print(f"payloads are {100 * excess:+.2f} % from the ideal code length")
    if abs(excess) > PAYLOAD_TOLERANCE:
        raise SystemExit(f"payloads are over {PAYLOAD_TOLERANCE:.0%} from the ideal")


def report(folder, integer, skip_below):
    for row in complexities(read_bundle(folder)):
        print(f"{row.part:16} {row.kmac_per_pixel:6.2f} kMAC/px {row.bytes:9} bytes")
    bounds = ", ".join(str(bound) for *_, bound in integer)
    print(f"largest partial sums of the scale network: {bounds}; limit {EXACT_LIMIT}")
    print(f"residuals with a table index below {skip_below} are not coded")
