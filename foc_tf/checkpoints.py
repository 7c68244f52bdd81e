"""Checkpoints of a run and the best model: plain arrays and JSON, nothing that executes.

A checkpoint holds the weights, the optimizer's variables and the history so far; batches need no
state, they are functions of (seed, step).
"""

import json
import pathlib
import zipfile

import numpy as np

from foc_tf import files, weights
from foc_tf.keras_compat import loss_scale_variables, optimizer_variables

KEEP = 2


def save(directory, model, state):
    """Writes `<directory>/epoch-<n>.npz` and removes all but the last two.

    Args:
      directory: path.
      model: a compiled model.
      state: JSON-able dict with "epoch", the number of epochs done.
    """
    directory = pathlib.Path(directory)
    arrays = {f"weight_{i:05}": w for i, w in enumerate(weights.arrays(model))}
    for index, variable in enumerate(_optimizer_variables(model)):
        arrays[f"optimizer_{index:05}"] = variable.numpy()
    arrays["state"] = np.frombuffer(json.dumps(state).encode(), np.uint8)
    with files.replacing(directory / f"epoch-{state['epoch']:06}.npz") as file:
        np.savez(file, **arrays)
    for old in sorted(directory.glob("epoch-*.npz"))[:-KEEP]:
        old.unlink()


def restore_latest(directory, model):
    """Loads the newest whole checkpoint into the model.

    A damaged one (a zip member's checksum fails) is passed over for the one before.

    Returns:
      (its `state` or None if there is no checkpoint, list of damaged files).

    Raises:
      ValueError: if checkpoints exist and none can be read, or the model has other variables.
    """
    damaged = []
    for path in sorted(pathlib.Path(directory).glob("epoch-*.npz"), reverse=True):
        try:
            with np.load(path, allow_pickle=False) as stored:
                arrays = {key: stored[key] for key in stored.files}
        except (zipfile.BadZipFile, ValueError, OSError, EOFError, KeyError):
            damaged.append(str(path))
            continue
        _assign(path, model, arrays)
        return json.loads(arrays["state"].tobytes().decode()), damaged
    if damaged:
        raise ValueError(
            f"no checkpoint can be read, all are damaged: {', '.join(damaged)}. "
            "Give another --workdir, or remove these files to start anew."
        )
    return None, damaged


def _optimizer_variables(model):
    return [*optimizer_variables(model.optimizer), *loss_scale_variables(model.optimizer)]


def _assign(path, model, arrays):
    values = [arrays[key] for key in sorted(arrays) if key.startswith("weight_")]
    slots = [arrays[key] for key in sorted(arrays) if key.startswith("optimizer_")]
    variables = _optimizer_variables(model)
    try:
        if [tuple(v.shape) for v in variables] != [a.shape for a in slots]:
            raise ValueError("optimizer: its variables have other shapes.")
        weights.assign(model, values)
    except ValueError as error:
        raise ValueError(
            f"{path} is a checkpoint of another model; give another --workdir ({error})"
        ) from None
    for variable, value in zip(variables, slots):
        variable.assign(value)


def save_neighbors(directory, stage_index, neighbors):
    """Writes a stage's [P, n] int table of neighbours beside the checkpoints."""
    with files.replacing(_neighbors_path(directory, stage_index)) as file:
        np.save(file, neighbors)


def load_neighbors(directory, stage_index):
    """The table that `save_neighbors` wrote.

    Raises:
      ValueError: if it is missing or damaged.
    """
    path = _neighbors_path(directory, stage_index)
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(
            f"{path}: the neighbours of the stage that this run stopped in cannot be read "
            f"({error}). Give another --workdir, or remove the checkpoints to start anew."
        ) from None


def _neighbors_path(directory, stage_index):
    return pathlib.Path(directory) / f"neighbors-{stage_index}.npy"


def reset_optimizer(model):
    """Zeroes the optimizer's moments and step count; learning rate and loss scale stay."""
    for variable in optimizer_variables(model.optimizer):
        variable.assign(np.zeros_like(variable.numpy()))


def save_best(directory, model, recipe):
    """Writes `model.weights.h5` and `model.json`, the recipe that `build.from_recipe` takes."""
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    with files.replacing(directory / "model.weights.h5") as file:
        file.write(weights.as_bytes(model))
    files.write_json(directory / "model.json", recipe)
