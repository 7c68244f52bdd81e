"""In how many bits the layers compute: as asked, or what a short probe finds faster here."""

import pathlib
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from foc_tf import backbones, files

# Below this share of float32's time bfloat16 is worth its rounding.
_WORTH = 0.95
_ROUNDS = 3
_FILE = "precision.json"


def use(name: str) -> None:
    """Sets Keras's policy: "none" is float32, else "bfloat16" or "float16" layers."""
    policy = "float32" if name == "none" else f"mixed_{name}"
    keras.mixed_precision.set_global_policy(policy)


def probe(
    backbone: str, image_size: int, channels: int = 3, inputs: str = "pixels", rows: int = 32
) -> dict[str, float]:
    """Times training steps of a backbone on noise in float32 and in bfloat16.

    Args:
      backbone: as `backbones.build` takes it, like the next three.
      image_size: side of the images in pixels.
      channels: C.
      inputs: "pixels", "sobel" or "sobel_rgb".
      rows: images of a step.

    Returns:
      {"none": seconds, "bfloat16": seconds}, the fastest of 3 steps each.
    """
    before = keras.mixed_precision.global_policy()
    seconds = {}
    try:
        for name in ("none", "bfloat16"):
            use(name)
            model = backbones.build(backbone, image_size, channels, None, inputs)
            images = tf.random.uniform((rows, image_size, image_size, channels), 0, 255)
            seconds[name] = _fastest(_step(model, images))
    finally:
        keras.mixed_precision.set_global_policy(before)
    return seconds


def _step(model, images):
    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.cast(model(images, training=True), tf.float32))
        gradients = tape.gradient(loss, model.trainable_variables)
        return tf.add_n([tf.reduce_sum(g) for g in gradients])

    return step


def _fastest(step):
    times = []
    for _ in range(_ROUNDS + 1):  # the first one is traced
        start = time.perf_counter()
        np.asarray(step())
        times.append(time.perf_counter() - start)
    return min(times[1:])


def of_run(workdir: pathlib.Path, *network: Any) -> dict[str, Any]:
    """What a run computes in: kept in `<workdir>/precision.json`, else measured now.

    Args:
      workdir: pathlib.Path of the run.
      *network: of `probe`.

    Returns:
      {"chosen": "none" or "bfloat16", "seconds_of_a_step": of `probe`}; `keep` writes it.
    """
    if (workdir / _FILE).exists():
        kept = files.read_json(workdir / _FILE)
        if not isinstance(kept, dict) or kept.get("chosen") not in ("none", "bfloat16"):
            raise ValueError(f"{workdir / _FILE}: damaged; give --mixed_precision or remove it.")
        return kept
    seconds = probe(*network)
    name = "bfloat16" if seconds["bfloat16"] < _WORTH * seconds["none"] else "none"
    return {"chosen": name, "seconds_of_a_step": seconds}


def keep(workdir: pathlib.Path, choice: dict[str, Any]) -> None:
    """Writes a choice of `of_run`, so that the run goes on as it began."""
    files.write_json(workdir / _FILE, choice)
