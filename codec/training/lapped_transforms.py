"""Analysis and synthesis that start as a lapped transform coder.

Blocks overlap by half a block on every side, on the way in and on the way back, and the
features are coefficients of one variance. Beyond its borders a picture is mirrored, by
half a latent cell: its pixels for the analysis; for the synthesis its latents, times a
factor by channel, at first -1 for odd functions and 1 for even ones.
"""

import itertools
from functools import cache

import numpy as np
from keras import ops

from codec.networks.bundle import Halos
from codec.training.dimensions import (
    BLOCKS,
    CHANNELS,
    LATENT_WIDTH,
    LATENTS,
)
from codec.training.layers import (
    Network,
    Residual,
    adjoint,
    conv,
    of_blocks,
    plain,
    split_scales,
)
from codec.training.mean_context import LATENT_ORDER
from codec.training.transform_coder import Kernel, lapped_coder

ANALYSIS_BLOCKS = 3  # residual blocks at 1/8; six do hardly more, see RUNS.md
LEAK = 0.1  # of the activations, see `activate`
BORDER_PX = 8  # that a picture is extended by on every side
# Factors on a layer whose weights are as much larger: Adam moves every weight by about
# its learning rate, so these layers, near their best from the start, learn slower. At
# 0.1 the last layer would move pixels by about half a gray level a step, by estimate.
SLOW_PIXELS = 0.01
SLOW_LATENTS = 0.03
# Analysis: a latent sees 16 pixels by the latent block, 8 by the overlap, and 8 by each
# of three blocks, 48. Synthesis: a pixel sees the 8 x 8 block beside it, by its blocks
# the one that begins 32 pixels away, from which two latents and by the latent block
# another one is seen, 64. Hyper-analysis: 3 x 3 with stride 2 at 1/16 and 1/32, 48.
# Mean: 3 x 3 at 1/64, at 1/32, and three times at 1/16, 144.
HALOS = Halos(analysis=1, hyper_analysis=1, mean=3, synthesis=1)


@cache
def start():
    """The transform coder to start from."""
    return lapped_coder(CHANNELS, LATENTS, LATENT_ORDER)


def linear(filters, size, kernel, slow, **options):
    """A convolution that starts as `kernel` on inputs that are multiplied by `slow`."""
    initializer = Kernel(kernel / slow)
    return conv(filters, size, kernel_initializer=initializer, **options)


def residual(channels, width, **options):
    return Residual(channels, width, LEAK, **options)


def mirrored(x, border):
    """x [B, H, W, C] extended by `border` rows and columns on every side."""
    x = ops.concatenate([ops.flip(x[:, :border], 1), x, ops.flip(x[:, -border:], 1)], 1)
    left, right = x[:, :, :border], x[:, :, -border:]
    return ops.concatenate([ops.flip(left, 2), x, ops.flip(right, 2)], 2)


def blocks_at_8(count):
    """Residual blocks on the features at 1/8."""
    return [residual(CHANNELS, CHANNELS, name=f"block_{i}") for i in range(count)]


class AnalysisTransform(Network):
    """Image [B, H, W, 3] -> latents before the gain [B, H/16, W/16, LATENTS]."""

    def __init__(self, **options):
        super().__init__(**options)
        coder = start()
        self.first = linear(CHANNELS, 1, coder.blocks.T, SLOW_PIXELS, name="first")
        self.blocks = blocks_at_8(ANALYSIS_BLOCKS)
        lapped = coder.lapped.transpose(1, 2, 3, 0)
        self.last = linear(
            LATENTS, 4, lapped, SLOW_LATENTS, strides=2, padding="valid", name="last"
        )
        self.latent_block = residual(LATENTS, LATENT_WIDTH, name="latent_block")

    def call(self, x, blocks=None):
        """`blocks` may stand in for its own."""
        x = ops.space_to_depth(mirrored(x, BORDER_PX) * SLOW_PIXELS, 8)
        t = ops.cast(self.first(x), "float32")
        for block in blocks or self.blocks:
            t, _ = block(t)
        y = ops.cast(self.last(t * SLOW_LATENTS), "float32")
        return self.latent_block(y)[0]

    def stored(self):
        """Convolutions in order of use: (layer, constant before it, constant after it)
        that its graph has in the weights.
        """
        last = self.last, SLOW_LATENTS, 1.0
        blocks = of_blocks(*self.blocks), of_blocks(self.latent_block)
        return [*plain(self.first), *blocks[0], last, *blocks[1]]


def synthesis_kernels():
    """(up, last) of the synthesis at the start: from 2 x 2 latents the 2 x 2 blocks of
    8 x 8 pixels between their centers, and from 2 x 2 of those the 8 x 8 pixels
    likewise.
    """
    blocks, lapped = start().inverse()
    blocks = blocks.reshape(CHANNELS, 8, 8, 3)
    up = np.empty((2, 2, LATENTS, 2, 2, CHANNELS))
    last = np.zeros((2, 2, CHANNELS, 8, 8, 3))
    for i, j in itertools.product(range(2), range(2)):
        # What lies above reaches into the upper half with its own lower half.
        up[i, j] = lapped[:, 2 - 2 * i : 4 - 2 * i, 2 - 2 * j : 4 - 2 * j]
        last[i, j, :, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4] = blocks[
            :, 4 - 4 * i : 8 - 4 * i, 4 - 4 * j : 8 - 4 * j
        ]
    shape = 2, 2, LATENTS, 4 * CHANNELS
    return up.reshape(shape), last.reshape(2, 2, CHANNELS, 192)


