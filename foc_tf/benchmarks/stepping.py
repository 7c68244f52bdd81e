"""A FOC training step against one of its bare backbone in float32."""

import keras
import numpy as np
import tensorflow as tf

from foc_tf import build
from foc_tf.benchmarks.timing import interleaved, row

_VARIANTS = {
    # (negatives, policy): target of the ratio to the bare float32 step on three views
    ("triplet", "float32"): "<= 1.03",
    ("triplet", "mixed_bfloat16"): "<= 0.70",
    ("in_batch", "float32"): "",
    ("in_batch", "mixed_bfloat16"): "<= 0.47",
}


def step(options):
    """FOC (5 + 5 heads, k = 60) / bare float32 backbone and one softmax layer on three views."""
    functions = {"bare": bare_step(options, 3 * options.rows)}
    for negatives, policy in _VARIANTS:
        functions[negatives, policy] = foc_step(options, negatives, policy)
    times = interleaved(functions, options.rounds)
    return [
        row(
            f"step: FOC, {negatives}, {policy.removeprefix('mixed_')} / bare float32, three views",
            times,
            (negatives, policy),
            "bare",
            target=target if options.backbone == "resnet50v2" else "",
            note=f"{options.backbone}, {options.image_size} px, {options.rows} rows",
        )
        for (negatives, policy), target in _VARIANTS.items()
    ]


def foc_step(options, negatives="triplet", policy="float32", **hyperparameters):
    """Function that trains one FOC step on a batch of noise."""
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
    names = ["anchor", "positive"] + (["negative"] if negatives == "triplet" else [])
    batch = {name: tf.random.uniform((rows, size, size, 3), 0, 255) for name in names}
    batch["label"] = tf.constant(np.resize([0, 1, 2, -1, 3, -1, 4, 5], rows), tf.int32)
    return tf.function(lambda: model.train_step(batch))


def bare_step(options, images):
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
