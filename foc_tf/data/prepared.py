"""Reads a prepared dataset: a folder with annotations.csv and what may lie beside it."""

import json
import os
import pathlib

import numpy as np
import pandas as pd

from foc_tf import records
from foc_tf.annotations import from_votes
from foc_tf.data.images import ImageSet
from foc_tf.formats import text
from foc_tf.splitting import stratified_splits

EXTENSIONS = (".png", ".jpg", ".jpeg", ".gif", ".bmp")
_SPLITS = ("train", "val", "test")


def read(
    data_dir: str | pathlib.Path, certain_threshold: float | None = None, seed: int = 0
) -> ImageSet:
    """Reads a prepared dataset (contract: annotations.csv, splits.csv, dataset.json, images/).

    Args:
      data_dir: the folder.
      certain_threshold: overrides that of dataset.json; both missing mean 1.0.
      seed: of the stratified 80/20 split where there is no splits.csv.

    Returns:
      `images.ImageSet`.

    Raises:
      ValueError: if a file is missing or wrong; names file and line, what was expected and found.
    """
    folder = pathlib.Path(data_dir)
    path = folder / "annotations.csv"
    if not folder.is_dir():
        raise ValueError(f"data_dir: {folder} is not a folder.")
    if not path.exists():
        raise ValueError(
            f"data_dir: {folder} has no annotations.csv (columns image,class,votes). "
            "For class folders give --dataset=folder."
        )
    info = _info(folder / "dataset.json")
    table = _table(path, ("image", "class", "votes"))
    counts = _whole_numbers(path, table["votes"])
    classes = tuple(info.get("classes") or sorted(table["class"].unique()))
    class_ids = _class_ids(path, table["class"], classes)
    rows, ids = pd.factorize(table["image"].to_numpy(object), sort=True)
    files, named = _found(folder), set(ids)
    unvoted = sorted(name for name in files if name not in named)
    votes = np.zeros((len(ids) + len(unvoted), len(classes)), np.int64)
    np.add.at(votes, (rows, class_ids), counts)
    voted, ids = len(ids), np.concatenate([ids, np.asarray(unvoted, object)])
    if certain_threshold is None:
        certain_threshold = info.get("certain_threshold", 1.0)
    threshold = float(certain_threshold)
    return ImageSet(
        name=info.get("name", folder.resolve().name),
        classes=classes,
        ids=ids,
        sources=_sources(folder, path, ids, files),
        votes=votes,
        splits=_splits(folder / "splits.csv", ids, voted, votes, threshold, seed),
        certain_threshold=threshold,
        ignored_classes=tuple(info.get("ignored_classes", ())),
        original=_original(folder / "original_labels.csv", ids, classes),
        licence=info.get("licence", ""),
        source=info.get("source", ""),
        # foc_tf.prepare decoded every image; for a million that takes minutes.
        checked=info.get("checked_images") == len(ids),
    )


