"""The parts of a training run that flags ask for: stages, views, model, samplers.

Every function takes `f`, an object with the flags' values as attributes.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from foc_tf import augment, build, program, stages
from foc_tf.data import batches
from foc_tf.data.images import ImageSet
from foc_tf.methods import METHODS
from foc_tf.views import View

CHANNELS = {"rgb": 3, "grey": 1, "sobel": 3, "sobel_rgb": 3}


def check_method_flags(flag_values: Mapping[str, Any]) -> None:
    """A flag of another method is an error: it would silently do nothing.

    Raises:
      ValueError: if the method is unknown, a flag that was given is not one of its own, or --k is
        given where there are no overclustering heads.
    """
    method = flag_values["method"].value
    if method not in METHODS:
        raise ValueError(f"method: expected one of {', '.join(METHODS)}, found {method!r}.")
    every = {name for cls in METHODS.values() for name in cls.hyperparameters}
    for name in sorted(every - set(METHODS[method].hyperparameters)):
        if _is_set(flag_values[name]):
            owners = [m for m, cls in METHODS.items() if name in cls.hyperparameters]
            raise ValueError(
                f"--{name} is a flag of method {', '.join(owners)}; --method={method} has no use "
                "for it. Remove it."
            )
    weighs = "normal_ce" in METHODS[method].loss_names
    if flag_values["class_weights"].value == "inverse" and not weighs:
        raise ValueError(
            f"--class_weights: method {method} has no cross-entropy with labels. Remove it."
        )
    names = METHODS[method].hyperparameters
    if "over_head" in names and _is_set(flag_values["k"]) and not flag_values["over_head"].value:
        raise ValueError(
            f"--k: method {method} has overclustering heads with --over_head only. Add it, or "
            "remove --k."
        )


def _is_set(flag):
    # A run's flags.txt names the defaults of all methods and is a flagfile too.
    return flag.present and flag.value != flag.default


def make_stages(f: Any) -> Sequence[stages.Stage]:
    """The stages that the flags ask for, in the method's own form."""
    method = METHODS[f.method]
    result = stages.warm_up_stages(
        f.pretext_epochs if "pretext_epochs" in method.hyperparameters else 0,
        f.heads_only_epochs,
        f.fine_tune_epochs,
        f.learning_rate,
        f.heads_learning_rate,
        f.pretext_partners,
        f.self_label_epochs if "self_label_epochs" in method.hyperparameters else 0,
    )
    if not result:
        raise ValueError("fine_tune_epochs: all stages have 0 epochs; give at least one.")
    return method.schedule(result)


def make_schedule(f: Any) -> stages.Schedule:
    """How epochs follow each other, as the flags ask for."""
    alternates = "alternate_epochs" in METHODS[f.method].hyperparameters
    return stages.Schedule(
        f.alternate_epochs if alternates else 0,
        f.alternate_steps if alternates else 0,
        f.learning_rate_schedule,
        f.plateau_epochs,
        f.early_stopping_share,
        f.evaluate_every,
    )


def make_views(f: Any, model: keras.Model) -> tuple[View, ...]:
    """The method's views, with its own recipes where the flags say nothing."""
    result = []
    for view in model.views:
        recipe = getattr(f, f"augment_{view.name}") or view.augmentation
        if recipe not in augment.AUGMENTATIONS:
            raise ValueError(
                f"augment_{view.name}: expected one of {', '.join(augment.AUGMENTATIONS)}, "
                f"found {recipe!r}."
            )
        result.append(dataclasses.replace(view, augmentation=recipe))
    return tuple(result)


_MODEL_FLAGS = (
    *("num_sub_heads", "hidden_units", "dropout", "seed"),
    *("batch_statistics", "class_weights"),
)


def has_clusters(f: Any) -> bool:
    """Whether the method has overclustering heads: its own, or those of --over_head."""
    names = METHODS[f.method].hyperparameters
    return "k" in names and ("over_head" not in names or bool(f.over_head))


def make_hyperparameters(f: Any, labels: np.ndarray, num_classes: int) -> dict[str, Any]:
    """{name: value} of the model's arguments that are flags; a flag of None leaves the default.

    Args:
      f: object with the flags' values.
      labels: [N] int training labels, -1 = none.
      num_classes: C.
    """
    cls = METHODS[f.method]
    known = build.parameters(cls)
    names = [*_MODEL_FLAGS, *(name for name in cls.hyperparameters if name in known)]
    if not has_clusters(f):
        names = [name for name in names if name != "k"]
    values = {name: getattr(f, name) for name in names if getattr(f, name) is not None}
    if values.get("class_weights", "none") != "none" or values.get("distribution_alignment"):
        counts = np.bincount(labels[labels >= 0], minlength=num_classes)
        values["class_shares"] = [float(count) for count in counts / counts.sum()]
    return values


def make_model(f: Any, num_classes: int, labels: np.ndarray) -> keras.Model:
    """The compiled model that the flags ask for."""
    model = build.build_model(
        f.method,
        f.backbone,
        num_classes,
        f.image_size,
        CHANNELS[f.input],
        f.backbone_weights,
        f.input if f.input.startswith("sobel") else "pixels",
        **make_hyperparameters(f, labels, num_classes),
    )
    if f.init_from:
        build.init_backbone(model, f.init_from)
    model.compile(keras.optimizers.Adam(f.learning_rate))
    return model


def make_samplers(
    f: Any,
    image_set: ImageSet,
    labels: np.ndarray,
    replicas: int,
    run_stages: Sequence[stages.Stage],
) -> list[batches.BatchSampler]:
    """The batch sampler of each stage; warns where the batch is small for k."""
    uses_unlabeled = "unlabeled_ratio" in METHODS[f.method].hyperparameters
    roles = image_set.roles()
    certain_train = np.setdiff1d(roles.labeled, np.flatnonzero(labels >= 0))
    unlabeled: Sequence[int] | np.ndarray = []
    if uses_unlabeled:
        unlabeled = np.union1d(roles.unlabeled, certain_train)
    if has_clusters(f) and f.batch_size < 2 * f.k * f.repetitions and f.repetitions > 1:
        program.log(
            f"note: batch_size {f.batch_size} is below 2 x k x repetitions = "
            f"{2 * f.k * f.repetitions}: the mutual information of {f.k} clusters is estimated "
            "from few images."
        )
    ratios = [
        f.unlabeled_ratio if uses_unlabeled and not stage.labeled_only else 0
        for stage in run_stages
    ]
    made = {
        ratio: batches.BatchSampler(
            labels, unlabeled, f.batch_size, ratio, f.repetitions, f.seed, replicas
        )
        for ratio in ratios
    }
    return [made[ratio] for ratio in ratios]
