"""A finished run as a review sees it: images, votes, predictions, pictures, scores."""

import dataclasses
import functools
import pathlib
from typing import Any

import numpy as np
import pandas as pd

from foc_tf import files
from foc_tf.review_data import keeping, thumbnails

_COLUMNS = (
    *("image", "split", "certain", "reference_class", "normal_class", "normal_prob"),
    *("cluster", "cluster_prob", "cluster_class"),
)


@dataclasses.dataclass(frozen=True)
class RunData:
    """All that is known of the images of one run, N of them in one order.

    Attributes:
      workdir: pathlib.Path.
      classes: C names.
      ids: [N] object, names of the images.
      split: [N] object, "train", "val" or "test".
      certain: [N] bool, whether the annotators agree; False without votes.
      votes: [N, C] int64 counts.
      reference: [N] int64 most-voted class, -1 without votes.
      labels: [N] int64 labels that training used, -1 = none.
      normal_class: [N] int64 class by the normal head.
      normal_prob: [N] float64, its probability.
      class_probs: [N, C] float64, the normal head's probabilities.
      overclustered: whether there is an overclustering head. Without one (supervised runs) the
        clusters are the predicted classes.
      num_clusters: K.
      cluster: [N] int64.
      cluster_prob: [N] float64, probability of that cluster.
      cluster_class: [N] int64, class of that cluster by the labelled training images (protocol
        `train`), -1 = none.
      features: [N, D] float32, principal components of the backbone's features, D at most 32.
      explained: [D] float64, share of the features' variance in each.
      pictures: `review_data.thumbnails.Thumbnails`: `pictures[i]` are PNG or JPEG bytes.
      dataset: its name.
      licence: of the data set.
      source: of the data set.
      ignored_classes: names that consistency scores leave out (no-fit).
      report: dict of report.json.
      flags: text of flags.txt, "" if there is none (results of `evaluate --output`).
    """

    workdir: pathlib.Path
    classes: tuple[str, ...]
    ids: np.ndarray
    split: np.ndarray
    certain: np.ndarray
    votes: np.ndarray
    reference: np.ndarray
    labels: np.ndarray
    normal_class: np.ndarray
    normal_prob: np.ndarray
    class_probs: np.ndarray
    overclustered: bool
    num_clusters: int
    cluster: np.ndarray
    cluster_prob: np.ndarray
    cluster_class: np.ndarray
    features: np.ndarray
    explained: np.ndarray
    pictures: thumbnails.Thumbnails
    dataset: str
    licence: str
    source: str
    ignored_classes: tuple[str, ...]
    report: dict[str, Any]
    flags: str

    @functools.cached_property
    def fuzzy(self) -> np.ndarray:
        """[N] bool, whether an image has votes and its annotators disagree."""
        return ~self.certain & (self.reference >= 0)

    @functools.cached_property
    def index(self) -> dict[str, int]:
        """{name: number} of all images."""
        return {name: number for number, name in enumerate(self.ids)}

    def images(self, split: str) -> np.ndarray:
        """[M] int64, the images that report.json scores as `split`.

        Args:
          split: "val", "fuzzy", "hidden" or "test", as `report.SPLITS`.
        """
        if split == "fuzzy":
            return np.flatnonzero(self.fuzzy)
        if split == "hidden":
            return np.flatnonzero(self.certain & (self.split == "train") & (self.labels < 0))
        return np.flatnonzero(self.certain & (self.split == split))


