"""Trained networks -> bundle: LiteRT graphs, tables, vectors and configuration.

Runs on the TensorFlow backend only.
"""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import tensorflow as tf
from keras import ops
from tensorflow.lite.tools import flatbuffer_utils

from codec import api
from codec.file.container import unpack
from codec.networks.bundle import (
    ARRAYS,
    CONFIG,
    ENCODE,
    EXACT,
    FAST,
    GRADIENT,
    PULLBACK,
    bundle_digest,
    graph_file,
    read_bundle,
)
from codec.networks.distortions import OBJECTIVE_PX
from codec.options import PHOTO
from codec.training import health
from codec.training.architectures import ARCHITECTURES
from codec.training.calibration import anchor_vectors, calibrate
from codec.training.complexity import complexities, input_side
from codec.training.data import load_pool
from codec.training.dimensions import (
    BLOCK_SCALES,
    HYPER,
    LATENT_PX,
    LATENTS,
    PREVIEW_FACTOR,
    STRIDE_PX,
)
from codec.training.entropy_networks import HYPER_LIMIT
from codec.training.evaluate import ideal_bits
from codec.training.heads import ColorHead
from codec.training.int8 import ADJOINT, equalized_blocks, quantize_branches
from codec.training.objectives import DISTORTIONS
from codec.training.preview import fit_preview
from codec.training.quality import INDEX_OFFSET_MAX, LMBDA_MAX, LMBDA_MIN

FLOAT = tf.float32
BLOCK_SCALE = tf.TensorSpec((1, 1, 1, sum(BLOCK_SCALES)), FLOAT, "block_scale")
EXACT_LIMIT = 2**24  # integers up to here are exact in float32
PREVIEW_TILES = 100  # that the preview is fitted to
WATCHED_TILES = 50  # that the ranges for int8 come from
HEALTH_TILES = 12
CHECKED_TILES = 8  # encoded at the end, to compare payloads with the ideal length
PAYLOAD_TOLERANCE = 0.01


def spec(name, *shape, dtype=FLOAT):
    return tf.TensorSpec((1, *shape), dtype, name=name)


def grid(name, channels):
    return spec(name, None, None, channels)


def colors(image):
    return tf.cast(image, FLOAT) / 255 - 0.5


def samples(values):
    """uint8 from values of the range [-0.5, 0.5]."""
    return tf.cast(tf.round(tf.clip_by_value((values + 0.5) * 255, 0, 255)), tf.uint8)


def pixels(x_hat):
    return {"image": samples(x_hat)}


def refinement(codec, tune):
    """{signature: (function of tensors, input signature)} of the synthesis that the
    refinement of latents takes.
    """
    synthesis = codec.synthesis
    decoded = [grid("latents", LATENTS), spec("inverse_gain", 1, 1, LATENTS)]
    decoded += [BLOCK_SCALE]

    def to_latents(picture_gradient, inverse_gain, block_scale, activations):
        with tf.name_scope(ADJOINT):
            found = synthesis.pullback(picture_gradient, block_scale, activations)
        return 255.0 * found * inverse_gain

    def gradient(latents, inverse_gain, block_scale, image):
        """There is no rule for the clipping: errors pass it."""
        latents = latents * inverse_gain
        x_hat, activations = synthesis.with_activations(latents, block_scale)
        error = 255.0 * (tf.clip_by_value(x_hat, -0.5, 0.5) - colors(image))
        slope = to_latents(2 * error, inverse_gain, block_scale, activations)
        return {"error": tf.reduce_sum(tf.square(error)), "gradient": slope}

    def pullback(latents, inverse_gain, block_scale, gradient):
        latents = latents * inverse_gain
        _, activations = synthesis.with_activations(latents, block_scale)
        found = to_latents(gradient, inverse_gain, block_scale, activations)
        return {"gradient": found}

    if tune == "psnr":
        image = spec("image", None, None, 3, dtype=tf.uint8)
        return {GRADIENT: (gradient, [*decoded, image])}
    return {PULLBACK: (pullback, [*decoded, spec("gradient", None, None, 3)])}


