"""DCIC's annotations (data-centric image classification benchmark) and its predictions.

The folder or zip has `fold1` .. `fold5` and `annotations.json`: a list of sets of annotations, each
entry a vote. Source: Schmarje et al., "Is one annotation enough?" (2022), code Emprime/dcic.
"""

import datetime
from collections.abc import Iterable
from typing import Any

from foc_tf.formats import dcic_slices
from foc_tf.formats.collection import Collection
from foc_tf.formats.text import load_json
from foc_tf.formats.tree import Tree, folder_of, inside

FOLDS = 5


def split_of(fold: int, v_fold: int) -> str:
    """Split of an image of `fold` (1 to 5) in the slice `v_fold` (1 to 5).

    As the code has it, which the published scores come from: validation is fold v_fold + 1, test
    v_fold + 2. The README of DCIC counts one less.
    """
    return {v_fold % FOLDS + 1: "val", (v_fold + 1) % FOLDS + 1: "test"}.get(fold, "train")


def read(tree: Tree, v_fold: int = 1, votes_per_image: int = 0) -> Collection:
    """Reads annotations.json and the folds beside it, or, where there is none, a slice's file.

    Args:
      tree: `tree.Tree` of the data set.
      v_fold: slice, 1 to 5, that says which folds are for validation and test.
      votes_per_image: factor that turns the shares of a slice's file into whole votes.

    Returns:
      `collection.Collection`; classes are sorted by name, as DCIC has them.

    Raises:
      ValueError: if the file is missing, twice there or not of this form, or v_fold out of range.
    """
    if not 1 <= v_fold <= FOLDS:
        raise ValueError(f"v_fold: expected 1 to {FOLDS}, found {v_fold}.")
    found = [n for n in tree.names if n == "annotations.json" or n.endswith("/annotations.json")]
    slices = dcic_slices.find(tree, v_fold)
    if not found and len(slices) == 1:
        return dcic_slices.read(tree, slices[0], votes_per_image)
    if len(found) != 1:
        raise ValueError(
            f"source: expected one annotations.json, or one file *-slice{v_fold}.json, in {tree}, "
            f"found {len(found)} and {len(slices)}. Give one data set of DCIC, the folder with "
            "fold1 .. fold5."
        )
    where, base = str(tree.path / found[0]), folder_of(found[0])
    sets = load_json(tree.read(found[0]), where)
    collection = Collection(base or tree.path.stem, tree)
    entries = list(_entries(sets, where, collection))
    for name in sorted({entry[2] for entry in entries}):
        collection.class_id(name)
    for place, image, label, annotator in entries:
        file = _find(tree, base, image, place)
        if file is None:
            collection.skip(place, f"image {image!r:.200} is not there")
            continue
        item = collection.item(file, file)
        collection.vote(item, label, annotator)
    for name in tree.images(f"{base}/".lstrip("/")):
        collection.item(name, name)
    _add_splits(collection, v_fold)
    if not entries or not len(collection):
        raise ValueError(f"{where}: no annotation of an image that is there.")
    return collection


def _entries(sets, where, collection):
    """Yields (where, image path, class, annotator) of every vote; no class, no vote."""
    if not isinstance(sets, list):
        raise ValueError(f"{where}: expected a list of sets, found {type(sets).__name__}.")
    for number, one in enumerate(sets):
        place = f"{where}, set {number}"
        rows = one.get("annotations") if isinstance(one, dict) else None
        if not isinstance(rows, list):
            raise ValueError(f"{place}: expected an object with a list `annotations`.")
        annotator = str(one.get("name") or place)
        collection.info.setdefault("name", str(one.get("dataset_name") or collection.name))
        for row_number, row in enumerate(rows):
            row_place = f"{place}, annotation {row_number}"
            path = row.get("image_path") if isinstance(row, dict) else None
            label = row.get("class_label") if isinstance(row, dict) else None
            if not isinstance(path, str) or not isinstance(label, (str, type(None))):
                raise ValueError(
                    f"{row_place}: expected image_path and class_label, found {row!r:.200}."
                )
            if label:
                yield row_place, path, label, annotator


def _find(tree, base, image, where):
    """Name of an image in the tree; its path may begin with the data set's own folder."""
    direct = tree.find(base, image, where)
    rest = image.replace("\\", "/").partition("/")[2]
    return direct or (tree.find(base, rest, where) if rest else None)


def _add_splits(collection, v_fold):
    for item, file in enumerate(collection.files):
        fold = folder_of(file).rpartition("/")[2]
        if fold.startswith("fold") and fold[4:].isdigit() and 1 <= int(fold[4:]) <= FOLDS:
            collection.splits[item] = split_of(int(fold[4:]), v_fold)


def predictions_name(
    identifier: str, dataset: str, annotations: int, labeled_share: float, v_fold: int
) -> str:
    """Name of a file of predictions; DCIC reads the data set and the slice from it."""
    for what, word in (("identifier", identifier), ("dataset", dataset)):
        if "#dataset-" in word or (what == "dataset" and "-" in word) or inside("", word) != word:
            raise ValueError(
                f"{what}: DCIC's file names allow no '-' or '/' in it, found {word!r:.200}; give "
                "another --dcic_name."
            )
    parts = f"{dataset}-foc_tf-{annotations:02d}-{labeled_share:.2f}-{v_fold}"
    return f"predictions-{identifier}#dataset-{parts}.1@-1-10.json"


def predictions(table: Iterable[dict[str, Any]], identifier: str, subset: str) -> dict[str, Any]:
    """JSON-able list of one set of predictions as DCIC's `predictions_import` reads it.

    Args:
      table: columns image, class, cluster (int or missing) and `confidences` (list of floats: class
        probabilities, or cluster probabilities where `subset` has "fuzzy" in it).
      identifier: of the experiment.
      subset: name of the set, e.g. "test" or "train_fuzzy".
    """
    rows = [
        {
            "image_path": row["image"],
            "cluster_label": int(row["cluster"]),
            "class_label": row["class"],
            "confidences": row["confidences"],
        }
        for row in table
    ]
    return {
        "config": "{}",
        "identifier": identifier,
        "name": subset,
        "created_at": datetime.datetime.now().strftime("%d-%m-%Y-%H-%M-%S"),
        "predictions": rows,
    }
