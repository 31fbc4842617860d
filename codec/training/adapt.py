"""Adaptation: a small part of a shipped model, trained on a user's own pictures.

What adapts is float, and its weights lie in the graphs once for all precisions: the
vectors of the qualities, the last layer of the synthesis, the biases outside of the
int8 branches; then symbols are counted anew. The rest, the integer scale network among
it, stays.
"""

import logging
from dataclasses import dataclass, replace

import keras
import numpy as np
from keras import ops

from codec.errors import CodecError, UsageError, reason
from codec.machine import native_stderr_silenced
from codec.networks.adaptation import (
    ADAPTABLE,
    WEIGHTS_MIN_BYTES,
    buffers,
    pack_model,
    unpack_model,
)
from codec.networks.shipped import TUNES, load_bundle
from codec.picture.reading import picture_in
from codec.training.calibration import anchor_vectors, calibrate
from codec.training.data import TILE_PX, CropPositions, texture, tiles
from codec.training.dimensions import STRIDE_PX
from codec.training.gain import Gain, gain_on
from codec.training.model import build_codec
from codec.training.schedule import Plateau
from codec.training.train import set_up
from codec.training.training_model import TrainingModel
from codec.training.warm_start import start_from, stored_layers

BATCH = 4
LEARNING_RATE = 4e-3
WARMUP_SHARE = 0.1  # of the steps
TILES_PER_PICTURE, TILES_MAX = 8, 400
COUNTED_TILES = 200  # of those, drawn with replacement, each at a random quality
ALIKE = 1e-3  # that weights of one buffer may differ by after training
TRAINING_SHARE, COUNTING_SHARE = 0.75, 0.2  # of the time that it all takes, about


@dataclass(frozen=True)
class Adapted:
    """An .aecm file, and how it came about."""

    data: bytes
    pictures: int
    trained_share: float  # of the parameters
    gain: Gain

    def __str__(self):
        return (
            f"{self.pictures} pictures, {self.trained_share:.1%} of the weights "
            f"trained, {len(self.data)} bytes; {self.gain}"
        )


def adapt(paths, tune, *, steps, max_pixels, progress):
    """Adapt the shipped model of a tune to the pictures in the files `paths`.

    Raises UsageError, which names the file, for one that cannot be read.
    """
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    set_up("float32")
    pool, parts, used = load_tiles(paths, max_pixels)
    bundle = load_bundle(TUNES[tune].model_id)
    with native_stderr_silenced():  # TensorFlow tells of itself at its first layers
        codec = build_codec(bundle.architecture)
    start_from(codec, bundle)
    share = freeze(codec)
    train(codec, tune, pool, steps, lambda done: progress(TRAINING_SHARE * done))
    drawn = np.random.default_rng(2).integers(len(pool), size=COUNTED_TILES)
    images = [pool[i][parts[i]] for i in drawn]
    residual_tables, hyper_tables, skip_below = calibrate(
        codec,
        images,
        lambda done: progress(TRAINING_SHARE + COUNTING_SHARE * done),
    )
    adapted = replace(
        bundle,
        **anchor_vectors(codec),
        residual_tables=residual_tables,
        hyper_tables=tuple(hyper_tables),
        skip_below=skip_below,
    )
    data = pack_model(adapted, new_weights(codec, bundle))
    rest = 1 - TRAINING_SHARE - COUNTING_SHARE
    gain = gain_on(
        [path for path in paths if path not in used],
        used,
        tune,
        unpack_model(data),
        max_pixels,
        lambda done: progress(1 - rest + rest * done),
    )
    return Adapted(data, len(used), share, gain)


def load_tiles(paths, max_pixels):
    """(tiles uint8 [N, TILE_PX, TILE_PX, 3], the part of each that is of the picture,
    paths of the pictures), from pictures in random order until there are TILES_MAX;
    small ones are mirrored at their edges.
    """
    random = np.random.default_rng(0)
    pool, parts, used = [], [], []
    for path in random.permutation(paths):
        try:
            image = picture_in(path.read_bytes(), max_pixels, ()).rgb
        except (CodecError, OSError, MemoryError) as error:
            raise UsageError(f"{path}: {reason(error)}") from None
        sides = image.shape[:2]
        missing = [(0, max(TILE_PX - side, 0)) for side in sides]
        found = list(tiles(np.pad(image, (*missing, (0, 0)), mode="symmetric")))
        found = [found[i] for i in random.permutation(len(found))[:TILES_PER_PICTURE]]
        pool += found
        parts += len(found) * [tuple(slice(whole_cells(side)) for side in sides)]
        used.append(path)
        if len(pool) >= TILES_MAX:
            break
    return np.stack(pool), parts, used