class SynthesisTransform(Network):
    """Latents after the inverse gain [B, h, w, LATENTS] -> image [B, 16 h, 16 w, 3].

    `scales` [B, 1, 1, sum(BLOCK_SCALES)] weigh the blocks according to quality.
    """

    def __init__(self, **options):
        super().__init__(**options)
        up, last = synthesis_kernels()
        self.latent_block = residual(LATENTS, LATENT_WIDTH, name="latent_block")
        self.up = linear(4 * CHANNELS, 2, up, SLOW_LATENTS, padding="valid", name="up")
        self.blocks = blocks_at_8(BLOCKS)
        self.last = linear(192, 2, last, SLOW_PIXELS, padding="valid", name="last")
        vertical, horizontal = start().parity
        self.mirror_down = self.sign("mirror_down", vertical)
        self.mirror_across = self.sign("mirror_across", horizontal)

    def sign(self, name, parity):
        """Factors on latents that are mirrored at a border."""
        return self.add_weight(shape=(LATENTS,), initializer=Kernel(parity), name=name)

    def extended(self, y_hat):
        """With a ring of mirrored latents."""
        down, across = self.mirror_down, self.mirror_across
        t = ops.concatenate([y_hat[:, :1] * down, y_hat, y_hat[:, -1:] * down], 1)
        return ops.concatenate([t[:, :, :1] * across, t, t[:, :, -1:] * across], 2)

    def call(self, y_hat, scales, blocks=None):
        """`blocks` may stand in for its own."""
        return self.with_activations(y_hat, scales, blocks)[0]

    def with_activations(self, y_hat, scales, blocks=None):
        """(image, activations inside each block)."""
        t, activations = self.features(y_hat, scales, blocks)
        return self.image(t), activations

    def features(self, y_hat, scales, blocks=None):
        """(features at 1/8 up to a cell beyond the borders, activations inside)."""
        latent_scale, *block_scales = split_scales(scales)
        t, activation = self.latent_block(self.extended(y_hat), latent_scale)
        activations = [activation]
        t = ops.cast(self.up(t * SLOW_LATENTS), "float32")
        t = ops.depth_to_space(t, 2)
        for block, scale in zip(blocks or self.blocks, block_scales, strict=True):
            t, activation = block(t, scale)
            activations.append(activation)
        return t, activations

    def image(self, t):
        """The image from the features."""
        x_hat = ops.cast(self.last(t * SLOW_PIXELS), "float32")
        # Cells of 8 x 8 pixels that lie half beyond the border.
        return ops.depth_to_space(x_hat, 8)[:, 4:-4, 4:-4]

    def stored(self):
        """As `AnalysisTransform.stored`."""
        blocks = of_blocks(self.latent_block), of_blocks(*self.blocks)
        up, last = (self.up, SLOW_LATENTS, 1.0), (self.last, SLOW_PIXELS, 1.0)
        return [*blocks[0], up, *blocks[1], last]

    def stored_factors(self):
        """Variables that its graph multiplies by, in order of use."""
        return [self.mirror_down, self.mirror_across]

    def feature_weights(self):
        """Those that `features` takes."""
        layers = self.latent_block, self.up, *self.blocks
        weights = [variable for layer in layers for variable in layer.variables]
        return [self.mirror_down, self.mirror_across, *weights]

    def pullback(self, gradient, scales, activations):
        """Gradient with respect to the latents, given that of the image [B, H, W, 3]
        and what was inside: the adjoint of `call`, in layers that LiteRT has, for any
        height and width.
        """
        (latent, *inside) = zip(split_scales(scales), activations, strict=True)
        g = ops.space_to_depth(ops.pad(gradient, ((0, 0), (4, 4), (4, 4), (0, 0))), 8)
        g = adjoint(self.last, g) * SLOW_PIXELS
        for block, (scale, wide) in reversed(
            list(zip(self.blocks, inside, strict=True))
        ):
            g = block.pullback(g, scale, wide)
        g = adjoint(self.up, ops.space_to_depth(g, 2)) * SLOW_LATENTS
        return self.without_ring(self.latent_block.pullback(g, *latent))

    def without_ring(self, g):
        """The adjoint of `extended`, for at least two latents a side."""
        down, across = self.mirror_down, self.mirror_across
        first = g[:, :, 1:2] + g[:, :, :1] * across
        last = g[:, :, -2:-1] + g[:, :, -1:] * across
        g = ops.concatenate([first, g[:, :, 2:-2], last], 2)
        first, last = g[:, 1:2] + g[:, :1] * down, g[:, -2:-1] + g[:, -1:] * down
        return ops.concatenate([first, g[:, 2:-2], last], 1)
