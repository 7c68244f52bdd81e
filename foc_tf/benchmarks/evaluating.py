"""A whole evaluation's pass over images against the bare forward pass."""

import numpy as np
import tensorflow as tf

from foc_tf import build, evaluate
from foc_tf.benchmarks.timing import Options, Row, interleaved, row

# Enough for the start of a pipeline and of Keras's predict, some 0.1 s, not to be what is measured.
_IMAGES = 1024


def evaluation(options: Options) -> list[Row]:
    """All sub-heads' outputs of images in memory / the backbone's forward pass."""
    size = options.image_size
    model = build.build_model("foc", options.backbone, 10, size, k=60)
    load = size * 3 // 2
    table = tf.cast(tf.random.uniform((_IMAGES, load, load, 3), 0, 255), tf.uint8)
    shown = np.arange(_IMAGES)
    cropped = tf.cast(table[:, :size, :size], tf.float32)
    forward = tf.function(lambda x: model.backbone(x, training=False))
    functions = {
        "evaluate": lambda: evaluate.outputs(
            model, lambda i: tf.gather(table, i), _IMAGES, shown, size
        ),
        "bare": lambda: [forward(cropped[i : i + 128]) for i in range(0, _IMAGES, 128)],
    }
    times = interleaved(functions, max(3, options.rounds // 3), warm_up=1)
    note = f"{options.backbone}, {size} px, {_IMAGES} images"
    return [
        row(
            "evaluation: crop, all sub-heads / bare forward pass",
            times,
            "evaluate",
            "bare",
            target="<= 1.05",
            note=note,
        )
    ]