def _info(path):
    if not path.exists():
        return {}
    try:
        info = json.loads(path.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not JSON ({error}).") from None
    if not isinstance(info, dict):
        raise ValueError(f"{path}: expected a JSON object, found {type(info).__name__}.")
    classes = info.get("classes", [])
    for key in ("classes", "ignored_classes"):
        names = info.get(key, [])
        good = isinstance(names, list) and all(isinstance(name, str) for name in names)
        if not good or len(set(names)) < len(names):
            found = text.shortened(repr(names), 300)
            raise ValueError(f"{path}: {key} must be a list of distinct names, found {found}.")
    unknown = [name for name in info.get("ignored_classes", []) if classes and name not in classes]
    if unknown:
        raise ValueError(
            f"{path}: ignored class {text.shortened(unknown[0])!r} is not one of classes; add it."
        )
    threshold = info.get("certain_threshold", 1.0)
    if isinstance(threshold, bool) or not isinstance(threshold, (int, float)):
        raise ValueError(
            f"{path}: certain_threshold must be a number, found {text.shortened(repr(threshold))}."
        )
    return info


def _table(path, columns):
    try:
        table = pd.read_csv(
            path,
            dtype=str,
            encoding="utf-8-sig",
            keep_default_na=False,
            skipinitialspace=True,
            skip_blank_lines=False,  # the index must stay the line number
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a CSV table ({error}).") from None
    table.columns = [str(c).strip() for c in table.columns]
    missing = [c for c in columns if c not in table.columns]
    if missing:
        raise ValueError(
            f"{path}: expected the columns {','.join(columns)}, found {text.listed(table.columns)}."
        )
    if len(table) and not isinstance(table.index, pd.RangeIndex):
        # pandas takes surplus fields for row names and shifts all columns without a word.
        raise ValueError(
            f"{path}: rows have more fields than the header; quote names that hold a comma and "
            "remove commas at the end of rows."
        )
    table.index += 2
    table = table[list(columns)].apply(lambda column: column.str.strip())
    table = table[(table != "").any(axis=1)]
    if table.empty:
        raise ValueError(f"{path}: no rows.")
    for column in columns:
        _refuse(path, table[column], table[column] == "", f"no {column}")
    return table


def _refuse(path, column, wrong, expected):
    if wrong.any():
        line = column.index[np.argmax(wrong)]
        raise ValueError(
            f"{path}, line {line}: {expected}, found {text.shortened(column[line])!r}."
        )


def _whole_numbers(path, column):
    good = column.str.fullmatch(r"[0-9]{1,9}")
    _refuse(path, column, ~good.astype(bool), "votes must be a whole number >= 0")
    return column.astype(np.int64).to_numpy()


def _class_ids(path, column, classes):
    lookup = {name: index for index, name in enumerate(classes)}
    result = column.map(lookup)
    expected = f"unknown class: expected one of {', '.join(classes)} (see classes in dataset.json)"
    _refuse(path, column, result.isna(), expected)
    return result.to_numpy(np.int64)


def _found(folder):
    """{name: path or member of a shard} of all images of the data set."""
    files, members = _image_files(folder), records.listing(folder)
    for name in members:
        if name in files:
            raise ValueError(
                f"{folder}: {name} is both in {records.TABLE} and in images/; remove one of them."
            )
    return files | members


def _image_files(folder):
    """{name: path} of all images in images/."""
    # Text, not pathlib: a million images take 5 s instead of 70.
    root, found = f"{folder}{os.sep}", {}
    for place, folders, names in os.walk(folder / "images"):
        folders[:] = [name for name in folders if not name.startswith(".")]
        prefix = f"{place.removeprefix(root)}/".replace(os.sep, "/")
        for name in names:
            if name.lower().endswith(EXTENSIONS) and not name.startswith("."):
                found[prefix + name] = f"{folder}/{prefix}{name}"
    return found


def _sources(folder, path, ids, files):
    for name in ids:
        outside = ".." in name and ".." in name.split("/")
        if outside or name.startswith("/") or "\\" in name:
            raise ValueError(
                f"{path}: image {text.shortened(name)!r} must lie in {folder}, relative, without "
                "'..'."
            )
    root = f"{folder}/"
    sources = [files.get(name) or root + name for name in ids]
    missing = [
        name
        for name, source in zip(ids, sources)
        if name not in files and not os.path.isfile(source)
    ]
    if missing:
        raise ValueError(
            f"{path} names {len(missing)} images that are not there, first: "
            f"{', '.join(missing[:3])} (looked in {folder})."
        )
    return np.asarray(sources, object)


def _splits(path, ids, voted, votes, threshold, seed):
    if not path.exists():
        known = from_votes(votes, threshold)
        strata = (known.reference + 1) * 2 + known.certain
        splits = stratified_splits(strata, seed)
        splits[voted:] = "train"
        return splits
    table = _table(path, ("image", "split"))
    images, words = table["image"], table["split"]
    _refuse(path, words, ~words.isin(_SPLITS), "split must be train, val or test")
    _refuse(path, images, images.duplicated(), "expected every image once; remove the second row")
    expected = "expected only images of annotations.csv or images/; remove the row"
    _refuse(path, images, ~images.isin(ids), expected)
    given = dict(zip(images, words))
    lacking = [name for name in ids[:voted] if name not in given]
    if lacking:
        raise ValueError(
            f"{path}: {len(lacking)} images of annotations.csv have no split, first {lacking[0]}. "
            "Add them, or remove splits.csv for a random 80/20 split."
        )
    return np.asarray([given.get(name, "train") for name in ids], object)


def _original(path, ids, classes):
    if not path.exists():
        return None
    table = _table(path, ("image", "class"))
    given = dict(zip(table["image"], _class_ids(path, table["class"], classes)))
    return np.asarray([given.get(name, -1) for name in ids], np.int64)
