"""Weights of a whole model in an .h5 file that both generations of Keras read.

Keras' own files name the parts of a subclassed model otherwise in Keras 2 than in Keras 3; only the
order of the variables is the same in both.
"""

import io
import os
from collections.abc import Sequence

import h5py
import keras
import numpy as np

_GROUP = "foc_tf_weights"


def variables(model: keras.Model) -> list:
    """A model's variables without its metrics', in an order that both generations of Keras share.

    Args:
      model: a built keras.Model.

    Returns:
      List: those of its layers, then the model's own.
    """
    of_layers = [variable for layer in model.layers for variable in layer.weights]
    of_metrics = [variable for metric in model.metrics for variable in metric.variables]
    known = {id(variable) for variable in (*of_layers, *of_metrics)}
    return of_layers + [variable for variable in model.weights if id(variable) not in known]


def arrays(model: keras.Model) -> list[np.ndarray]:
    """The values of `variables`, a list of arrays."""
    return [variable.numpy() for variable in variables(model)]


def assign(model: keras.Model, values: Sequence[np.ndarray]) -> None:
    """Sets `variables`.

    Args:
      model: a built keras.Model.
      values: list of arrays; what is beyond the model's variables (Keras 2's metrics in older
        checkpoints) is not used.

    Raises:
      ValueError: if there are too few, or a shape is another.
    """
    own = variables(model)
    expected = [tuple(variable.shape) for variable in own]
    found = [tuple(value.shape) for value in values[: len(own)]]
    if expected != found:
        raise ValueError(
            f"weights: expected {len(expected)} arrays of the shapes of {model.name}'s variables, "
            f"found {len(values)} of another model."
        )
    for variable, value in zip(own, values):
        variable.assign(value)


def as_bytes(model: keras.Model) -> bytes:
    """The content of the file.

    Args:
      model: a built keras.Model.

    Returns:
      bytes.
    """
    whole = io.BytesIO()
    with h5py.File(whole, "w") as stored:
        group = stored.create_group(_GROUP)
        for index, variable in enumerate(variables(model)):
            dataset = group.create_dataset(f"{index:05}", data=variable.numpy())
            dataset.attrs["name"] = getattr(variable, "path", variable.name)
    # Not a view: one that outlives `whole`, as in a traceback, crashes Python 3.12.
    return whole.getvalue()


def load(path: str | os.PathLike, model: keras.Model) -> None:
    """Reads what `as_bytes` made, or what `model.save_weights` of this generation of Keras wrote.

    Args:
      path: .weights.h5 file.
      model: a built keras.Model.

    Raises:
      ValueError: if it is damaged, or of another model; names the file.
    """
    try:
        with h5py.File(path) as stored:
            values = None
            if _GROUP in stored:
                group = stored[_GROUP]
                values = [group[key][()] for key in sorted(group)]
        if values is None:
            model.load_weights(str(path))
        else:
            assign(model, values)
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"{path} does not fit {model.name}: {error}") from error