def read(workdir: pathlib.Path | str) -> RunData:
    """Reads a finished run (`train`, `evaluate`) without TensorFlow and without its data set.

    Args:
      workdir: folder with report.json, predictions.csv and review_data.

    Returns:
      `RunData`.

    Raises:
      ValueError: if a file is missing, damaged or of another run; names it and says what to do.
    """
    workdir = pathlib.Path(workdir)
    report = _report(workdir / "report.json")
    classes = tuple(report["classes"])
    path = workdir / "predictions.csv"
    table = _table(path, classes)
    kept = keeping.read(workdir, table["image"], len(classes))
    num_clusters = kept.about["clusters"]
    ids = {name: number for number, name in enumerate(classes)} | {"": -1}
    columns = {
        name: _class_ids(path, table[f"{name}_class"], ids)
        for name in ("reference", "normal", "cluster")
    }
    probs = _numbers(path, table, [f"prob_{name}" for name in classes])
    normal_prob = _numbers(path, table, ["normal_prob"])[:, 0]
    if num_clusters:
        cluster = _clusters(path, table["cluster"], num_clusters)
        cluster_prob = _numbers(path, table, ["cluster_prob"])[:, 0]
    else:
        cluster, cluster_prob = columns["normal"], normal_prob
        columns["cluster"] = columns["normal"]
    flags = workdir / "flags.txt"
    return RunData(
        workdir=workdir,
        classes=classes,
        ids=table["image"].to_numpy(object),
        split=table["split"].to_numpy(object),
        certain=(table["certain"] == "True").to_numpy(),
        votes=kept.votes,
        reference=columns["reference"],
        labels=kept.labels,
        normal_class=columns["normal"],
        normal_prob=normal_prob,
        class_probs=probs,
        overclustered=bool(num_clusters),
        num_clusters=num_clusters or len(classes),
        cluster=cluster,
        cluster_prob=cluster_prob,
        cluster_class=columns["cluster"],
        features=kept.features,
        explained=kept.explained,
        pictures=kept.pictures,
        dataset=kept.about["dataset"],
        licence=kept.about["licence"],
        source=kept.about["source"],
        ignored_classes=tuple(kept.about["ignored_classes"]),
        report=report,
        flags=flags.read_text(encoding="utf-8") if flags.exists() else "",
    )


def _report(path):
    if not path.exists():
        raise ValueError(
            f"{path}: no such file; is {path.parent} the workdir of a finished run? Train first, "
            "or go on with a run that was stopped: python -m foc_tf.train"
        )
    try:
        report = files.read_json(path)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not JSON ({error}).") from None
    classes = report.get("classes") if isinstance(report, dict) else None
    named = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
    if not named or not classes or not isinstance(report.get("splits"), dict):
        raise ValueError(f"{path}: expected a report of foc_tf with classes and splits.")
    return report


def _table(path, classes):
    if not path.exists():
        raise ValueError(f"{path}: no such file. Write it anew: python -m foc_tf.evaluate")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a CSV table ({error}).") from None
    missing = [c for c in (*_COLUMNS, *(f"prob_{c}" for c in classes)) if c not in table]
    if missing:
        raise ValueError(f"{path}: has no column {missing[0]!r}; is it of this run?")
    if table["image"].duplicated().any():
        raise ValueError(f"{path}: an image has two rows.")
    return table


def _class_ids(path, column, ids):
    found = column.map(ids)
    if found.isna().any():
        name = column[found.isna()].iloc[0]
        raise ValueError(f"{path}: {column.name} {name!r} is no class of report.json.")
    return found.to_numpy(np.int64)


def _numbers(path, table, names):
    """[N, len(names)] float64 of columns."""
    try:
        values = np.stack([table[name].to_numpy(object).astype(np.float64) for name in names], 1)
    except ValueError as error:
        raise ValueError(f"{path}: {names[0]}: {error}.") from None
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"{path}: {names[0]} ...: expected probabilities from 0 to 1.")
    return values


def _clusters(path, column, num_clusters):
    good = column.str.fullmatch(r"[0-9]{1,9}").to_numpy(bool)
    if not good.all():
        word = column[~good].iloc[0]
        raise ValueError(f"{path}: cluster: expected a whole number, found {word!r}.")
    values = column.to_numpy(object).astype(np.int64)
    if len(values) and values.max() >= num_clusters:
        raise ValueError(
            f"{path}: cluster {values.max()}, but review_data/about.json has {num_clusters}: are "
            "both of this run?"
        )
    return values
