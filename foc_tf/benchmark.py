"""Times a training step against the bare backbone's on the same number of images, in one run.

    python -m foc_tf.benchmark
    python -m foc_tf.benchmark --backbone=efficientnet_lite0 --rounds=20

Rounds are interleaved, so that a busy machine slows both alike; medians and quartiles of the ratios
are printed as Markdown.
"""

import time

from foc_tf import program

# isort: split

import keras
import numpy as np
import tensorflow as tf
from absl import flags

from foc_tf import build
from foc_tf import flags as foc_flags

_ROWS = flags.DEFINE_integer("rows", 48, "Rows of a batch to time.")
_ROUNDS = flags.DEFINE_integer("rounds", 15, "Timed rounds.")


def foc_step(backbone, size, rows, negatives):
    """(function that trains one FOC step, images passed)."""
    model = build.build_model("foc", backbone, 10, size, k=60, negatives=negatives)
    model.compile(keras.optimizers.Adam(1e-4))
    names = ["anchor", "positive"] + (["negative"] if negatives == "triplet" else [])
    batch = {name: tf.random.uniform((rows, size, size, 3), 0, 255) for name in names}
    batch["label"] = tf.constant(np.resize([0, 1, 2, -1, 3, -1, 4, 5], rows), tf.int32)
    step = tf.function(lambda: model.train_step(batch))
    return step, rows * len(names)


def bare_step(backbone, size, images):
    """Function that trains one step of the backbone with one softmax layer."""
    core = build.backbones.build(backbone, size)
    model = keras.Sequential([core, keras.layers.Dense(10, activation="softmax")])
    optimizer = keras.optimizers.Adam(1e-4)
    optimizer.build(model.trainable_variables)
    x = tf.random.uniform((images, size, size, 3), 0, 255)
    y = tf.constant(np.resize(range(10), images))
    loss = keras.losses.SparseCategoricalCrossentropy()

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            value = loss(y, model(x, training=True))
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(value, variables), variables))
        return value

    return step


def compare(first, second, rounds):
    """Ratios of wall seconds of two steps, [rounds], interleaved, after two rounds of warm-up."""
    ratios = []
    for index in range(rounds + 2):
        seconds = []
        for step in (first, second):
            start = time.perf_counter()
            tf.nest.map_structure(np.asarray, step())
            seconds.append(time.perf_counter() - start)
        if index >= 2:
            ratios.append(seconds[0] / seconds[1])
    return np.array(ratios)


def main():
    """The program."""
    f = flags.FLAGS
    print("| step | images | time / bare backbone: median (quartiles) |\n| --- | --- | --- |")
    for negatives in ("in_batch", "triplet"):
        step, images = foc_step(f.backbone, f.image_size, _ROWS.value, negatives)
        bare = bare_step(f.backbone, f.image_size, images)
        low, median, high = np.quantile(compare(step, bare, _ROUNDS.value), [0.25, 0.5, 0.75])
        print(f"| foc, {negatives} | {images} | {median:.2f} ({low:.2f}-{high:.2f}) |", flush=True)


if __name__ == "__main__":
    foc_flags.given()
    program.run(main)