def graphs(codec, preview, fast_blocks, tune):
    """(name, {signature: (function of tensors, input signature)}) of every graph in the
    bundle; `fast_blocks` are equalized, by graph.
    """

    gain, inverse_gain = (
        spec("gain", 1, 1, LATENTS),
        spec("inverse_gain", 1, 1, LATENTS),
    )
    image = spec("image", None, None, 3, dtype=tf.uint8)
    decoded = [grid("latents", LATENTS), inverse_gain, BLOCK_SCALE]

    def analysis(blocks):
        def run(image):
            return {"latents": codec.analysis(colors(image), blocks=blocks)}

        return run, [image]

    def synthesis(blocks):
        def run(latents, inverse_gain, block_scale):
            latents = latents * inverse_gain
            return pixels(codec.synthesis(latents, block_scale, blocks=blocks))

        return run, decoded

    def hyper_analysis(latents, gain):
        return {"hyper_latents": tf.round(codec.hyper_analysis(latents * gain))}

    def scales(hyper_latents, offset):
        return {"index": tf.cast(codec.scales(hyper_latents, offset), tf.uint8)}

    def encoding(latents, hyper_latents, rounding, gain, inverse_gain):
        _, residuals, decoded = codec.mean_context(
            latents, hyper_latents, gain, inverse_gain, rounding
        )
        return {"residuals": residuals, "decoded": decoded}

    def decoding(residuals, hyper_latents, gain, inverse_gain):
        *_, decoded = codec.mean_context(residuals, hyper_latents, gain, inverse_gain)
        return {"latents": decoded}

    def small(latents, inverse_gain):
        return pixels(preview(latents * inverse_gain))

    yield "analysis", {EXACT: analysis(None), FAST: analysis(fast_blocks["analysis"])}
    yield (
        "hyper_analysis",
        {EXACT: (hyper_analysis, [grid("latents", LATENTS), gain])},
    )
    yield (
        "scales",
        {EXACT: (scales, [grid("hyper_latents", HYPER), spec("offset", 1, 1, 1)])},
    )
    context = [grid("hyper_latents", HYPER), gain, inverse_gain]
    latents, residuals, rounding = (
        grid(name, LATENTS) for name in ("latents", "residuals", "rounding")
    )
    yield (
        "mean_context",
        {
            ENCODE: (encoding, [latents, context[0], rounding, *context[1:]]),
            EXACT: (decoding, [residuals, *context]),
        },
    )
    yield (
        "synthesis",
        {
            EXACT: synthesis(None),
            FAST: synthesis(fast_blocks["synthesis"]),
            **refinement(codec, tune),
        },
    )
    yield "preview", {EXACT: (small, decoded[:2])}


def convert(signatures, blocks, variables):
    """A LiteRT model with weights as float16, those of the `blocks` of `FAST` in int8.

    Without int8 the converter halves the weights, biases too; with int8 it cannot.
    Without weights, constants keep their precision.
    """
    module = tf.Module()
    module.variables_used = [variable.value for variable in variables]
    functions = {
        key: tf.function(function).get_concrete_function(*inputs)
        for key, (function, inputs) in signatures.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=functions)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=list(functions)
        )
        if FAST not in signatures and variables:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        model = with_valid_sides(converter.convert())
    if FAST not in signatures:
        return model
    zeros = {}
    for spec in signatures[FAST][1]:
        shape = [side or STRIDE_PX for side in spec.shape]
        zeros[spec.name] = np.zeros(shape, spec.dtype.as_numpy_dtype)
    return quantize_branches(model, blocks, FAST, zeros)


def with_valid_sides(model):
    """Inputs of any height and width get those of one cell, so that all signatures can
    be allocated before their inputs are known.
    """
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(model))
    for graph in model.subgraphs:
        for tensor in (graph.tensors[i] for i in graph.inputs):
            if tensor.shapeSignature is not None:
                name = tensor.name.decode()
                side = input_side(name, STRIDE_PX, STRIDE_PX, LATENT_PX)
                tensor.shape = [
                    side if free == -1 else size
                    for size, free in zip(
                        tensor.shape, tensor.shapeSignature, strict=True
                    )
                ]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def write_graphs(codec, preview, fast_blocks, folder, tune):
    for stale in folder.glob("*.tflite"):
        stale.unlink()
    variables = [*codec.variables, *preview.variables]
    blocks = dict(zip(("analysis", "synthesis"), fast_blocks, strict=True))
    for name, signatures in graphs(codec, preview, blocks, tune):
        model = convert(signatures, blocks.get(name), variables)
        graph_file(folder, name).write_bytes(model)


