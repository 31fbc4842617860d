"""Heads: networks beside the synthesis that make something else of the same latents.

Each is trained on pairs of pictures, the one that was encoded and the one that should
come out, while the codec stays as it is.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from keras import ops

from codec.training.architectures import ARCHITECTURES
from codec.training.colors import chroma
from codec.training.degradation import gray, halved, noisy, worn
from codec.training.dimensions import BLOCK_SCALES, CHANNELS, LATENT_PX, LATENTS
from codec.training.layers import Network, Residual, conv

ERROR_FLOOR = 1e-5  # mean squared error, range 1, below which it hardly counts
WIDTH, COLOR_BLOCKS = 128, 5
COLOR_STEP, COLOR_REACH = (
    1 / 16,
    6,
)  # grid over either chroma, of as many steps each way
COLOR_FLOOR = 1e-6  # of the mean square of a chroma
COLOR_WEIGHT = 20.0  # how much more a color counts than gray, times its chroma
CHROMA_FACTOR = 8  # sides of the picture are as many times those of the chroma


class ImageHead(Network):
    """The synthesis, trained to come near another picture than the one encoded."""

    factor = 1

    def __init__(self, architecture):
        super().__init__()
        self.synthesis = ARCHITECTURES[architecture].synthesis()

    def build(self, latents_shape, scales_shape):
        """Layers are built when they are called: not all of the synthesis are."""

    def call(self, latents, scales):
        """Image [B, H, W, 3], `factor` times as large."""
        return self.image(self.synthesis.features(latents, scales)[0])

    def image(self, t):
        """The image from the features of the synthesis."""
        return self.synthesis.image(t)

    def loss(self, latents, scales, target):
        """Mean logarithm of the squared error, so that all pictures count alike (Chen
        et al., "Simple baselines for image restoration", ECCV 2022).
        """
        error = ops.mean(ops.square(self(latents, scales) - target), (1, 2, 3))
        return ops.mean(ops.log(error + ERROR_FLOOR))

    def start(self, synthesis):
        """Copy the weights of a SynthesisTransform."""
        self.synthesis.set_weights(synthesis.get_weights())

    def error(self, latents, scales, target):
        """Mean squared error, range 1."""
        return ops.mean(ops.square(ops.clip(self(latents, scales), -0.5, 0.5) - target))


class UpscaleHead(ImageHead):
    """Twice as large, with features at 1/4 on the way (Shi et al., "Real-time single
    image and video super-resolution using an efficient sub-pixel convolutional neural
    network", CVPR 2016).
    """

    factor = 2

    def __init__(self, architecture):
        super().__init__(architecture)
        self.last = conv(2 * CHANNELS, 3)
        self.finish = conv(192, 3)

    def image(self, t):
        t = ops.depth_to_space(ops.cast(self.last(t), "float32"), 2)
        image = ops.depth_to_space(ops.cast(self.finish(t), "float32"), 8)
        return image[:, 16:-16, 16:-16]  # without the cells beyond the picture

    def start(self, synthesis):
        """Copy the weights of its features."""
        pairs = self.synthesis.feature_weights(), synthesis.feature_weights()
        for own, other in zip(*pairs, strict=True):
            own.assign(other)


class ColorHead(Network):
    """Chroma of a gray picture: probabilities on a grid of colors at 1/8, and their
    annealed mean (Zhang et al., "Colorful image colorization", ECCV 2016).
    """

    factor = 1

    def __init__(self, architecture):
        """Of any architecture, which it does not depend on."""
        super().__init__()
        grid = np.arange(-COLOR_REACH, COLOR_REACH + 1, dtype="float32") * COLOR_STEP
        self.grid = grid
        self.colors = np.stack(np.meshgrid(grid, grid, indexing="ij"), -1).reshape(
            -1, 2
        )
        self.enter = conv(WIDTH, 1, activation="relu")
        self.down = conv(WIDTH, 3, strides=2, activation="relu")
        self.blocks = [Residual(WIDTH, WIDTH, 0.0) for _ in range(COLOR_BLOCKS)]
        self.up = conv(4 * WIDTH, 1)
        self.block = Residual(WIDTH, WIDTH, 0.0)
        self.last = conv(4 * len(self.colors), 1)

    def call(self, latents, scales):
        """Logits [B, H / 8, W / 8, colors]; `scales` are of no use here."""
        magnitude = ops.log1p(ops.abs(latents) * LATENT_PX)
        t = ops.cast(self.enter(ops.sign(latents) * magnitude), "float32")
        wide = ops.cast(self.down(t), "float32")
        for block in self.blocks:
            wide, _ = block(wide)
        t = t + ops.depth_to_space(ops.cast(self.up(wide), "float32"), 2)
        t, _ = self.block(t)
        return ops.depth_to_space(ops.cast(self.last(ops.relu(t)), "float32"), 2)

    def chroma(self, latents, scales):
        """Cb and Cr [B, H / 8, W / 8, 2], 0 for gray, range 1: their mean, times the
        share that its square has of the mean square, so unsure is gray.
        """
        weight = np.log(color_weight(np.linalg.norm(self.colors, axis=-1)))
        probability = ops.softmax(ops.subtract(self(latents, scales), weight))
        mean = ops.matmul(probability, self.colors)
        squares = ops.matmul(probability, np.sum(self.colors**2, -1, keepdims=True))
        sure = ops.sum(ops.square(mean), -1, keepdims=True) / (squares + COLOR_FLOOR)
        return sure * mean

    def loss(self, latents, scales, target):
        """Cross entropy of the nearest four colors; colorful places weigh more."""
        chroma = chroma_of(target)[..., None]
        near = ops.relu(1 - ops.abs(chroma - self.grid) / COLOR_STEP)
        wanted = near[..., 0, :, None] * near[..., 1, None, :]
        logits = self(latents, scales)
        wanted = ops.reshape(wanted, ops.shape(logits))
        bits = -ops.sum(wanted * ops.log_softmax(logits), -1)
        weight = color_weight(ops.sqrt(ops.sum(chroma[..., 0] ** 2, -1)))
        return ops.sum(weight * bits) / ops.sum(weight)

    def start(self, synthesis):
        """From scratch."""

    def error(self, latents, scales, target):
        """Mean squared error of the chroma, range 1."""
        return ops.mean(ops.square(self.chroma(latents, scales) - chroma_of(target)))


def color_weight(saturation):
    """How much a color counts in training."""
    return 1 + COLOR_WEIGHT * saturation


def chroma_of(image):
    """[B, H, W, 3] -> [B, H / 8, W / 8, 2]."""
    return ops.average_pool(chroma(image), CHROMA_FACTOR)


@dataclass(frozen=True)
class Kind:
    """A network, and what makes the picture that is encoded of the one wanted."""

    network: Callable
    degrade: Callable


KINDS = {
    "denoise": Kind(ImageHead, noisy),
    "restore": Kind(ImageHead, worn),
    "upscale": Kind(UpscaleHead, halved),
    "colorize": Kind(ColorHead, gray),
}


def build_head(kind, architecture):
    """A head of `KINDS` for the latents of an architecture, its weights drawn."""
    head = KINDS[kind].network(architecture)
    head(
        np.zeros((1, 4, 4, LATENTS), "float32"),
        np.zeros((1, 1, 1, sum(BLOCK_SCALES)), "float32"),
    )
    return head
