"""What points to unhealthy networks: units that never fire, kernels like noise."""

import numpy as np
from keras import ops

from codec.training.layers import Residual

FIRES = 1e-3  # of all positions; a unit that is positive at fewer is dead


class Watched:
    """Notes how often each output of a layer is positive; stands in for its call."""

    def __init__(self, layer):
        self.layer, self.call, self.calls, self.positive = layer, layer.call, 0, 0.0
        layer.call = self

    def __call__(self, x):
        y = self.call(x)
        self.positive = self.positive + (ops.convert_to_numpy(y) > 0).mean((0, 1, 2))
        self.calls += 1
        return y

    def dead(self):
        """Whether each unit is; the layer is as before."""
        del self.layer.call
        return self.positive / self.calls < FIRES


def dead_units(codec, images):
    """(dead, all) units of the residual blocks, on uint8 `images` [H, W, 3], each at a
    quality of its own.
    """
    blocks = [
        block
        for network in (codec.analysis, codec.synthesis)
        for block in network._flatten_layers()
        if isinstance(block, Residual)
    ]
    watched = [Watched(block.wide) for block in blocks]
    for image, level in zip(images, np.linspace(0, 1, len(images)), strict=True):
        codec(image[None].astype("float32") / 255 - 0.5, np.full(1, level, "float32"))
    dead = np.concatenate([unit.dead() for unit in watched])
    return int(dead.sum()), len(dead)


def energy_by_tap(layer):
    """Share of the energy of a kernel in each of its taps, float64 [height, width]."""
    kernel = ops.convert_to_numpy(layer.kernel).astype(float)
    energy = (kernel**2).sum((2, 3))
    return energy / energy.sum()


def report(codec, images):
    """Print the dead units, and how much of each 3 x 3 kernel is in its center."""
    dead, count = dead_units(codec, images)
    print(f"{dead} of {count} units never fire ({dead / count:.1%})")
    for name in ("analysis", "synthesis"):
        centers = [
            f"{energy_by_tap(block.wide)[1, 1]:.0%}"
            for block in getattr(codec, name).blocks
        ]
        print(
            f"energy in the center of the 3 x 3 kernels, {name}: {', '.join(centers)}"
        )
