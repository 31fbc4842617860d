"""Training: resumable, with validation, averaged weights and a CSV log."""

import csv
import time

import keras
from keras import ops

from codec.networks.bundle import CONFIG, read_bundle
from codec.training.checkpoints import (
    averages,
    read_checkpoint,
    read_state,
    restore,
    save_checkpoint,
    set_weights,
)
from codec.training.data import CropPositions, load_pool, read_images
from codec.training.model import build_codec
from codec.training.schedule import Plateau
from codec.training.soap import Soap
from codec.training.training_model import TrainingModel
from codec.training.validation import SIDE_MIN_PX
from codec.training.warm_start import start_from

EMA_MOMENTUM = 0.999
WEIGHT_DECAY = 0.02  # times the rate of learning, a step
RISE_STEPS = 300  # at most, of the rate of learning
LOG_EVERY = 100


class Progress(keras.callbacks.Callback):
    """Log, validation and checkpoints, all counted in steps of the whole training."""

    def __init__(self, folder, first_step, steps, checkpoint_every, valid):
        super().__init__()
        self.folder, self.step, self.steps, self.first_step = (
            folder,
            first_step,
            steps,
            first_step,
        )
        self.checkpoint_every, self.valid = checkpoint_every, valid
        self.start = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        if self.step % LOG_EVERY == 0 or self.step == self.steps:
            self.log(logs)
        if self.step % self.checkpoint_every == 0 or self.step == self.steps:
            self.checkpoint()

    def log(self, logs):
        seconds = time.monotonic() - self.start
        per_step = seconds / (self.step - self.first_step)
        rate = float(ops.convert_to_numpy(self.model.optimizer.learning_rate))
        row = {
            "step": self.step,
            "seconds": round(seconds, 1),
            "learning_rate": f"{rate:.3e}",
            **{name: f"{float(value):.4f}" for name, value in logs.items()},
        }
        append_csv(self.folder / "loss.csv", row)
        eta = (self.steps - self.step) * per_step / 60
        print(
            *(f"{k} {v}" for k, v in row.items()),
            f"{1 / per_step:.2f} steps/s, {eta:.0f} min left",
            flush=True,
        )
        self.model.reset_metrics()

    def checkpoint(self):
        network, optimizer = self.model.trained, self.model.optimizer
        state = {"step": self.step, **self.model.state()}
        save_checkpoint(self.folder, network, optimizer, state)
        if not self.valid:
            return
        current = [
            ops.convert_to_numpy(variable) for variable in network.trainable_variables
        ]
        means = averages(network, optimizer)
        for variable in network.trainable_variables:
            variable.assign(means[variable.path])
        for row in self.model.validate(self.valid):
            append_csv(self.folder / "validation.csv", {"step": self.step, **row})
            found = ", ".join(f"{name} {value}" for name, value in row.items())
            print(f"validation at step {self.step}: {found}", flush=True)
        for variable, value in zip(network.trainable_variables, current, strict=True):
            variable.assign(value)


def append_csv(path, row):
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, row)
        if new:
            writer.writeheader()
        writer.writerow(row)


def train(
    data,
    folder,
    *,
    architecture,
    tune,
    precision,
    batch,
    start=None,
    int8=False,
    **options,
):
    """Train for `steps` in all, going on from the checkpoint in `folder` if there is
    one, else from the averaged weights of `start` if given, a run, a file of them or a
    bundle; with `int8`, to be computed in it; `options` are those of `fit`.
    """
    set_up(precision)
    pool, probability = load_pool(data)
    codec = build_codec(architecture)
    if start and (start / CONFIG).exists():
        start_from(codec, read_bundle(start))
    elif start:
        set_weights(codec, start)
    model_class = TrainingModel
    if keras.backend.backend() == "torch":
        from codec.training.torch_step import CompiledTrainingModel

        model_class = CompiledTrainingModel
    fit(model_class(codec, pool, batch, tune, int8), probability, folder, **options)


def kept(variables):
    """The variables that do not decay: all but the kernels of the residual blocks and
    of the means.
    """
    decaying = "/block_", "/latent_block/", "mean_context/"
    return [
        v
        for v in variables
        if v.name != "kernel" or not any(part in v.path for part in decaying)
    ]


def set_up(precision):
    keras.utils.set_random_seed(0)
    keras.mixed_precision.set_global_policy(precision)


def fit(
    model,
    probability,
    folder,
    *,
    steps,
    learning_rate,
    decay,
    checkpoint_every,
    valid=(),
):
    """Train `model.trained` on crops of its pool, tiles drawn with `probability`."""
    print(
        f"{len(probability)} tiles, backend {keras.backend.backend()}",
        flush=True,
    )
    still = kept(model.trainable_variables)
    decays = len(still) < len(model.trainable_variables)
    optimizer = Soap(
        Plateau(learning_rate, min(RISE_STEPS, steps // 10), steps, min(decay, steps)),
        # Keras on PyTorch cannot decay no variable, as there is none in some heads.
        weight_decay=WEIGHT_DECAY if decays else None,
        global_clipnorm=1.0,
        use_ema=True,
        ema_momentum=EMA_MOMENTUM,
    )
    optimizer.exclude_from_weight_decay(still)
    model.compile(optimizer=optimizer, jit_compile=keras.backend.backend() == "jax")
    state = read_state(folder)
    first_step = state.pop("step")
    if first_step and state != model.state():
        raise SystemExit(f"{folder} is a run of {state}, not {model.state()}")
    optimizer.build(model.trainable_variables)  # averages start at the weights
    if first_step:
        restore(read_checkpoint(folder), model.trained, optimizer)
        print(f"going on from step {first_step}", flush=True)
    if first_step >= steps:
        raise SystemExit(f"{folder} is trained to step {first_step} already")
    folder.mkdir(parents=True, exist_ok=True)
    positions = CropPositions(probability, model.batch, first_step, steps - first_step)
    valid = list(read_images(valid))
    if any(min(image.shape[:2]) < SIDE_MIN_PX for image in valid):
        raise SystemExit(f"an image to validate on has under {SIDE_MIN_PX} pixels")
    progress = Progress(folder, first_step, steps, checkpoint_every, valid)
    model.fit(positions, epochs=1, shuffle=False, verbose=0, callbacks=[progress])
