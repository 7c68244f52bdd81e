"""Run by the other generation's Python: outputs of a workdir's model and of a SavedModel."""

import sys

import numpy as np
import tensorflow as tf

import foc_tf


def outputs(workdir, exported, images):
    """{name: array} of both for [N, 8, 8, 1] images in 0..255.

    Args:
      workdir: of a run.
      exported: folder of a SavedModel.
      images: float32 array.
    """
    model = foc_tf.load(workdir)
    loaded = tf.saved_model.load(str(exported))
    colours = tf.constant(np.repeat(images, 3, axis=-1))
    served = loaded.signatures["serving_default"](image=colours)
    found = {f"model_{name}": value for name, value in model(images, training=False).items()}
    found |= {f"served_{name}": value for name, value in served.items()}
    return {name: np.asarray(value) for name, value in found.items()}


if __name__ == "__main__":
    _, workdir, exported, images, target = sys.argv
    np.savez(target, **outputs(workdir, exported, np.load(images)))
