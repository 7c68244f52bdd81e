"""Exports the best model of a workdir as a SavedModel with preprocessing inside.

    python -m foc_tf.export --workdir=runs/digits

The version is the next free whole number under the export folder; it appears there by a rename,
complete.
"""

import os
import pathlib
import shutil
import sys

from foc_tf import program

# isort: split

import numpy as np
import pandas as pd
import tensorflow as tf
from absl import flags as absl_flags

from foc_tf import files
from foc_tf.augment import AUGMENTATIONS
from foc_tf.data import decoding, pipeline


class Served(tf.Module):
    """The served program: images or encoded bytes of any size -> classes, clusters and features.

    Args:
      model: a `model.SemiSupervisedModel`.
      best: {"normal": sub-head, "over": sub-head}.
      cluster_classes: [K] int class of each cluster, -1 = none.
      load_size: side in pixels after the resize.
      image_size: side in pixels of the centre crop.
      channels: 1 or 3.
    """

    def __init__(self, model, best, cluster_classes, load_size, image_size, channels):
        """See the class."""
        super().__init__()
        self.model, self.best = model, dict(best)
        self.cluster_classes = tf.constant(cluster_classes, tf.int32)
        self.load_size, self.image_size, self.channels = load_size, image_size, channels

    def _predict(self, loaded):
        images = AUGMENTATIONS["center_crop"](
            loaded, tf.constant([0, 0], tf.int64), self.image_size
        )
        outputs = self.model(images, training=False)
        result = {
            "class_probs": outputs["normal_probs"][:, self.best["normal"]],
            "features": outputs["features"],
        }
        if "over" in self.best:
            over = outputs["over_probs"][:, self.best["over"]]
            cluster = tf.argmax(over, axis=1, output_type=tf.int32)
            result |= {
                "cluster": cluster,
                "cluster_probs": over,
                "cluster_class": tf.gather(self.cluster_classes, cluster),
            }
        return result

    def from_pixels(self, image):
        """`serving_default`: [N, H, W, 3] float in 0..255."""
        return self._predict(decoding.resize(image, self.load_size, self.channels))

    def from_bytes(self, image_bytes):
        """`image_bytes`: [N] string, PNG / JPEG / GIF / BMP."""

        def decode(row):
            index, encoded = row
            size = (self.load_size, self.load_size, self.channels)
            with tf.control_dependencies([_assert_image(index, encoded)]):
                return tf.ensure_shape(decoding.decode(encoded, *size[1:]), size)

        loaded = tf.map_fn(
            decode,
            (tf.range(tf.size(image_bytes)), image_bytes),
            fn_output_signature=tf.TensorSpec(
                (self.load_size, self.load_size, self.channels), tf.uint8
            ),
        )
        return self._predict(loaded)


def _assert_image(index, encoded):
    """Fails with INVALID_ARGUMENT that names the row, before the decoder's own message."""
    starts = [b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM"]
    known = tf.reduce_any(
        [tf.equal(tf.strings.substr(encoded, 0, len(s)), tf.constant(s)) for s in starts]
    )
    message = "image_bytes: not a PNG, JPEG, GIF or BMP image; row"
    return tf.debugging.Assert(known, [message, index])


def write(folder, model, scorer, result):
    """Writes the next version of a SavedModel.

    Args:
      folder: `<name>/`; versions are its subfolders.
      model: as `build.load` gives it.
      scorer: `report.Scorer` of the model on its data set: best sub-heads and cluster classes.
      result: the report; its scores go into `model_card.json`.

    Returns:
      Path of the version's folder.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    clusters = scorer.cluster_classes() if "over" in scorer.heads else np.zeros(1, np.int32) - 1
    details = model.details
    served = Served(
        model,
        scorer.best,
        clusters,
        details["load_size"],
        details["image_size"],
        model.recipe["channels"],
    )
    versions = [int(p.name) for p in folder.iterdir() if p.name.isdigit()]
    target = folder / str(max(versions, default=0) + 1)
    temporary = folder / f".writing-{os.getpid()}"
    try:
        _save(served, temporary)
        _write_assets(temporary / "assets", scorer, clusters)
        files.write_json(temporary / "model_card.json", _card(details, result))
        os.rename(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _save(served, path):
    pixels = tf.function(served.from_pixels).get_concrete_function(
        tf.TensorSpec((None, None, None, 3), tf.float32, name="image")
    )
    encoded = tf.function(served.from_bytes).get_concrete_function(
        tf.TensorSpec((None,), tf.string, name="image_bytes")
    )
    signatures = {"serving_default": pixels, "image_bytes": encoded}
    tf.saved_model.save(served, str(path), signatures=signatures)


def _write_assets(folder, scorer, clusters):
    folder.mkdir(exist_ok=True)
    classes = scorer.image_set.classes
    with files.replacing(folder / "classes.txt", "w") as file:
        file.write("\n".join(classes) + "\n")
    if "over" not in scorer.heads:
        return
    assigned = scorer.outputs["over_probs"][:, scorer.best["over"]].argmax(1)
    table = pd.DataFrame(
        {
            "cluster": np.arange(len(clusters)),
            "class": [classes[c] if c >= 0 else "" for c in clusters],
            "name": "",
            "size": np.bincount(assigned, minlength=len(clusters)),
        }
    )
    files.write_csv(folder / "clusters.csv", table)


def _card(details, result):
    scores = {
        split: {head: values.get(head) for head in ("normal", "over")}
        for split, values in result["splits"].items()
    }
    keys = (
        "dataset",
        "classes",
        "licence",
        "method",
        "seed",
        "versions",
        "load_size",
        "image_size",
    )
    return {key: details[key] for key in keys} | {"scores": scores}


def main():
    """The program."""
    from foc_tf import build, evaluate, report
    from foc_tf import flags as foc_flags
    from foc_tf.data import reading

    workdir = evaluate.restore_flags(sys.argv)
    f = absl_flags.FLAGS
    model = build.load(workdir)
    image_set, labels, _ = reading.read(
        f.dataset, f.data_dir, f.certain_threshold, f.labels_per_class, f.seed
    )
    count = len(image_set.ids)
    loader = pipeline.make_loader(
        image_set.sources,
        f.load_size,
        model.recipe["channels"],
        **foc_flags.loading(f, workdir),
        log=program.log,
    )
    values = evaluate.outputs(model, loader, count, np.arange(count), f.image_size)
    scorer = report.Scorer(image_set, labels, values)
    folder = f.export_dir or f"export/models/{workdir.name}"
    print(f"SavedModel: {write(folder, model, scorer, {'splits': scorer.splits()})}")


if __name__ == "__main__":
    from foc_tf import flags as _flags  # noqa: F401  defines them

    program.run(main)
