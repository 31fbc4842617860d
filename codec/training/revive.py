"""Units before a ReLU that are hardly ever active, brought back to life.

A unit that is zero everywhere gets no gradient, and stays so. Its weights are drawn
anew here, and those of the layers that read it start at zero, so that the networks
compute about what they did.
"""

import numpy as np
from keras import ops

INACTIVE = 1e-3  # of all positions; a unit that is active at fewer is drawn anew
RESPONSE = 0.5  # root mean square of what a new unit gives, before the ReLU
FLOOR = 0.01  # of the mean square of all inputs; rarer inputs count as much


def read_by(codec):
    """(layer with a ReLU, layers that read its channels), all but the integer ones."""
    analysis, synthesis, mean = codec.analysis, codec.synthesis, codec.mean_context
    for network in (analysis, synthesis):
        for block in (*network.blocks, network.latent_block):
            yield block.wide, [block.out]
    yield codec.hyper_analysis.first, [codec.hyper_analysis.last]
    # Four units become one channel of as many positions, inactive if all of them are.
    # The later layer first: its new units do not read what is new below it.
    yield mean.up[1], [mean.hyper, *mean.base]
    yield mean.up[0], [mean.up[1]]
    for mix, correct in zip(mean.mix, mean.correct, strict=True):
        yield mix, [correct]


class Observed:
    """Mean square of the inputs of a layer, and the share of positions at which its
    outputs are not zero, by channel.
    """

    def __init__(self, layer):
        self.layer, self.calls, self.squares, self.active = layer, 0, 0.0, 0.0
        self.call = layer.call
        layer.call = self

    def __call__(self, x):
        y = self.call(x)
        entries, found = (ops.convert_to_numpy(v).astype(float) for v in (x, y))
        self.squares = self.squares + (entries**2).mean((0, 1, 2))
        self.active = self.active + (found > 0).mean((0, 1, 2))
        self.calls += 1
        return y

    def finish(self):
        del self.layer.call
        self.squares, self.active = (
            total / self.calls for total in (self.squares, self.active)
        )


def revive(codec, tiles):
    """Number of units revived, of those inactive on uint8 `tiles` [N, H, W, 3], each at
    a quality of its own.
    """
    random = np.random.default_rng(0)
    readers = {Observed(layer): below for layer, below in read_by(codec)}
    for tile, level in zip(tiles, np.linspace(0, 1, len(tiles)), strict=True):
        x = tile[None].astype("float32") / 255 - 0.5
        codec(x, np.array([level], "float32"))
    revived = 0
    for observed, below in readers.items():
        observed.finish()
        channels = below[0].kernel.shape[2]
        active = observed.active.reshape(-1, channels)
        channel = np.flatnonzero((active < INACTIVE).all(0))
        units = (channel + channels * np.arange(len(active))[:, None]).ravel()
        draw_anew(observed, units, random)
        for layer in below:
            kernel = ops.convert_to_numpy(layer.kernel).copy()
            kernel[:, :, channel] = 0
            layer.kernel.assign(kernel)
        revived += len(units)
    return revived


def draw_anew(observed, units, random):
    """Weights of `units` of a layer, for about the same response to every input."""
    layer = observed.layer
    kernel, bias = (ops.convert_to_numpy(w).copy() for w in (layer.kernel, layer.bias))
    shape = (*kernel.shape[:3], len(units))
    squares = np.maximum(observed.squares, FLOOR * observed.squares.mean())
    size = np.sqrt(np.prod(shape[:3]) * squares)
    kernel[..., units] = RESPONSE * random.standard_normal(shape) / size[:, None]
    bias[units] = 0
    layer.kernel.assign(kernel)
    layer.bias.assign(bias)
