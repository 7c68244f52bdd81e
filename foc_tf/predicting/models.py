"""What `predict` asks: a SavedModel, or the best model of a training run's workdir."""

import csv
import hashlib
import pathlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from foc_tf import build, report, run_tables
from foc_tf.serving import saved_model
from foc_tf.spreadsheets import original

_BLOCK_BYTES = 2**20


def load(path: pathlib.Path | str) -> "Model | RunModel":
    """`Model` of a SavedModel's folder, `RunModel` of a workdir.

    Raises:
      ValueError: if `path` is neither, or something in it is missing.
    """
    path = pathlib.Path(path)
    if (path / "best" / "model.json").exists():
        return RunModel(path)
    if not (path / "saved_model.pb").exists():
        raise ValueError(
            f"model: {path} has neither saved_model.pb nor best/model.json; give a SavedModel "
            "(<export_dir>/<name>/<version>) or the workdir of a training run."
        )
    return Model(path)


class Model:
    """A SavedModel with its classes and clusters.

    Attributes:
      folder: pathlib.Path of it.
      classes: C names.
      cluster_classes: [K] int, -1 = none; [0] for a model without clusters.
      cluster_names: K names given by an expert, "" where none is.

    Args:
      folder: `<name>/<version>` as foc_tf.export writes it.

    Raises:
      ValueError: if it is not such a folder.
    """

    def __init__(self, folder: pathlib.Path | str) -> None:
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
        known = [ids.get(original(row["class"]), -1) for row in rows]
        return np.array(known, np.int64), [original(row["name"]) for row in rows]

    def predict(self, encoded: Sequence[bytes]) -> dict[str, np.ndarray]:
        """Outputs of some encoded images: dict of arrays with the batch first."""
        outputs = self._predict(image_bytes=tf.constant(encoded))
        return {name: value.numpy() for name, value in outputs.items()}

    def digest(self) -> str:
        """Hash of all its files: two models of one digest say the same."""
        return _digest(path for path in sorted(self.folder.rglob("*")) if path.is_file())


class RunModel:
    """The best weights of a training run, as the program that its export would serve.

    The sub-heads and the clusters' classes are those of the run's report.json and predictions.csv.

    Attributes:
      folder, classes, cluster_classes, cluster_names: as `Model` has them.

    Args:
      folder: workdir of a finished run.

    Raises:
      ValueError: if the run is not finished.
    """

    def __init__(self, folder: pathlib.Path | str) -> None:
        """See the class."""
        self.folder = pathlib.Path(folder)
        for name in ("report.json", "predictions.csv"):
            if not (self.folder / name).exists():
                raise ValueError(
                    f"model: {folder} has no {name}, so its training has not ended. Start it "
                    f"again, or run python -m foc_tf.evaluate --workdir={folder}."
                )
        self._model = build.load(folder)
        self.classes = list(self._model.classes)
        self._best = _best_sub_heads(self.folder, self._model)
        self.cluster_classes = _cluster_classes(self.folder, self.classes, self._model.k)
        self.cluster_names = [""] * self._model.k
        self._served = saved_model.make(self._model, self._best, self.cluster_classes)
        self._step = tf.function(
            self._served.from_bytes,
            input_signature=[tf.TensorSpec((None,), tf.string, "image_bytes")],
        )

    def predict(self, encoded: Sequence[bytes]) -> dict[str, np.ndarray]:
        """Outputs of some encoded images: dict of arrays with the batch first."""
        return {k: v.numpy() for k, v in self._step(tf.constant(encoded, tf.string)).items()}

    def digest(self) -> str:
        """Hash of its weights and of all that decides what they say."""
        best = self.folder / "best"
        parts = _digest([best / "model.weights.h5", best / "model.json"])
        chosen = f"{parts} {sorted(self._best.items())} {self.cluster_classes.tolist()}"
        return hashlib.blake2b(chosen.encode(), digest_size=16).hexdigest()


def _best_sub_heads(folder, model):
    """{head: best copy} as the report has it."""
    if model.num_sub_heads == 1:
        return dict.fromkeys(model.head_names, 0)
    known = range(model.num_sub_heads)
    for scores in report.read(folder / "report.json")["splits"].values():
        heads = [scores.get(head) for head in model.head_names]
        found = [head.get("sub_head") if isinstance(head, dict) else None for head in heads]
        if all(isinstance(copy, int) and copy in known for copy in found):
            return dict(zip(model.head_names, found))
    raise ValueError(
        f"model: {folder}/report.json scores no split, so it does not say which sub-head is best; "
        f"run python -m foc_tf.export --workdir={folder} and give --model its SavedModel."
    )


def _cluster_classes(folder, classes, k):
    """[K] int: what predictions.csv calls each cluster; -1 for clusters without a class."""
    result, path = np.full(k, -1, np.int64), folder / "predictions.csv"
    if k:
        table = run_tables.read(path, ("cluster", "cluster_class"))
        known = table["cluster"].isin([str(cluster) for cluster in range(k)])
        if not known.all():
            found = str(table["cluster"][~known].iloc[0])[:80]
            raise ValueError(f"{path}: cluster: expected 0 to {k - 1}, found {found!r}.")
        clusters = table["cluster"].astype(np.int64).to_numpy()
        result[clusters] = run_tables.ids(path, table["cluster_class"], classes)
    return result


def _digest(paths):
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        with open(path, "rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()