def whole_cells(side):
    """Pixels of a tile that are of a picture, in whole hyper-latent cells, at least
    one.
    """
    return max(min(side, TILE_PX) // STRIDE_PX, 1) * STRIDE_PX


def adapted_layers(codec):
    """Those whose kernels are trained."""
    return [codec.synthesis.last]


def freeze(codec):
    """Leave trainable what adapts; its share of all parameters."""
    chosen = [codec.log_gain, codec.log_inverse_gain, codec.block_scale]
    chosen += [codec.hyper_mean, codec.hyper_width]  # of the tables alone
    chosen += [layer.kernel for layer in adapted_layers(codec)]
    in_int8 = {
        id(variable)
        for blocks in (codec.analysis.blocks, codec.synthesis.blocks)
        for block in blocks
        for variable in block.variables
    }
    transforms = [getattr(codec, name) for name in ADAPTABLE]
    chosen += [
        variable
        for transform in transforms
        for variable in transform.variables
        if variable.name == "bias" and id(variable) not in in_int8
    ]
    kept = {id(variable) for variable in chosen}
    everything = size(codec.trainable_variables)
    for variable in codec.trainable_variables:
        variable.trainable = id(variable) in kept
    return size(codec.trainable_variables) / everything


def size(variables):
    return sum(int(np.prod(variable.shape)) for variable in variables)


def train(codec, tune, pool, steps, progress):
    """Train what is trainable on crops of the tiles of `pool`."""

    class Told(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            progress((batch + 1) / steps)

    model = TrainingModel(codec, pool, BATCH, tune)
    rise = WARMUP_SHARE * steps
    schedule = Plateau(LEARNING_RATE, rise, steps, steps - rise)
    optimizer = keras.optimizers.Adam(schedule, beta_2=0.99, global_clipnorm=1.0)
    model.compile(optimizer=optimizer, jit_compile=False)
    weights = np.array([texture(tile) for tile in pool])
    positions = CropPositions(weights / weights.sum(), BATCH, 0, steps)
    model.fit(positions, epochs=1, shuffle=False, verbose=0, callbacks=[Told()])


def new_weights(codec, bundle):
    """New contents of the buffers of a bundle's graphs by "graph/number": of every one
    that holds weights which were trained. Kernels of the adjoint stay as they are: they
    guide the encoder, and that is all.
    """
    found = {}
    for graph, (layer, before, after), (kernel, bias) in stored_layers(codec, bundle):
        changes = []
        held = buffers_by_content(bundle.graph(graph))
        if layer.kernel.trainable:
            new = ops.convert_to_numpy(layer.kernel) * np.float32(before * after)
            changes = [(as_stored(kernel), as_stored(new))]
        if layer.use_bias and layer.bias.trainable:
            changes.append((bias, ops.convert_to_numpy(layer.bias) * after))
        for old, new in changes:
            place = place_of(old, held)
            if not place:
                raise SystemExit(f"the weights of {layer.name} are not in {graph}")
            key, new = f"{graph}/{place[1]}", new.astype(place[0])
            # Biases that are summed start alike and stay alike, so they share a buffer.
            if not np.allclose(found.setdefault(key, new), new, rtol=0, atol=ALIKE):
                raise SystemExit(f"{graph} has other weights of {layer.name}, too")
    return {key: weights.tobytes() for key, weights in found.items()}


def place_of(weights, held):
    """(dtype, number of the buffer) that holds weights, None if none does."""
    for dtype in ("float16", "float32"):
        number = held.get(weights.astype(dtype).tobytes())
        if number is not None:
            return dtype, number
    return None


def buffers_by_content(path):
    """Numbers of the buffers of a graph that may hold weights."""
    data = path.read_bytes()
    places = enumerate(buffers(data))
    return {
        data[place.start : place.stop]: number
        for number, place in places
        if len(place) >= WEIGHTS_MIN_BYTES
    }


def as_stored(kernel):
    """[height, width, inputs, outputs] -> [outputs, height, width, inputs]."""
    return kernel.transpose(3, 0, 1, 2)
