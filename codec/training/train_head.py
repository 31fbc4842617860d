"""Training of a head: pairs of pictures through the codec as it is."""

import numpy as np
from keras import ops

from codec.networks.bundle import read_bundle
from codec.networks.quantization import rounding_by_table
from codec.training.checkpoints import read_checkpoint, read_state
from codec.training.data import load_pool
from codec.training.degradation import GRAY_SHARE, gray
from codec.training.dimensions import STRIDE_PX
from codec.training.heads import KINDS, build_head
from codec.training.model import build_codec
from codec.training.quality import index_offset
from codec.training.train import fit, set_up
from codec.training.training_model import PoolModel
from codec.training.warm_start import start_from

VALIDATION_LEVELS = (0.25, 0.5, 0.75)


class HeadModel(PoolModel):
    """A head over the codec of a bundle, whose weights stay; pools are of what is
    wanted and of what is encoded.
    """

    def __init__(self, kind, bundle, pools, batch):
        architecture = bundle.architecture
        super().__init__(build_head(kind, architecture), kind, pools, batch)
        self.codec = build_codec(architecture)
        start_from(self.codec, bundle)
        self.trained.start(self.codec.synthesis)
        self.codec.trainable = False
        self.rounding = rounding_by_table(bundle.residual_tables, bundle.skip_below)

    def decoded(self, x, level):
        """(latents in image units, block scales) from the files of images."""
        codec = self.codec
        gain, inverse_gain, block_scales = codec.quality_vectors(level)
        y = codec.analysis(x) * gain
        z = ops.round(codec.hyper_analysis(y))
        index = codec.scales(z, index_offset(level)[:, None, None, None])
        rounding = ops.take(self.rounding, ops.cast(index, "int32"))
        *_, y_hat = codec.mean_context(y, z, gain, inverse_gain, rounding)
        return ops.stop_gradient(y_hat * inverse_gain), block_scales

    def call(self, positions, training=False):
        wanted, encoded = self.crops(positions)
        return self.trained.loss(*self.decoded(encoded, self.levels()), wanted)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        return y_pred

    def state(self):
        """What a run is of, for its checkpoints."""
        return {"goal": self.goal, "architecture": self.codec.architecture}

    def validate(self, images):
        """Rows of level and PSNR; see `ColorHead.error` for that of colors."""
        step = STRIDE_PX * self.trained.factor
        degrade, random = KINDS[self.goal].degrade, np.random.default_rng(0)
        pairs = []
        for image in images:
            height, width = (side // step * step for side in image.shape[:2])
            image = image[:height, :width]
            pair = image, degrade(image, random)
            pairs.append([ops.cast(p[None], "float32") / 255 - 0.5 for p in pair])
        for level in VALIDATION_LEVELS:
            quality = ops.convert_to_tensor([level], "float32")
            errors = [
                ops.stop_gradient(
                    self.trained.error(*self.decoded(encoded, quality), wanted)
                )
                for wanted, encoded in pairs
            ]
            psnr = np.mean(-10 * np.log10([float(error) for error in errors]))
            yield {"level": level, "psnr": f"{psnr:.3f}"}


def train_head(kind, data, folder, *, bundle, precision, batch, **options):
    """Train a head of the bundle in the folder `bundle`; the rest is as for `train`."""
    set_up(precision)
    wanted, probability = load_pool(data)
    random = np.random.default_rng(1)
    if kind != "colorize":
        for i in np.flatnonzero(random.random(len(wanted)) < GRAY_SHARE):
            wanted[i] = gray(wanted[i])
    encoded = np.stack([KINDS[kind].degrade(tile, random) for tile in wanted])
    model = HeadModel(kind, read_bundle(bundle), [wanted, encoded], batch)
    fit(model, probability, folder, **options)


def load_head(folder):
    """A head with the last weights of a run; trained to the end, they are better than
    the averages, which are slow to forget weights drawn at random.
    """
    state = read_state(folder)
    if state.get("goal") not in KINDS or "architecture" not in state:
        raise SystemExit(f"{folder} is no run of a head")
    head = build_head(state["goal"], state["architecture"])
    arrays = read_checkpoint(folder)
    for variable in head.trainable_variables:
        variable.assign(arrays[variable.path])
    return head
