"""Models that Keras trains: networks, and a pool of pictures on the same device."""

import keras
from keras import ops

from codec.training.data import CROP_PX, crop
from codec.training.dimensions import HYPER, LATENT_PX, LATENTS, STRIDE_PX
from codec.training.objectives import rate_distortion
from codec.training.validation import validate


class PoolModel(keras.Model):
    """A `trained` network and pools of images on the device, uint8 [N, side, side, 3],
    that it is trained on for a `goal`; inputs are crop positions [batch, 6].
    """

    def __init__(self, trained, goal, pools, batch):
        super().__init__(dtype="float32")
        self.trained, self.goal, self.batch = trained, goal, batch
        self.pools = [
            self.add_weight(
                shape=pool.shape,
                dtype="uint8",
                initializer="zeros",
                trainable=False,
                name=f"pool_{i}",
            )
            for i, pool in enumerate(pools)
        ]
        for held, pool in zip(self.pools, pools, strict=True):
            held.assign(pool)
        self.random = keras.random.SeedGenerator(2)

    def crops(self, positions):
        """The same crops of every pool."""
        return [
            crop(ops.convert_to_tensor(pool), positions, self.batch)
            for pool in self.pools
        ]

    def levels(self):
        """Quality levels, one per stratum: a batch sees the whole range of rates."""
        offset = keras.random.uniform((self.batch,), seed=self.random)
        return (ops.arange(self.batch, dtype="float32") + offset) / self.batch


class TrainingModel(PoolModel):
    """The codec with its pool of images, trained to be computed in `int8` or not."""

    def __init__(self, codec, pool, batch, tune, int8=False):
        super().__init__(codec, tune, [pool], batch)
        self.codec, self.tune, self.int8 = codec, tune, int8
        self.bpp, self.mse = (
            keras.metrics.Mean(name="bpp"),
            keras.metrics.Mean(name="mse"),
        )

    def samples(self, positions):
        """(images, quality levels, noise for the latents and hyper-latents)."""
        (x,) = self.crops(positions)

        def noise(cell_px, channels):
            shape = (self.batch, CROP_PX // cell_px, CROP_PX // cell_px, channels)
            return keras.random.uniform(shape, -0.5, 0.5, seed=self.random)

        return x, self.levels(), (noise(LATENT_PX, LATENTS), noise(STRIDE_PX, HYPER))

    def call(self, positions, training=False):
        x, level, noise = self.samples(positions)
        return {"x": x, "level": level, **self.codec(x, level, noise, int8=self.int8)}

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        loss, bpp, mse = rate_distortion(self.tune, **y_pred)
        self.bpp.update_state(bpp)
        self.mse.update_state(mse)
        return loss

    def validate(self, images):
        """Rows of a table, by column; see `codec.training.validation`."""
        return validate(self.codec, images)

    def state(self):
        """What a run is of, for its checkpoints."""
        return {"goal": self.tune, "architecture": self.codec.architecture}
