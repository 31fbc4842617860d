"""The means of the latents, in four steps over positions and groups of channels."""

import numpy as np
from keras import ops

from codec.training.dimensions import CONTEXT_STEPS, HYPER, LATENTS
from codec.training.layers import Network, activate, conv
from codec.training.rate import round_magnitude

CONTEXT = 64  # features of the hyper-latents, and of known latents, for the mean
MIXED = 96  # features of both together
POSITIONS = 4  # of a 2 x 2 cell, in raster order
DIAGONAL_RANK = (0, 2, 3, 1)  # of the positions
HYPER_INPUT = 1 / 16  # factor on hyper-latents
SLOW_MEAN = 0.5  # factor on layers, for a slower start
# Functions of the transform coder by latent channel; every group starts with all
# frequencies.
LATENT_ORDER = np.arange(LATENTS).reshape(-1, CONTEXT_STEPS).T.ravel()


def grouped(filters, **options):
    """A 1 x 1 convolution with weights of its own at every position of a 2 x 2 cell,
    whose channels lie one position after the other.
    """
    return conv(filters, 1, groups=POSITIONS, **options)


def step_of(group, position):
    """The step that codes a group of channels at a position.

    The first ones of a group lie on a diagonal; every group starts elsewhere, so that
    each step codes a quarter of the channels at each position.
    """
    return (group + DIAGONAL_RANK[position]) % CONTEXT_STEPS


def group_of(step, position):
    """The group of channels that a step codes at a position."""
    return (step - DIAGONAL_RANK[position]) % CONTEXT_STEPS


def split_steps(x):
    """[B, H, W, LATENTS] -> per step what it codes, [B, H/2, W/2, LATENTS]."""
    parts = ops.split(ops.space_to_depth(x, 2), POSITIONS * CONTEXT_STEPS, axis=-1)
    return [
        ops.concatenate(
            [parts[p * CONTEXT_STEPS + group_of(step, p)] for p in range(POSITIONS)], -1
        )
        for step in range(CONTEXT_STEPS)
    ]


def split_vector(vector):
    """[B, 1, 1, LATENTS], the same at every position, as `split_steps`."""
    groups = ops.split(vector, CONTEXT_STEPS, axis=-1)
    return [
        ops.concatenate([groups[group_of(step, p)] for p in range(POSITIONS)], -1)
        for step in range(CONTEXT_STEPS)
    ]


def join_steps(steps):
    """The inverse of `split_steps`."""
    parts = [ops.split(step, POSITIONS, axis=-1) for step in steps]
    joined = [
        parts[step_of(group, p)][p]
        for p in range(POSITIONS)
        for group in range(CONTEXT_STEPS)
    ]
    return ops.depth_to_space(ops.concatenate(joined, -1), 2)


class MeanContext(Network):
    """The mean of each latent, from the hyper-latents and the latents of earlier steps.

    Four steps over 2 x 2 positions and channel groups (after Li et al., "Neural video
    compression with diverse contexts", CVPR 2023). Prediction happens in image units,
    where it hardly depends on quality.
    """

    def __init__(self, leak, **options):
        super().__init__(**options)
        self.leak = leak
        zero = {"kernel_initializer": "zeros", "dtype": "float32"}
        steps = range(CONTEXT_STEPS)
        self.up = [conv(4 * HYPER, 3, name=f"up_{i}") for i in range(2)]
        self.hyper = conv(CONTEXT, 1, name="hyper")
        # Named, since a graph may hold them in any order.
        self.base = [grouped(LATENTS, name=f"base_of_{n}", **zero) for n in steps]
        # Of every earlier step for every later one, in order of use.
        self.known = [
            grouped(
                POSITIONS * CONTEXT,
                name=f"known_to_{n}_of_{earlier}",
                use_bias=earlier == 0,  # they are summed
            )
            for n in steps
            for earlier in range(n)
        ]
        self.mix = [conv(MIXED, 3, name=f"mix_of_{n}") for n in steps[1:]]
        self.correct = [
            grouped(LATENTS, name=f"correct_of_{n}", **zero) for n in steps[1:]
        ]

    def call(self, value, z_hat, gain, inverse_gain, rounding=None):
        """(difference, residual, y_hat), all [B, h, w, LATENTS].

        Encoding, with a `rounding` [B, h, w, LATENTS]: `value` is y, the difference is
        y - mean, and the residual is that rounded, its magnitude up if the fraction is
        at least 1 - `rounding`; where it is very negative, nothing is coded. Decoding,
        without: `value` is the residual, and the difference, too.
        """
        t = z_hat * HYPER_INPUT
        for layer in self.up:
            t = ops.depth_to_space(activate(layer(t), self.leak), 2)
        hyper, cells = self.hyper(t), ops.space_to_depth(t, 2)
        values, gains, inverse_gains = (
            split_steps(value),
            split_vector(gain),
            split_vector(inverse_gain),
        )
        roundings = None if rounding is None else split_steps(rounding)
        differences, residuals, decoded, known = [], [], [], iter(self.known)
        for step in range(CONTEXT_STEPS):
            mean = self.base[step](cells)
            if step:
                features = sum(
                    next(known)(y * scale)
                    for y, scale in zip(decoded, inverse_gains, strict=False)
                )
                context = [hyper, ops.depth_to_space(features, 2)]
                mixed = self.mix[step - 1](ops.concatenate(context, axis=-1))
                mixed = activate(mixed, self.leak)
                mean = mean + self.correct[step - 1](ops.space_to_depth(mixed, 2))
            mean = mean * SLOW_MEAN * gains[step]
            difference = residual = values[step]
            if roundings:
                difference = difference - mean
                residual = round_magnitude(difference, roundings[step])
            differences.append(difference)
            residuals.append(residual)
            decoded.append(residual + mean)
        return tuple(map(join_steps, (differences, residuals, decoded)))
