"""Whether training waits for its images: steps on real input against steps on one kept batch."""

import itertools

import keras
import numpy as np
import tensorflow as tf

from foc_tf import build
from foc_tf.benchmarks.timing import Options, Row, interleaved, row
from foc_tf.data import pipeline
from foc_tf.data.batches import BatchSampler
from foc_tf.views import View

_IMAGES, _STEPS = 2000, 10
_TARGETS = {"resnet50v2": "<= 1.03", "efficientnet_lite0": "<= 1.10"}


def waiting(options: Options) -> list[Row]:
    """Time of steps on the pipeline's batches / on the same batch again and again."""
    size = options.image_size
    model = build.build_model("foc", options.backbone, 10, size, k=60)
    model.compile(keras.optimizers.Adam(1e-4))
    real = iter(batches(options))
    kept = next(real)
    again = itertools.repeat(kept)
    # One compiled step for both: what differs is where the batch comes from.
    step = tf.function(model.train_step, reduce_retracing=True)
    functions = {
        name: lambda source=source: [step(next(source))["loss"] for _ in range(_STEPS)]
        for name, source in (("input", real), ("kept", again))
    }
    times = interleaved(functions, max(3, options.rounds // 3), warm_up=1)
    note = f"{options.backbone}, {size} px, {options.rows} rows, three views, {_STEPS} steps"
    target = _TARGETS.get(options.backbone, "")
    return [
        row("input: real batches / a kept batch", times, "input", "kept", target=target, note=note)
    ]


def batches(options: Options) -> tf.data.Dataset:
    """Endless batches of three augmented views of noise."""
    size = options.image_size
    load = size * 3 // 2
    noise = tf.random.stateless_uniform((_IMAGES, load, load, 3), [3, 4], 0, 255, tf.int32)
    table = tf.cast(noise, tf.uint8)
    labels = np.where(np.arange(_IMAGES) % 3, np.arange(_IMAGES) % 10, -1)
    sampler = BatchSampler(labels, np.flatnonzero(labels < 0), options.rows, 0.5, 3)
    views = (
        View("anchor", "self", "affine_cutout"),
        View("positive", "same_class", "iic"),
        View("negative", "other_class", "center_crop"),
    )
    return pipeline.training_batches(sampler, views, lambda i: tf.gather(table, i), size)
