"""The architectures by name; another one is a module with its transforms, which have
all the methods of those that are here, and a line in `ARCHITECTURES`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from codec.networks.bundle import Halos
from codec.training import lapped_transforms
from codec.training.layers import Network

DEFAULT = "lapped"


@dataclass(frozen=True)
class Architecture:
    """What differs between architectures; entropy networks and means are the same.

    `latent_spread` [LATENTS] is the standard deviation of orthonormal latents in units
    of this architecture's at the start, so that equal gains mean equal steps.
    """

    analysis: type[Network]
    synthesis: type[Network]
    leak: float
    halos: Halos
    latent_spread: Callable[[], np.ndarray]


ARCHITECTURES = {
    "lapped": Architecture(
        lapped_transforms.AnalysisTransform,
        lapped_transforms.SynthesisTransform,
        lapped_transforms.LEAK,
        lapped_transforms.HALOS,
        lambda: lapped_transforms.start().lapped_spread,
    ),
}
