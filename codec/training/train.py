"""Training: resumable, with validation, averaged weights and a CSV log."""

import csv
import json
import shutil
import time

import keras
import numpy as np
from keras import ops

from codec.networks.bundle import read_bundle
from codec.networks.shipped import TUNE_DEFAULT
from codec.training.data import CROP_PX, CropPositions, crop, load_pool, read_images
from codec.training.networks import (
    HYPER,
    LATENT_PX,
    LATENTS,
    STRIDE_PX,
    Codec,
    lmbda_of_level,
)
from codec.training.revive import revive
from codec.training.similarity import ms_ssim
from codec.training.soap import Soap
from codec.training.warm_start import start_from

PART_BYTES = 15 * 2**20  # parts of a checkpoint stay under common upload limits
EMA_MOMENTUM = 0.999
LOG_EVERY = 100
REVIVED_ON = 30  # tiles, at most
VALID_SIDE_MIN_PX = 3 * STRIDE_PX  # or MS-SSIM has no room
VALIDATION_LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)

SSIM_SHARE = 0.9  # of the distortion tuned for the eye; the rest keeps colors true
SSIM_SCALE = 1250.0  # squared gray levels that 1 - MS-SSIM counts as


class PoolModel(keras.Model):
    """A `trained` network and pools of images on the device, uint8 [N, side, side, 3],
    that it is trained on for a `goal`; inputs are crop positions [batch, 4].
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
    """The codec with its pool of images."""

    def __init__(self, codec, pool, batch, tune=TUNE_DEFAULT):
        super().__init__(codec, tune, [pool], batch)
        self.codec, self.tune = codec, tune
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
        return {"x": x, "level": level, **self.codec(x, level, noise)}

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        loss, bpp, mse = rate_distortion(self.tune, **y_pred)
        self.bpp.update_state(bpp)
        self.mse.update_state(mse)
        return loss

    def validate(self, images):
        """Rows of a table, by column; see `validate`."""
        for level, bpp, psnr, similarity in validate(self.codec, images):
            yield {
                "level": level,
                "bpp": f"{bpp:.4f}",
                "psnr": f"{psnr:.3f}",
                "ms_ssim_db": f"{similarity:.3f}",
            }


def rate_distortion(tune, x, level, latent_bits, hyper_bits, x_hat):
    """(loss, mean bpp, mean squared error in gray levels) of a batch.

    The loss is the mean of (R + lmbda * D) * sqrt(0.01 / lmbda): all rates count alike.
    D is 255^2 * MSE, and mostly MS-SSIM if tuned for the eye.
    """
    bpp = (latent_bits + hyper_bits) / (x.shape[1] * x.shape[2])
    mse = ops.mean(ops.square(x_hat - x), (1, 2, 3)) * 255.0**2
    distortion = mse
    if tune == "visual":
        dissimilarity = SSIM_SCALE * (1 - ms_ssim(x + 0.5, x_hat + 0.5))
        distortion = SSIM_SHARE * dissimilarity + (1 - SSIM_SHARE) * mse
    lmbda = lmbda_of_level(level)
    loss = ops.mean((bpp + lmbda * distortion) * ops.sqrt(0.01 / lmbda))
    return loss, ops.mean(bpp), ops.mean(mse)


class Cosine(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, then a cosine to zero; without branches, which no step that is
    traced could hold.
    """

    def __init__(self, peak, warmup, steps):
        self.peak, self.warmup, self.steps = peak, warmup, steps

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rise = ops.minimum((step + 1) / (self.warmup + 1), 1.0)
        progress = ops.clip((step - self.warmup) / (self.steps - self.warmup), 0, 1)
        return self.peak * rise * 0.5 * (1 + ops.cos(np.pi * progress))


def averages(network, optimizer):
    """The optimizer's moving averages by the path of the variable they follow."""
    means = optimizer._model_variables_moving_average
    pairs = zip(network.trainable_variables, means, strict=True)
    return {variable.path: average for variable, average in pairs}


def checkpoint_variables(network, optimizer):
    """All that a resumed run needs, by name."""
    named = {variable.path: variable for variable in network.variables}
    named |= {
        f"average/{path}": average
        for path, average in averages(network, optimizer).items()
    }
    known = {id(variable) for variable in named.values()}
    rest = [variable for variable in optimizer.variables if id(variable) not in known]
    return named | {f"optimizer/{i}": variable for i, variable in enumerate(rest)}


def save_checkpoint(folder, network, optimizer, step, goal):
    """Write all variables as `step-N/part-M.npz`, each of at most PART_BYTES.

    `state.json` names the folder and is replaced last, so that a run always has one
    whole checkpoint; older ones are then removed.
    """
    parts, size = [{}], 0
    for name, variable in checkpoint_variables(network, optimizer).items():
        value = ops.convert_to_numpy(variable)
        if size + value.nbytes > PART_BYTES:
            parts.append({})
            size = 0
        parts[-1][name] = value
        size += value.nbytes
    target = folder / f"step-{step}"
    target.mkdir(parents=True, exist_ok=True)
    for i, part in enumerate(parts):
        np.savez(target / f"part-{i}.npz", **part)
    state = folder / "state.json.new"
    state.write_text(json.dumps({"step": step, "goal": goal}))
    state.replace(folder / "state.json")
    for old in folder.glob("step-*"):
        if old != target:
            shutil.rmtree(old)


