"""Images a CPU-second of `predict`, from encoded files to rows of a table."""

import itertools
import pathlib
import tempfile

import keras
import numpy as np
import tensorflow as tf

from foc_tf import build
from foc_tf.benchmarks.timing import Options, Row, interleaved, quartiles
from foc_tf.formats import FORMATS
from foc_tf.formats.tree import Tree
from foc_tf.predicting import local
from foc_tf.serving import saved_model

FILES = 256
_CLASSES, _CLUSTERS = 10, 60
_POLICIES = ("float32", "mixed_bfloat16")


class _Untrained:
    """What `local.run` asks of a model, of one whose weights are still random."""

    def __init__(self, backbone, size, policy):
        before = keras.mixed_precision.global_policy()
        keras.mixed_precision.set_global_policy(policy)
        try:
            model = build.build_model("foc", backbone, _CLASSES, size, k=_CLUSTERS)
        finally:
            keras.mixed_precision.set_global_policy(before)
        model.details = {"load_size": size * 3 // 2, "image_size": size}
        self.classes = [f"class{index}" for index in range(_CLASSES)]
        self.cluster_classes = np.arange(_CLUSTERS) % _CLASSES
        self.cluster_names = [""] * _CLUSTERS
        served = saved_model.make(model, {"normal": 0, "over": 0}, self.cluster_classes)
        specification = tf.TensorSpec((None,), tf.string, "image_bytes")
        self._step = tf.function(served.from_bytes, input_signature=[specification])
        self.folder = backbone

    def predict(self, encoded):
        """Outputs of some encoded images."""
        return {name: value.numpy() for name, value in self._step(tf.constant(encoded)).items()}

    def digest(self):
        """Any word: nothing is gone on with."""
        return self.folder


def prediction(options: Options) -> list[Row]:
    """Files of 96 px (at 64) through `predicting.local`, the whole of what `predict` does."""
    side = options.image_size * 3 // 2
    models = {p: _Untrained(options.backbone, options.image_size, p) for p in _POLICIES}
    with tempfile.TemporaryDirectory() as folder:
        photographs = pathlib.Path(folder, "photographs")
        size = _write(photographs, side)
        collection = FORMATS["folder"](Tree(photographs))
        outputs = (pathlib.Path(folder, f"{index}.csv") for index in itertools.count())
        functions = {
            policy: lambda model=model: local.run(local.Job(model, collection, next(outputs)))[0]
            for policy, model in models.items()
        }
        times = interleaved(functions, max(3, options.rounds // 3), warm_up=1)
    rows = []
    for policy in _POLICIES:
        wall, cpu = times[policy]
        low, rate, high = quartiles(FILES / cpu)
        rows.append(
            Row(
                f"prediction: {options.backbone}, {policy.removeprefix('mixed_')} / float32",
                quartiles(wall / times["float32"][0]),
                quartiles(cpu / times["float32"][1]),
                float(np.median(wall)),
                note=f"{rate:,.0f} ({low:,.0f}-{high:,.0f}) images a CPU-second; {side} px PNG "
                f"of {size / FILES / 1000:.1f} kB, {options.image_size} px shown",
            )
        )
    return rows


def _write(folder, side):
    """Writes `FILES` images, grey as vignettes are; their bytes together."""
    folder.mkdir()
    coarse = tf.random.stateless_uniform((FILES, 12, 12, 1), [5, 6], 0, 255)
    images = tf.cast(tf.image.resize(coarse, (side, side)), tf.uint8)
    contents = [tf.io.encode_png(image).numpy() for image in images]
    for index, content in enumerate(contents):
        (folder / f"{index:04}.png").write_bytes(content)
    return sum(map(len, contents))
