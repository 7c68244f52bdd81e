"""Writes a SavedModel that TF Serving takes as it is: signatures, assets, warm-up, model card."""

import dataclasses
import os
import pathlib
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import tensorflow as tf

from foc_tf import files
from foc_tf.serving import cluster_names, module, warmup

if TYPE_CHECKING:
    from foc_tf.model import SemiSupervisedModel
    from foc_tf.report import Scorer

SIGNATURES = {
    "serving_default": ("from_pixels", tf.TensorSpec((None, None, None, 3), tf.float32, "image")),
    "image_bytes": ("from_bytes", tf.TensorSpec((None,), tf.string, "image_bytes")),
}


@dataclasses.dataclass(frozen=True)
class Options:
    """What can be chosen of an export.

    Attributes:
      all_heads: the outputs of all sub-heads beside the best ones'.
      names: table of names of the clusters, None for none.
      card: dict, more entries of `model_card.json`.
      conversions: functions (served, folder) that write other forms of the model beside it and
        return an entry of `model_card.json`.
    """

    all_heads: bool = False
    names: pathlib.Path | None = None
    card: dict = dataclasses.field(default_factory=dict)
    conversions: tuple = ()


def write(
    folder: pathlib.Path | str,
    model: "SemiSupervisedModel",
    scorer: "Scorer",
    result: dict[str, Any],
    options: Options = Options(),
) -> pathlib.Path:
    """Writes the next version of a SavedModel.

    Args:
      folder: `<name>/`; versions are its subfolders.
      model: as `build.load` gives it.
      scorer: `report.Scorer` of the model on its data set: best sub-heads and cluster classes.
      result: the report; its scores go into `model_card.json`.
      options: `Options`.

    Returns:
      Path of the version's folder.

    Raises:
      ValueError: if the table of names is wrong.
      conversion.Differs: if another form of the model does not do what the model does.
    """
    folder = pathlib.Path(folder).absolute()
    table, cluster_classes = _clusters(scorer, options.names)
    folder.mkdir(parents=True, exist_ok=True)
    files.remove_leftovers(folder, ".*.tmp")
    temporary = files.temporary_of(folder / "version")
    try:
        served = make(model, scorer.best, cluster_classes, options.all_heads)
        _save(served, temporary, scorer.image_set.classes, table)
        warmup.write(temporary / warmup.FILE, folder.name, served.load_size)
        card = _card(model.details, result) | options.card
        for convert in options.conversions:
            card |= convert(served, temporary)
        files.write_json(temporary / "model_card.json", card)
        return _publish(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def make(
    model: "SemiSupervisedModel",
    best: dict[str, int],
    cluster_classes: np.ndarray,
    all_heads: bool = False,
) -> module.Served:
    """The `module.Served` of a model as `build.load` gives it."""
    details = model.details
    return module.Served(
        model,
        best,
        cluster_classes,
        details["load_size"],
        details["image_size"],
        model.recipe["channels"],  # type: ignore[index]
        all_heads,
    )


def _save(served, path, classes, table):
    """The SavedModel; its text files are assets of its own, so that saving it again keeps them."""
    beside = files.temporary_of(path.with_name("assets"))
    beside.mkdir()
    try:
        (beside / "classes.txt").write_text("\n".join(classes) + "\n", encoding="utf-8")
        served.classes = tf.saved_model.Asset(str(beside / "classes.txt"))
        if table is not None:
            files.write_csv(beside / "clusters.csv", table)
            served.clusters = tf.saved_model.Asset(str(beside / "clusters.csv"))
        functions = {
            name: tf.function(getattr(served, method)).get_concrete_function(spec)
            for name, (method, spec) in SIGNATURES.items()
        }
        tf.saved_model.save(served, str(path), signatures=functions)
    finally:
        shutil.rmtree(beside)


def _clusters(scorer, names_table):
    """(table of clusters or None, [K] int class of each)."""
    if "over" not in scorer.heads:
        return None, np.full(1, -1, np.int32)
    classes, found = scorer.image_set.classes, np.array(scorer.cluster_classes())
    names = [""] * len(found)
    if names_table:
        names, given = cluster_names.read(names_table, len(found), list(classes))
        for cluster, index in given.items():
            found[cluster] = index
    assigned = scorer.outputs["over_probs"][:, scorer.best["over"]].argmax(1)
    table = pd.DataFrame(
        {
            "cluster": np.arange(len(found)),
            "class": [classes[c] if c >= 0 else "" for c in found],
            "name": names,
            "size": np.bincount(assigned, minlength=len(found)),
        }
    )
    return table, found


def _card(details, result):
    scores = {
        split: {head: values.get(head) for head in ("normal", "over")}
        for split, values in result["splits"].items()
    }
    keys = (
        *("dataset", "classes", "licence", "method", "seed", "versions"),
        *("load_size", "image_size"),
    )
    signatures = {name: f"{s.name}: {s.dtype.name}" for name, (_, s) in SIGNATURES.items()}
    limits = {"pixels_of_an_image": module.MAX_PIXELS, "rows_at_once": module.ROWS_AT_ONCE}
    return {key: details[key] for key in keys} | {
        "scores": scores,
        "signatures": signatures,
        "limits": limits,
    }


def _publish(temporary, folder):
    """Renames a folder to the next free whole number, complete and on the disk."""
    for path in sorted(temporary.rglob("*"), reverse=True):
        _sync(path)
    _sync(temporary)
    while True:
        versions = [int(p.name) for p in folder.iterdir() if p.name.isdecimal()]
        target = folder / str(max(versions, default=0) + 1)
        try:
            os.rename(temporary, target)
        except OSError:
            # Another export took the number a moment ago.
            if not target.exists():
                raise
            continue
        _sync(folder)
        return target


def _sync(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
