"""Predicts classes and clusters of images with a SavedModel, and writes them back.

    python -m foc_tf.predict --model=export/models/mine/1 --source=photos --output=mine.csv
    python -m foc_tf.predict --model=export/models/mine/1 --source=data/mine \\
        --format=ecotaxa --output=ecotaxa_update.tsv

--source is anything that foc_tf.prepare reads, or a prepared dataset.
"""

import pathlib
import sys

from foc_tf import program

# isort: split

import csv

import numpy as np
import tensorflow as tf
from absl import flags

from foc_tf import annotations, source_flags
from foc_tf.formats import FORMATS, dcic, guess, image_check, merging
from foc_tf.formats.predictions import WRITERS, Predictions

FLAGS = flags.FlagValues()
source_flags.define(FLAGS)
flags.DEFINE_string("model", None, "SavedModel: <name>/<version>.", flag_values=FLAGS)
flags.DEFINE_string(
    "output", None, "File to write; for dcic the folder of the file.", flag_values=FLAGS
)
flags.DEFINE_enum("format", "csv", list(WRITERS), "Whose table to write.", flag_values=FLAGS)
flags.DEFINE_integer("batch_size", 64, "Images of a step.", flag_values=FLAGS)
flags.DEFINE_string(
    "dcic_name", None, "DCIC's name of the data set; default its own. (dcic)", flag_values=FLAGS
)
flags.DEFINE_integer(
    "dcic_annotations", 1, "Annotations an image that were used. (dcic)", flag_values=FLAGS
)
flags.DEFINE_float(
    "dcic_labelled", 1.0, "Share of the images that was labelled. (dcic)", flag_values=FLAGS
)
flags.DEFINE_bool(
    "include_labelled",
    False,
    "Write also the objects on which the annotators agree. (ecotaxa)",
    flag_values=FLAGS,
)


class Model:
    """A SavedModel with its classes and clusters.

    Args:
      folder: `<name>/<version>` as foc_tf.export writes it.

    Raises:
      ValueError: if it is not such a folder.
    """

    def __init__(self, folder):
        """See the class."""
        self.folder = pathlib.Path(folder)
        if not (self.folder / "saved_model.pb").exists():
            raise ValueError(
                f"model: {folder} has no saved_model.pb; give <export_dir>/<name>/<version>."
            )
        try:
            classes = (self.folder / "assets" / "classes.txt").read_text(encoding="utf-8")
        except OSError:
            raise ValueError(f"model: {folder} has no assets/classes.txt.") from None
        self.classes = classes.removesuffix("\n").split("\n")
        self.cluster_classes, self.cluster_names = self._clusters()
        self._loaded = tf.saved_model.load(str(self.folder))
        self._predict = self._loaded.signatures["image_bytes"]

    def _clusters(self):
        path = self.folder / "assets" / "clusters.csv"
        if not path.exists():
            return np.zeros(0, np.int64), []
        ids = {name: index for index, name in enumerate(self.classes)}
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        known = [ids.get(row["class"], -1) for row in rows]
        return np.array(known, np.int64), [row["name"] for row in rows]

    def predict(self, encoded):
        """Outputs of some encoded images: dict of arrays with the batch first."""
        outputs = self._predict(image_bytes=tf.constant(encoded))
        return {name: value.numpy() for name, value in outputs.items()}


def predict(model, collection, batch_size=64, max_pixels=image_check.MAX_PIXELS, progress=None):
    """Predicts all images of a collection.

    Args:
      model: `Model`.
      collection: `formats.collection.Collection`; unreadable images go to its skipped ones.
      batch_size: images of a step.
      max_pixels: of `image_check.usable`.
      progress: function of (done, total), or None.

    Returns:
      `formats.predictions.Predictions`.

    Raises:
      ValueError: if no image can be used.
    """
    kept, waiting, parts = [], [], []

    def step():
        outputs = model.predict([content for _, content in waiting])
        kept.extend(item for item, _ in waiting)
        parts.append({k: outputs[k] for k in ("class_probs", "cluster_probs") if k in outputs})
        waiting.clear()
        if progress:
            progress(len(kept), len(collection))

    for item, file in enumerate(collection.files):
        try:
            waiting.append((item, image_check.usable(collection.tree.read(file), max_pixels)[0]))
        except ValueError as error:
            collection.skip(f"{collection.tree}/{file}", str(error))
        if len(waiting) == batch_size:
            step()
    if waiting:
        step()
    if not kept:
        where, reason = collection.skipped[-1]
        raise ValueError(f"{where}: {reason}. No image of {collection.tree} can be used.")
    return _predictions(model, collection, kept, parts)


def _predictions(model, collection, kept, parts):
    ids = np.arange(len(collection.classes))
    total, most, _ = merging.most_voted(merging.vote_table(collection, ids, len(ids)))
    certain = annotations.is_certain(most, total, collection.info.get("certain_threshold", 1.0))
    values = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return Predictions(
        images=[collection.source(item) for item in kept],
        objects=[collection.objects[item] for item in kept],
        splits=[collection.splits.get(item, "") for item in kept],
        labelled=certain[kept],
        class_probs=values["class_probs"],
        cluster_probs=values.get("cluster_probs"),
        classes=model.classes,
        cluster_classes=model.cluster_classes,
        cluster_names=model.cluster_names,
        category_ids=collection.info.get("category_ids", {}),
    )


def main():
    """The program."""
    f = FLAGS
    for name in ("model", "output"):
        if not getattr(f, name):
            raise ValueError(f"{name}: give --{name}.")
    tree, table = source_flags.open_source(f)
    kind = f.source_format if f.source_format != "auto" else guess(tree, table)
    collection = FORMATS[kind](tree, **source_flags.reader_options(f, kind, table))
    model = Model(f.model)
    result = predict(
        model,
        collection,
        f.batch_size,
        round(f.max_image_megapixels * 1e6),
        source_flags.progress if sys.stderr.isatty() else None,
    )
    if f.include_labelled:
        result.labelled[:] = False
    output = pathlib.Path(f.output)
    if f.format == "dcic":
        name = f.dcic_name or str(collection.info.get("name", collection.name))
        known = (f.dcic_annotations, f.dcic_labelled, f.v_fold)
        output /= dcic.predictions_name("foc_tf", name, *known)
    count = WRITERS[f.format](output, result)
    for where, reason in collection.skipped:
        program.log(f"left out: {where} ({reason})")
    print(f"{count:,} rows: {output}")


if __name__ == "__main__":
    program.run(main, FLAGS, "nothing was written.")
