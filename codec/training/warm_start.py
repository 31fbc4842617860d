"""Bundle -> networks, to train on from a shipped model.

A graph holds each convolution where the networks call it, its weights as float16. The
converter multiplied the constants beside some convolutions into their weights; here
they are divided out again.
"""

import warnings

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from keras import ops

from codec.bundle import ARRAYS
from codec.training import networks as net

LOGISTIC_SPREAD = np.pi / np.sqrt(3)  # standard deviation of a logistic of width 1


def start_from(codec, bundle):
    """Set all weights of a built `codec` from a Bundle of the same architecture."""
    for name, layers in in_order_of_use(codec).items():
        stored = list(convolutions(bundle.graph(name)))
        for layer, before, after in layers:
            # The converter may swap two layers that lie side by side.
            shapes = [kernel.shape for kernel, _ in stored]
            if layer.kernel.shape not in shapes:
                raise SystemExit(f"{bundle.folder} is of another architecture")
            kernel, bias = stored.pop(shapes.index(layer.kernel.shape))
            layer.kernel.assign(kernel / (before * after))
            layer.bias.assign(bias / after)
        if stored:
            raise SystemExit(f"{bundle.folder} is of another architecture")
    with np.load(bundle.folder / ARRAYS) as arrays:
        for i, layer in enumerate(codec.scales.convs):
            layer.kernel.assign(
                arrays[f"scales_kernel_{i}"] * 2.0**-layer.fraction_bits
            )
            layer.bias.assign(
                arrays[f"scales_bias_{i}"] * 2.0 ** -(layer.output_bits + layer.shift)
            )
    start = ops.convert_to_numpy(net.log_gain_at_start(net.anchor_levels()))[:, None]
    codec.log_gain.assign(bundle.log_gain - start)
    codec.log_inverse_gain.assign(bundle.log_inverse_gain + start)
    codec.block_scale.assign(bundle.block_scale - 1)
    mean, spread = moments(bundle.hyper_tables)
    codec.set_hyper_model(mean, spread / LOGISTIC_SPREAD)


def convolutions(path):
    """(kernel [height, width, inputs, outputs], bias) of a graph, in order of use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about memory, of graphs that are run
        graph = Interpreter(str(path), experimental_preserve_all_tensors=True)
    operations = graph._get_ops_details()  # no public way to the operators
    half = {
        op["outputs"][0]: op["inputs"][0]
        for op in operations
        if op["op_name"] == "DEQUANTIZE"
    }
    for op in operations:
        if op["op_name"] == "CONV_2D":
            kernel, bias = (graph.get_tensor(half[i]) for i in op["inputs"][1:])
            yield kernel.astype("float32").transpose(1, 2, 3, 0), bias.astype("float32")


def in_order_of_use(codec):
    """Per graph its convolutions: (layer, constant before it, constant after it)."""
    analysis, synthesis, mean = codec.analysis, codec.synthesis, codec.mean_context

    def plain(layers):
        return [(layer, 1.0, 1.0) for layer in layers]

    def residual(*blocks):
        return plain(layer for block in blocks for layer in (block.wide, block.out))

    steps = zip(mean.known, mean.mix, mean.correct, strict=True)
    return {
        "analysis": [
            *plain([analysis.first]),
            *residual(*analysis.blocks),
            (analysis.last, 1.0, net.SLOW_INNER),
            *residual(analysis.latent_block),
        ],
        "hyper_analysis": [
            *plain([codec.hyper_analysis.first]),
            (codec.hyper_analysis.last, 1.0, net.HYPER_STEP),
        ],
        "mean_context": [
            (mean.up[0], net.HYPER_INPUT, 1.0),
            *plain(mean.up[1:]),
            (mean.base, 1.0, net.SLOW_MEAN),
            *plain([mean.hyper]),
            *(
                layer
                for known, mix, correct in steps
                for layer in (*plain([known, mix]), (correct, 1.0, net.SLOW_MEAN))
            ),
        ],
        "synthesis": [
            *residual(synthesis.latent_block),
            (synthesis.first, net.SLOW_INNER, 1.0),
            *residual(*synthesis.blocks),
            *plain([synthesis.last]),
        ],
    }


def moments(stack):
    """Mean and standard deviation of every table: two float64 [stack, tables]."""

    def of_tables(tables):
        weight = tables.frequency.astype(float)
        symbol = np.arange(weight.shape[1])
        weight[symbol >= tables.length[:, None] - 1] = 0  # the escape
        weight /= weight.sum(1, keepdims=True)
        value = tables.minimum[:, None] + symbol
        mean = (weight * value).sum(1)
        spread = np.sqrt((weight * (value - mean[:, None]) ** 2).sum(1))
        return mean, spread

    return np.moveaxis([of_tables(tables) for tables in stack], 1, 0)
