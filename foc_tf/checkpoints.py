"""Checkpoints of a run and the best model: plain arrays and JSON, nothing that executes.

A checkpoint holds the weights, the optimizer's variables and the history so far; batches need no
state, they are functions of (seed, step). What it holds is checked against its own digest, so that
a damaged one is passed over for the one before, and never trained on.
"""

import hashlib
import json
import pathlib
import re

import keras
import numpy as np

from foc_tf import files, weights
from foc_tf.keras_compat import loss_scale_variables, optimizer_variables

KEEP = 2
WEIGHTS = "model.weights.h5"
SCHEMA = 1  # of a checkpoint; another one is by another version of foc_tf


class _Damaged(Exception):
    """A file is not what was written."""


def save(directory: str | pathlib.Path, model: keras.Model, state: dict) -> None:
    """Writes `<directory>/epoch-<n>[-step-<m>].npz` and removes all but the last two.

    Args:
      directory: path.
      model: a compiled model.
      state: JSON-able dict with "epoch", the number of epochs done, and for a checkpoint inside an
        epoch "begun", a dict with its "step".
    """
    directory = pathlib.Path(directory)
    arrays = {f"weight_{i:05}": w for i, w in enumerate(weights.arrays(model))}
    for index, variable in enumerate(_optimizer_variables(model)):
        arrays[f"optimizer_{index:05}"] = variable.numpy()
    state = state | {"schema": SCHEMA, "digest": _digest(arrays)}
    arrays["state"] = np.frombuffer(json.dumps(state).encode(), np.uint8)
    step = f"-step-{state['begun']['step']:06}" if state.get("begun") else ""
    needed = sum(array.nbytes for array in arrays.values())
    with files.replacing(directory / f"epoch-{state['epoch']:06}{step}.npz", needed=needed) as file:
        np.savez(file, **arrays)
    for old in _oldest_first(directory)[:-KEEP]:
        old.unlink()


def _oldest_first(directory):
    """Checkpoints by (epoch, step)."""
    paths = pathlib.Path(directory).glob("epoch-*.npz")
    return sorted(paths, key=lambda path: [int(n) for n in re.findall(r"\d+", path.name)])


def _digest(arrays):
    """SHA-256 of names, shapes, types and bytes."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        found.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        found.update(array)
    return found.hexdigest()


def _read(path):
    """(arrays, state, schema) of a checkpoint; _Damaged if it is not what was written."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
        state = json.loads(arrays.pop("state").tobytes().decode())
        schema, digest = state.pop("schema", 0), state.pop("digest", None)
    # Whatever a damaged zip file leads zipfile, zlib, numpy and json to raise.
    except Exception as error:
        raise _Damaged(f"{path} ({error})") from None
    if schema == SCHEMA and digest != _digest(arrays):
        raise _Damaged(f"{path} (its digest is another)")
    return arrays, state, schema


def restore_latest(
    directory: str | pathlib.Path, model: keras.Model
) -> tuple[dict | None, list[str]]:
    """Loads the newest whole checkpoint into the model.

    A damaged one is passed over for the one before.

    Returns:
      (its `state` or None if there is no checkpoint, list of damaged files).

    Raises:
      ValueError: if checkpoints exist and none can be read, or one is by another version or the
        model has other variables.
    """
    damaged = []
    for path in reversed(_oldest_first(directory)):
        try:
            arrays, state, schema = _read(path)
        except _Damaged as error:
            damaged.append(str(error))
            continue
        if schema != SCHEMA:
            raise ValueError(
                f"{path} is a checkpoint of schema {schema}, by another version of "
                f"foc_tf; this one reads {SCHEMA}. Give another --workdir."
            )
        _assign(path, model, arrays)
        return state, damaged
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


def save_neighbors(directory: str | pathlib.Path, stage_index: int, neighbors: np.ndarray) -> None:
    """Writes a stage's [P, n] int table of neighbours beside the checkpoints."""
    with files.replacing(_neighbors_path(directory, stage_index)) as file:
        np.savez(file, neighbors=neighbors)  # a zip file: with a checksum


def load_neighbors(directory: str | pathlib.Path, stage_index: int) -> np.ndarray:
    """The table that `save_neighbors` wrote.

    Raises:
      ValueError: if it is missing or damaged.
    """
    path = _neighbors_path(directory, stage_index)
    try:
        with np.load(path, allow_pickle=False) as stored:
            return stored["neighbors"]
    # Whatever a damaged zip file leads zipfile, zlib and numpy to raise.
    except Exception as error:
        raise ValueError(
            f"{path}: the neighbours of the stage that this run stopped in cannot be read "
            f"({error}). Give another --workdir, or remove the checkpoints to start anew."
        ) from None


def _neighbors_path(directory, stage_index):
    return pathlib.Path(directory) / f"neighbors-{stage_index}.npz"


def reset_optimizer(model: keras.Model) -> None:
    """Zeroes the optimizer's moments and step count; learning rate and loss scale stay."""
    for variable in optimizer_variables(model.optimizer):
        variable.assign(np.zeros_like(variable.numpy()))


def save_best(directory: str | pathlib.Path, model: keras.Model, recipe: dict) -> None:
    """Writes `model.weights.h5` and `model.json`, the recipe that `build.from_recipe` takes.

    model.json holds the digest of the weights, so that neither is taken without the other.
    """
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    # In memory: HDF5 crashes the process where a disk is full.
    content = weights.as_bytes(model)
    with files.replacing(directory / WEIGHTS, needed=len(content)) as file:
        file.write(content)
    digest = hashlib.sha256(content).hexdigest()
    files.write_checked_json(directory / "model.json", recipe | {"weights_sha256": digest})


def check_best(directory: str | pathlib.Path, recipe: dict) -> None:
    """Raises ValueError if the weights of the best epoch are not those that `recipe` describes."""
    path, expected = pathlib.Path(directory) / WEIGHTS, recipe.get("weights_sha256")
    if expected is None:  # written before there were digests
        return
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != expected:
        raise ValueError(
            f"{path}: damaged, or of another epoch than model.json beside it (a run that was "
            "killed while it wrote them). The run's own train command makes both anew if it has "
            "epochs left; else train into another --workdir."
        )