def read_state(folder):
    """(steps of the checkpoint in `folder`, or 0, what it is trained for)."""
    state = folder / "state.json"
    found = json.loads(state.read_text()) if state.exists() else {}
    return found.get("step", 0), found.get("goal", found.get("tune"))


def read_checkpoint(folder):
    """All arrays of the last checkpoint by name."""
    arrays = {}
    for part in (folder / f"step-{read_state(folder)[0]}").glob("part-*.npz"):
        with np.load(part) as data:
            arrays |= dict(data)
    return arrays


def restore(arrays, network, optimizer):
    for name, variable in checkpoint_variables(network, optimizer).items():
        variable.assign(arrays[name])


def load_codec(folder):
    """A built codec with the averaged weights of a checkpoint folder."""
    codec = build_codec()
    arrays = read_checkpoint(folder)
    for variable in codec.trainable_variables:
        variable.assign(arrays[f"average/{variable.path}"])
    return codec


def build_codec():
    codec = Codec()
    codec(
        np.zeros((1, 2 * STRIDE_PX, 2 * STRIDE_PX, 3), "float32"),
        np.zeros(1, "float32"),
    )
    return codec


def validate(codec, images):
    """Estimated mean (level, bpp, PSNR, MS-SSIM), both in dB, per validation level,
    with rounding, no noise.

    `images` are uint8 [H, W, 3], at least VALID_SIDE_MIN_PX on either side.
    """
    rows = []
    for level in VALIDATION_LEVELS:
        bpp, psnr, similarity = [], [], []
        for image in images:
            height, width = (size // STRIDE_PX * STRIDE_PX for size in image.shape[:2])
            x = image[None, :height, :width].astype("float32") / 255 - 0.5
            result = codec(x, np.array([level], "float32"))
            bits = result["latent_bits"] + result["hyper_bits"]
            bpp.append(float(bits[0]) / (height * width))
            x_hat = np.clip(ops.convert_to_numpy(result["x_hat"]), -0.5, 0.5)
            psnr.append(-10 * np.log10(np.mean((x_hat - x) ** 2)))
            alike = float(
                ms_ssim(*map(ops.convert_to_tensor, (x + 0.5, x_hat + 0.5)))[0]
            )
            similarity.append(-10 * np.log10(1 - alike))
        rows.append((level, *(float(np.mean(v)) for v in (bpp, psnr, similarity))))
    return rows


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
        save_checkpoint(self.folder, network, optimizer, self.step, self.model.goal)
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
    precision,
    batch,
    tune=TUNE_DEFAULT,
    start=None,
    **options,
):
    """Train for `steps` in all, going on from the checkpoint in `folder` if there is
    one, else from the bundle in the folder `start` if given; `options` are those of
    `fit`.
    """
    set_up(precision)
    pool, probability = load_pool(data)
    codec = build_codec()
    if keras.backend.backend() == "torch":
        from codec.training.torch_step import CompiledTrainingModel

        model = CompiledTrainingModel(codec, pool, batch, tune)
    else:
        model = TrainingModel(codec, pool, batch, tune)
    if start and not read_state(folder)[0]:
        start_from(codec, read_bundle(start))
        count = revive(codec, pool[:: -(-len(pool) // REVIVED_ON)])
        print(f"starting from {start}, {count} inactive units drawn anew", flush=True)
    fit(model, probability, folder, **options)


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
    checkpoint_every,
    valid=(),
):
    """Train `model.trained` on crops of its pool, tiles drawn with `probability`."""
    print(
        f"{len(probability)} tiles, backend {keras.backend.backend()}",
        flush=True,
    )
    optimizer = Soap(
        Cosine(learning_rate, min(300, steps // 10), steps),
        global_clipnorm=1.0,
        use_ema=True,
        ema_momentum=EMA_MOMENTUM,
    )
    model.compile(optimizer=optimizer, jit_compile=keras.backend.backend() == "jax")
    first_step, goal = read_state(folder)
    if first_step and goal != model.goal:
        raise SystemExit(f"{folder} is trained for {goal}, not {model.goal}")
    optimizer.build(model.trainable_variables)  # averages start at the weights
    if first_step:
        restore(read_checkpoint(folder), model.trained, optimizer)
        print(f"going on from step {first_step}", flush=True)
    if first_step >= steps:
        raise SystemExit(f"{folder} is trained to step {first_step} already")
    folder.mkdir(parents=True, exist_ok=True)
    positions = CropPositions(probability, model.batch, first_step, steps - first_step)
    valid = list(read_images(valid))
    if any(min(image.shape[:2]) < VALID_SIDE_MIN_PX for image in valid):
        raise SystemExit(
            f"an image to validate on has under {VALID_SIDE_MIN_PX} pixels"
        )
    progress = Progress(folder, first_step, steps, checkpoint_every, valid)
    model.fit(positions, epochs=1, shuffle=False, verbose=0, callbacks=[progress])
