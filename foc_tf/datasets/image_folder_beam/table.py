"""Rows of a prepared dataset, one an image, for Beam's workers: paths and votes, no pixels."""

import csv
import json
import pathlib

_SPLITS = {"train": "train", "val": "validation", "test": "test"}
_EXTENSIONS = (".png", ".jpg", ".jpeg", ".gif", ".bmp")


def read(folder):
    """Reads annotations.csv, splits.csv and dataset.json of a prepared dataset.

    Args:
      folder: of the prepared dataset.

    Returns:
      (class names, dict TFDS split -> list of (image, {class id: votes})). Images that no row
      names are `unlabelled`; without splits.csv all others are `train`.

    Raises:
      ValueError: if a table is wrong; names file and line.
    """
    folder = pathlib.Path(folder)
    info = folder / "dataset.json"
    classes = json.loads(info.read_text("utf-8-sig")).get("classes", []) if info.exists() else []
    rows = list(_rows(folder / "annotations.csv", ("image", "class", "votes")))
    classes = list(classes or sorted({row["class"] for _, row in rows}))
    ids, votes = {name: index for index, name in enumerate(classes)}, {}
    for where, row in rows:
        if row["class"] not in ids or not row["votes"].isdecimal():
            raise ValueError(
                f"{where}: expected a class of {', '.join(classes)} and a whole number of votes, "
                f"found {row['class']!r} and {row['votes']!r}. Correct the row."
            )
        counts = votes.setdefault(row["image"], {})
        counts[ids[row["class"]]] = counts.get(ids[row["class"]], 0) + int(row["votes"])
    split_of = _split_of(folder / "splits.csv", votes)
    splits = {}
    for image, counts in votes.items():
        splits.setdefault(split_of.get(image, "train"), []).append((image, counts))
    if unnamed := [(image, {}) for image in _images(folder) if image not in votes]:
        splits["unlabelled"] = unnamed
    return classes, splits


def _rows(path, columns):
    """(place, row) of a table whose images lie in its folder."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        missing = set(columns) - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{path}: expected the columns {','.join(columns)}; add them.")
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            row = {column: (row[column] or "").strip() for column in columns}
            parts = pathlib.PurePosixPath(row["image"])
            if not all(row.values()) or parts.is_absolute() or ".." in parts.parts:
                raise ValueError(
                    f"{where}: expected {','.join(columns)} with an image below the folder, found "
                    f"{','.join(row.values())!r}. Correct the row."
                )
            yield where, row


def _split_of(path, votes):
    if not path.exists():
        return {}
    split_of = {}
    for where, row in _rows(path, ("image", "split")):
        if row["split"] not in _SPLITS:
            raise ValueError(f"{where}: expected train, val or test, found {row['split']!r}.")
        split_of[row["image"]] = _SPLITS[row["split"]]
    if lacking := [image for image in votes if image not in split_of]:
        raise ValueError(f"{path}: {len(lacking)} images have no split, first {lacking[0]}; add.")
    return split_of


def _images(folder):
    files = sorted((folder / "images").rglob("*"))
    return [f.relative_to(folder).as_posix() for f in files if f.suffix.lower() in _EXTENSIONS]


def example(row, folder, num_classes):
    """Key and example of a row; runs on a worker, which reads and checks the image.

    Args:
      row: (image, {class id: votes}).
      folder: of the prepared dataset, where every worker can read it.
      num_classes: C.

    Returns:
      (key, example).

    Raises:
      ValueError: if the image is missing or cannot be decoded; names it.
    """
    import numpy as np
    import tensorflow as tf

    image, counts = row
    path = pathlib.Path(folder) / image
    try:
        encoded = path.read_bytes()
        tf.io.decode_image(encoded, channels=3, expand_animations=False)
    except (OSError, tf.errors.InvalidArgumentError) as error:
        raise ValueError(
            f"{path}: expected a PNG, JPEG, GIF or BMP image, found none ({error}). Repair it, or "
            "remove it from images/ and its rows from annotations.csv and splits.csv."
        ) from None
    votes = np.zeros(num_classes, np.int64)
    votes[list(counts)] = list(counts.values())
    label = int(votes.argmax()) if votes.any() else -1
    return image, {"image": encoded, "image_path": image, "votes": votes, "label": label}