def integer_layers(codec):
    """(kernel, bias) of the scale network as int64; raises if a partial sum could leave
    the exact range.
    """
    limit = HYPER_LIMIT
    layers = []
    for layer in codec.scales.convs:
        kernel, bias = (
            ops.convert_to_numpy(w).astype(np.int64) for w in layer.integer_weights()
        )
        # The largest accumulator, and the rounding constant and offset that are added
        # in its units.
        margin = np.abs(bias) + (1 + INDEX_OFFSET_MAX) * 2**layer.shift
        bound = int((np.abs(kernel).sum((0, 1, 2)) * limit + margin).max())
        if bound >= EXACT_LIMIT:
            raise SystemExit(
                f"scale network is not exact: a partial sum may reach {bound}, "
                f"limit {EXACT_LIMIT}"
            )
        layers.append((kernel, bias, bound))
        limit = layer.limit
    return layers


def export_head(head, file: Path):
    """Write the graph of a head, from latents in image units."""

    def image(latents, block_scale):
        return pixels(head(latents, block_scale))

    def chroma(latents, block_scale):
        found = head.chroma(latents, block_scale)
        return {"chroma": tf.cast(tf.round(255 * found + 128), tf.uint8)}

    run = chroma if isinstance(head, ColorHead) else image
    signature = run, [grid("latents", LATENTS), BLOCK_SCALE]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(convert({EXACT: signature}, None, head.variables))


def export_objective(tune: str, file: Path):
    """Write the graph of what models of a tune are trained for, with the gradient, for
    all of them.
    """

    def objective(image, decoded):
        x, x_hat = colors(image), colors(decoded)
        with tf.GradientTape() as tape:
            tape.watch(x_hat)
            (error,) = tf.unstack(DISTORTIONS[tune](x, x_hat))
        return {"error": error, "gradient": tape.gradient(error, x_hat) / 255}

    sides = OBJECTIVE_PX, OBJECTIVE_PX
    pair = [spec(name, *sides, 3, dtype=tf.uint8) for name in ("image", "decoded")]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(convert({EXACT: (objective, pair)}, None, []))


def export(
    codec,
    folder: Path,
    *,
    model_id: int,
    data,
    calibration_tiles: int,
    tune: str,
    precision: str,
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
    coder = residual_tables, skip_below
    preview = fit_preview(codec, images[:PREVIEW_TILES], *coder)
    fast_blocks = equalized_blocks(codec, images[:WATCHED_TILES], *coder)
    health.report(codec, images[:HEALTH_TILES])
    write_graphs(codec, preview, fast_blocks, folder, tune)
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
        "stride_px": STRIDE_PX,
        "latent_px": LATENT_PX,
        "preview_factor": PREVIEW_FACTOR,
        "latent_channels": LATENTS,
        "hyper_channels": HYPER,
        "hyper_limit": HYPER_LIMIT,
        "index_offset_max": INDEX_OFFSET_MAX,
        "lmbda_min": LMBDA_MIN,
        "lmbda_max": LMBDA_MAX,
        "skip_below": skip_below,
        "tune": tune,
        "precision": precision,
        "architecture": codec.architecture,
        "halos": asdict(ARCHITECTURES[codec.architecture].halos),
        "hyper_table_sets": len(hyper_tables),
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n", newline="\n")
    report(folder, integer, skip_below)
    check_payloads(read_bundle(folder), images[:CHECKED_TILES])


def check_payloads(bundle, images):
    """Payloads against the ideal code length of the tables, over all qualities."""
    found = ideal = 0.0
    for image, quality in zip(images, np.linspace(1, 100, len(images)), strict=True):
        data = api.encode(image, quality=quality, content=PHOTO, bundle=bundle)
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
    print(f"SHA-256 of the bundle: {bundle_digest(folder).hex()}")
