"""A FOC training step against one of its bare backbone in float32."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from foc_tf import build
from foc_tf.benchmarks.timing import Options, Row, interleaved, row
from foc_tf.stages import Stage

_VARIANTS = {
    # (negatives, policy): target of the ratio to the bare float32 step on three views
    ("triplet", "float32"): "<= 1.03",
    ("triplet", "mixed_bfloat16"): "<= 0.70",
    ("shared", "float32"): "",
    ("in_batch", "float32"): "",
    ("in_batch", "mixed_bfloat16"): "<= 0.47",
}
_REPETITIONS = 3  # of each draw, which share an image of another class


def step(options: Options) -> list[Row]:
    """FOC (5 + 5 heads, k = 60) / bare float32 backbone and one softmax layer on three views."""
    functions: dict[Any, Callable[[], Any]] = {"bare": bare_step(options, 3 * options.rows)}
    for negatives, policy in _VARIANTS:
        functions[negatives, policy] = foc_step(options, negatives, policy)
    functions["kept features"] = foc_step(options, features=True)
    times = interleaved(functions, options.rounds)
    note = f"{options.backbone}, {options.image_size} px, {options.rows} rows"
    named: dict[Any, str] = {
        (negatives, policy): f"{negatives}, {policy.removeprefix('mixed_')}"
        for negatives, policy in _VARIANTS
    } | {"kept features": "triplet, heads only on kept features"}
    return [
        row(
            f"step: FOC, {name} / bare float32, three views",
            *(times, key, "bare"),
            target=_VARIANTS.get(key, "") if options.backbone == "resnet50v2" else "",
            note=note,
        )
        for key, name in named.items()
    ]


def foc_step(
    options: Options,
    negatives: str = "triplet",
    policy: str = "float32",
    features: bool = False,
    **hyperparameters: Any,
) -> Callable[[], dict[str, tf.Tensor]]:
    """Function that trains one FOC step on a batch of noise.

    Args:
      options: `timing.Options`.
      negatives: of `methods.FOC`; with "shared" every image of another class serves three rows.
      policy: name of Keras's policy.
      features: whether the batch holds features of a frozen backbone.
      **hyperparameters: of `methods.FOC`.
    """
    size, rows = options.image_size, options.rows
    before = keras.mixed_precision.global_policy().name
    keras.mixed_precision.set_global_policy(policy)
    try:
        settings = {"k": 60} | hyperparameters
        model = build.build_model(
            "foc", options.backbone, 10, size, negatives=negatives, **settings
        )
        model.compile(keras.optimizers.Adam(1e-4))
    finally:
        keras.mixed_precision.set_global_policy(before)
    counts = {"anchor": rows, "positive": rows}
    if negatives != "in_batch":
        counts["negative"] = rows // (_REPETITIONS if negatives == "shared" else 1)
    shape, high = (size, size, 3), 255
    if features:
        model.set_stage(Stage("heads_only", 1, 1e-3, train_backbone=False))
        shape, high = model.backbone.output_shape[1:], 1
    batch = {name: tf.random.uniform((n, *shape), 0, high) for name, n in counts.items()}
    batch["label"] = tf.constant(np.resize([0, 1, 2, -1, 3, -1, 4, 5], rows), tf.int32)
    return tf.function(lambda: model.train_step(batch))


def bare_step(options: Options, images: int) -> Callable[[], tf.Tensor]:
    """Function that trains one step of the backbone with one softmax layer on so many images."""
    core = build.backbones.build(options.backbone, options.image_size)
    model = keras.Sequential([core, keras.layers.Dense(10, activation="softmax")])
    optimizer = keras.optimizers.Adam(1e-4)
    optimizer.build(model.trainable_variables)
    x = tf.random.uniform((images, options.image_size, options.image_size, 3), 0, 255)
    y = tf.constant(np.resize(range(10), images))
    loss = keras.losses.SparseCategoricalCrossentropy()

    @tf.function
    def one():
        with tf.GradientTape() as tape:
            value = loss(y, model(x, training=True))
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(value, variables), variables))
        return value

    return one
