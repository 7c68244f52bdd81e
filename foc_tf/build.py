"""Building a model by names, and building it again from the JSON beside its weights."""

import inspect
import pathlib
from typing import Any

import keras

from foc_tf import backbones, checkpoints, files, weights, weights_file
from foc_tf.methods import METHODS


def build_model(
    method: str = "foc",
    backbone: str | keras.Model = "resnet50v2",
    k_gt: int = 10,
    image_size: int = 64,
    channels: int = 3,
    backbone_weights: str | None = None,
    inputs: str = "pixels",
    **hyperparameters: Any,
) -> keras.Model:
    """Builds a method's model: a keras.Model to compile, fit, evaluate, predict and save.

    Args:
      method: a name of `methods.METHODS`.
      backbone: a name of `backbones.BACKBONES`, or any keras.Model [B, H, W, C] -> [B, F] on images
        in 0..255 (then `image_size`, `channels`, `backbone_weights` and `inputs` are not used).
      k_gt: number of classes.
      image_size: side of the images in pixels.
      channels: 3 for colour, 1 for grey.
      backbone_weights: None, "imagenet" or a file.
      inputs: "pixels", "sobel" (edges, 2 channels) or "sobel_rgb" (pixels and edges).
      **hyperparameters: of the method and of `model.SemiSupervisedModel`.

    Returns:
      The model; `model.recipe` rebuilds it (None with a backbone of your own).

    Raises:
      ValueError: if a name is unknown, or the method does not have a hyperparameter.
    """
    if method not in METHODS:
        raise ValueError(f"method: expected one of {', '.join(METHODS)}, found {method!r}.")
    known = parameters(METHODS[method])
    for name in hyperparameters:
        if name not in known:
            raise ValueError(
                f"{name}: not a parameter of method {method}; it has {', '.join(sorted(known))}."
            )
    recipe = None
    if not isinstance(backbone, keras.Model):
        recipe = {
            "method": method,
            "backbone": backbone,
            "k_gt": k_gt,
            "image_size": image_size,
            "channels": channels,
            "inputs": inputs,
            **hyperparameters,
        }
        backbone = backbones.build(backbone, image_size, channels, backbone_weights, inputs)
    model = METHODS[method](backbone, k_gt, **hyperparameters)
    model.recipe = recipe
    return model


def init_backbone(model: keras.Model, workdir: str | pathlib.Path) -> None:
    """Gives a model the backbone weights of another run's best epoch.

    Args:
      model: of `build_model`.
      workdir: of the other run; its classes, heads and image size may differ.

    Raises:
      ValueError: if it is no workdir, or its backbone is another or sees other channels.
    """
    if not (pathlib.Path(workdir) / "best" / "model.json").exists():
        raise ValueError(f"init_from: {workdir} is no finished run: no best/model.json there.")
    other = load(workdir)
    for name in ("backbone", "channels", "inputs"):
        here, there = (m.recipe.get(name) for m in (model, other))
        if here != there:
            raise ValueError(
                f"init_from: {name} is {there!r} in {workdir} and {here!r} here; they must be "
                "equal."
            )
    learned = other.served_backbone.get_weights()
    for part in (model.backbone, model.served_backbone):
        part.set_weights(learned)


def parameters(cls: Any) -> set[str]:
    """Names of a method's hyperparameters: those of its own constructor and of the base's."""
    names = set(inspect.signature(cls.__init__).parameters)
    names |= set(inspect.signature(cls.__mro__[1].__init__).parameters)
    return names - {"self", "backbone", "k_gt", "kwargs", "name"}


def load(path: str | pathlib.Path) -> Any:
    """Loads the best model of a workdir, or a SavedModel.

    Args:
      path: a workdir (with `best/`), or a folder with `saved_model.pb`. SavedModels are programs:
        load only those you trust.

    Returns:
      The keras.Model with `recipe`, `classes` and `details`, or what tf.saved_model.load gives.

    Raises:
      ValueError: if `path` is neither, if a file of the workdir is damaged, or for a whole-model
        file, which could execute code.
    """
    path = pathlib.Path(path)
    if (path / "saved_model.pb").exists():
        import tensorflow as tf

        return tf.saved_model.load(str(path))
    recipe_file = path / "best" / "model.json"
    if not recipe_file.exists():
        raise ValueError(
            f"{path}: expected a workdir with best/model.json or a SavedModel with saved_model.pb, "
            "found neither. Train first: python -m foc_tf.train --workdir=..."
        )
    details = files.read_checked_json(recipe_file)
    checkpoints.check_best(path / "best", details)
    model = build_model(**details["model"])
    weights_file.check(path / "best" / checkpoints.WEIGHTS)
    weights.load(path / "best" / checkpoints.WEIGHTS, model)
    model.classes, model.details = tuple(details["classes"]), details
    return model
