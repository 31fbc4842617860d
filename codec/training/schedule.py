"""The rate of learning over a run."""

import keras
import numpy as np
from keras import ops


class Plateau(keras.optimizers.schedules.LearningRateSchedule):
    """A linear rise, the peak, and over the last `decay` of the steps a cosine to zero:
    a run may be made longer before it falls. Without branches, which no step that is
    traced could hold.
    """

    def __init__(self, peak, rise, steps, decay):
        self.peak, self.rise, self.steps, self.decay = peak, rise, steps, decay

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rise = ops.minimum((step + 1) / (self.rise + 1), 1.0)
        done = ops.clip((step - self.steps + self.decay) / self.decay, 0, 1)
        return self.peak * rise * 0.5 * (1 + ops.cos(np.pi * done))
