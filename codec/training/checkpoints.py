"""Checkpoints of a run: all that it needs to go on, and the averaged weights."""

import json
import shutil

import numpy as np
from keras import ops

from codec.training.model import build_codec

PART_BYTES = 15 * 2**20  # parts of a checkpoint stay under common upload limits


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


def save_checkpoint(folder, network, optimizer, state):
    """Write all variables as `step-N/part-M.npz`, each of at most PART_BYTES.

    `state.json` holds `state`, the step and what the run is of. It is replaced last, so
    that a run always has one whole checkpoint; older ones are then removed.
    """
    parts, size = [{}], 0
    for name, variable in checkpoint_variables(network, optimizer).items():
        value = ops.convert_to_numpy(variable)
        if size + value.nbytes > PART_BYTES:
            parts.append({})
            size = 0
        parts[-1][name] = value
        size += value.nbytes
    target = folder / f"step-{state['step']}"
    target.mkdir(parents=True, exist_ok=True)
    for i, part in enumerate(parts):
        np.savez(target / f"part-{i}.npz", **part)
    new = folder / "state.json.new"
    new.write_text(json.dumps(state))
    new.replace(folder / "state.json")
    for old in folder.glob("step-*"):
        if old != target:
            shutil.rmtree(old)


def read_state(folder):
    """What `save_checkpoint` wrote; step 0 where there is no checkpoint."""
    state = folder / "state.json"
    return json.loads(state.read_text()) if state.exists() else {"step": 0}


def read_checkpoint(folder):
    """All arrays of the last checkpoint by name."""
    arrays = {}
    for part in (folder / f"step-{read_state(folder)['step']}").glob("part-*.npz"):
        with np.load(part) as data:
            arrays |= dict(data)
    return arrays


def restore(arrays, network, optimizer):
    for name, variable in checkpoint_variables(network, optimizer).items():
        variable.assign(arrays[name])


def averaged_weights(folder):
    """The averaged weights of a run by the path of their variable."""
    prefix = "average/"
    return {
        name.removeprefix(prefix): array
        for name, array in read_checkpoint(folder).items()
        if name.startswith(prefix)
    }


def save_weights(folder, file):
    """Write the averaged weights of a run in half precision, with what they are of."""
    weights = averaged_weights(folder)
    half = {name: array.astype("float16") for name, array in weights.items()}
    np.savez_compressed(file, **half)


def set_weights(codec, source):
    """Set the weights of a codec to those of a run, or of a file of `save_weights`, and
    print those that it has no place for.
    """
    if source.is_dir():
        weights = averaged_weights(source)
    else:
        with np.load(source) as data:
            weights = dict(data)
    for variable in codec.trainable_variables:
        if variable.path not in weights:
            raise SystemExit(f"{source} has no {variable.path}")
        variable.assign(weights.pop(variable.path).astype("float32"))
    if weights:
        print(f"left out of {source}: {', '.join(sorted(weights))}")


def load_codec(folder):
    """A built codec with the averaged weights of a run."""
    codec = build_codec(read_state(folder)["architecture"])
    set_weights(codec, folder)
    return codec
