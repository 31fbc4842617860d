"""Bundle -> networks, to train on from a shipped model.

A graph holds each convolution where the networks call it, its weights as float16. The
converter multiplied the constants beside some convolutions into their weights; here
they are divided out again.
"""

import re

import numpy as np
from keras import ops

from codec.training.dimensions import LATENTS
from codec.training.entropy_networks import HYPER_STEP
from codec.training.layers import plain
from codec.training.mean_context import HYPER_INPUT, SLOW_MEAN
from codec.training.quality import anchor_levels, log_gain_at_start
from codec.training.stored_weights import convolutions, factors

LOGISTIC_SPREAD = np.pi / np.sqrt(3)  # standard deviation of a logistic of width 1


def start_from(codec, bundle):
    """Set all weights of a built `codec` from a Bundle of the same architecture."""
    for _, (layer, before, after), (kernel, bias) in stored_layers(codec, bundle):
        layer.kernel.assign(kernel / (before * after))
        if layer.use_bias:
            layer.bias.assign(bias / after)
    variables = codec.synthesis.stored_factors()
    found = factors(bundle.graph("synthesis"), LATENTS)
    for variable, values in zip(variables, found, strict=True):
        variable.assign(values)
    start = ops.convert_to_numpy(log_gain_at_start(anchor_levels()))[:, None]
    codec.log_gain.assign(bundle.log_gain - start)
    codec.log_inverse_gain.assign(bundle.log_inverse_gain + start)
    codec.block_scale.assign(bundle.block_scale - 1)
    mean, spread = moments(bundle.hyper_tables)
    codec.set_hyper_model(mean, spread / LOGISTIC_SPREAD)


def stored_layers(codec, bundle):
    """(graph, (layer, constant before it, constant after it), (kernel, bias) as they
    are stored) of every convolution; SystemExit for another architecture.
    """
    for name, layers in in_order_of_use(codec).items():
        stored = list(convolutions(bundle.graph(name)))
        for place in layers:
            found = [i for i, entry in enumerate(stored) if is_of(place[0], *entry[:2])]
            if not found:
                raise SystemExit(f"{bundle.folder} is of another architecture")
            _, kernel, bias = stored.pop(found[0])
            yield name, place, (kernel, bias)
        if stored:
            raise SystemExit(f"{bundle.folder} is of another architecture")


def is_of(layer, name, kernel):
    """Whether a stored kernel may be that of a layer.

    The converter may swap layers that lie side by side, so those of one shape have
    names; it drops the names of those without a bias.
    """
    named = "_of_" in layer.name and (layer.use_bias or "/" in name)
    match = re.search(rf"\b{layer.name}(_\d+)?/", name)
    return layer.kernel.shape == kernel.shape and (match is not None or not named)


def in_order_of_use(codec):
    """Per graph its convolutions: (layer, constant before it, constant after it)."""
    mean = codec.mean_context
    return {
        "analysis": codec.analysis.stored(),
        "hyper_analysis": [
            *plain(codec.hyper_analysis.first),
            (codec.hyper_analysis.last, 1.0, HYPER_STEP),
        ],
        "scales": [
            (conv, 2.0**-conv.input_bits, 2.0**conv.output_bits)
            for conv in codec.scales.convs
        ],
        "mean_context": [
            (mean.up[0], HYPER_INPUT, 1.0),
            *plain(*mean.up[1:], mean.hyper),
            *context_layers(mean),
        ],
        "synthesis": codec.synthesis.stored(),
    }


def context_layers(mean):
    """The convolutions of the four steps of a MeanContext, as `in_order_of_use`."""
    first, *later = mean.base

    def place(layer):
        _, _, reader, _, source = layer.name.split("_")  # known_to_2_of_1
        return int(source), -int(reader)

    # The converter drops some of their names, and puts them in this order.
    known = sorted(mean.known, key=place)
    rest = [*later, *known, *mean.mix, *mean.correct]
    return [(first, 1.0, SLOW_MEAN), *plain(*rest)]


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
