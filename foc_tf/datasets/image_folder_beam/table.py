"""Rows of a prepared dataset, one an image, for Beam's workers: paths and votes, no pixels."""

import pathlib
from typing import Any

from foc_tf.formats import votes
from foc_tf.formats.tree import Tree

_SPLITS = {"train": "train", "val": "validation", "test": "test"}


def read(
    folder: pathlib.Path | str,
) -> tuple[list[str], dict[str, list[tuple[str, dict[int, int]]]]]:
    """Reads annotations.csv, splits.csv and dataset.json of a prepared dataset.

    Args:
      folder: of the prepared dataset.

    Returns:
      (class names, dict TFDS split -> list of (image, {class id: votes})). Images that no row
      names are `unlabelled`; without splits.csv all others are `train`.

    Raises:
      ValueError: if a table is wrong; names file and line.
    """
    collection = votes.read(Tree(folder), form="counts")
    if collection.skipped:
        where, reason = collection.skipped[0]
        raise ValueError(f"{where}: {reason}. Correct the row.")
    counts: list[dict[int, int]] = [{} for _ in collection.keys]
    table = collection.votes()
    for item, c, count in zip(*(table[key].tolist() for key in ("item", "class", "count"))):
        counts[item][c] = counts[item].get(c, 0) + count
    splits: dict[str, list[tuple[str, dict[int, int]]]] = {}
    for item, image in enumerate(collection.files):
        split = _SPLITS[_split(collection, item, folder)] if counts[item] else "unlabelled"
        splits.setdefault(split, []).append((image, counts[item]))
    return collection.classes, splits


def _split(collection, item, folder):
    if collection.splits and item not in collection.splits:
        raise ValueError(f"{folder}/splits.csv: {collection.files[item]} has no split; add a row.")
    return collection.splits.get(item, "train")


def example(
    row: tuple[str, dict[int, int]], folder: pathlib.Path | str, num_classes: int
) -> tuple[str, dict[str, Any]]:
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
