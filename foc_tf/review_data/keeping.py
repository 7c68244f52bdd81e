"""Writes and reads `<workdir>/review_data`."""

import dataclasses
import hashlib
import pathlib
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from foc_tf import files
from foc_tf.projection import principal_components
from foc_tf.review_data import thumbnails

FOLDER = "review_data"
COMPONENTS = 32
_DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError)
_FORMAT = 1
_TEXTS = ("dataset", "licence", "source", "digest")


@dataclasses.dataclass(frozen=True)
class Kept:
    """What `read` gives.

    Attributes:
      about: dict: `dataset`, `licence`, `source`, `ignored_classes`, `certain_threshold`,
        `clusters` (K, 0 without an overclustering head).
      votes: [N, C] int64 counts.
      labels: [N] int64 training labels, -1 = none.
      features: [N, D] float32, principal components of the backbone's features.
      explained: [D] float64, share of the features' variance in each.
      pictures: `thumbnails.Thumbnails`.
    """

    about: dict
    votes: np.ndarray
    labels: np.ndarray
    features: np.ndarray
    explained: np.ndarray
    pictures: thumbnails.Thumbnails


def digest(ids: Sequence[str]) -> str:
    """SHA-256 of the images' names in their order: whether two files are of the same images."""
    return hashlib.sha256("\n".join(map(str, ids)).encode()).hexdigest()


def write(folder: pathlib.Path | str, scorer: Any) -> int:
    """Writes the review data of a scored run.

    Args:
      folder: of the run; `review_data` is made below it.
      scorer: `report.Scorer` of all images, with their features in its outputs.

    Returns:
      Number of images whose pictures could not be made.
    """
    folder, image_set = pathlib.Path(folder) / FOLDER, scorer.image_set
    features = scorer.outputs["features"]
    if not np.isfinite(features).all():  # of a run that diverged
        features = np.nan_to_num(features, posinf=0.0, neginf=0.0)
    features, explained = principal_components(features, COMPONENTS)
    side = thumbnails.side_of(len(image_set.ids))
    # about.json last, and not an older one beside new arrays: what it names is there.
    (folder / "about.json").unlink(missing_ok=True)
    failed = thumbnails.write(folder / "thumbnails.bin", image_set.sources, side) if side else 0
    with files.replacing(folder / "arrays.npz") as file:
        np.savez_compressed(
            file,
            votes=image_set.votes.astype(np.int64),
            labels=scorer.labels.astype(np.int64),
            features=features.astype(np.float32),
            explained=explained,
        )
    over = scorer.outputs.get("over_probs")
    about = {
        "format": _FORMAT,
        "dataset": image_set.name,
        "licence": str(image_set.licence),
        "source": str(image_set.source),
        "ignored_classes": list(image_set.ignored_classes),
        "certain_threshold": image_set.certain_threshold,
        "clusters": 0 if over is None else over.shape[2],
        "side": side,
        "digest": digest(image_set.ids),
    }
    files.write_json(folder / "about.json", about)
    return failed


def read(workdir: pathlib.Path | str, ids: Sequence[str], num_classes: int) -> Kept:
    """Reads the review data of a run; nothing in them is executed.

    Args:
      workdir: of the run.
      ids: [N] names of the images in predictions.csv.
      num_classes: C.

    Returns:
      `Kept`.

    Raises:
      ValueError: if they are missing, damaged or of other images; names the file.
    """
    folder = pathlib.Path(workdir) / FOLDER
    again = f"Write it anew: python -m foc_tf.evaluate --workdir={workdir}"
    if not (folder / "about.json").exists():
        raise ValueError(f"{folder / 'about.json'}: no such file. {again}")
    about = _about(folder / "about.json")
    if about["digest"] != digest(ids):
        raise ValueError(f"{folder}: not of the images in {workdir}/predictions.csv. {again}")
    path = folder / "arrays.npz"
    try:
        with zipfile.ZipFile(path) as stored:
            count = len(ids)
            votes = _array(stored, "votes", np.int64, (count, num_classes))
            labels = _array(stored, "labels", np.int64, (count,))
            features = _array(stored, "features", np.float32, (count, None))
            explained = _array(stored, "explained", np.float64, features.shape[1:])
    except _DAMAGED as error:
        raise ValueError(f"{path}: damaged or foreign ({error}). {again}") from None
    if (votes < 0).any() or (labels < -1).any() or (labels >= num_classes).any():
        raise ValueError(f"{path}: votes or labels out of range. {again}")
    if not np.isfinite(features).all():
        raise ValueError(f"{path}: features that are no numbers. {again}")
    pictures = thumbnails.Thumbnails(folder / "thumbnails.bin" if about["side"] else None, count)
    return Kept(about, votes, labels, features, explained, pictures)


def _about(path):
    try:
        about = files.read_json(path)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not JSON ({error}).") from None
    if not isinstance(about, dict) or about.get("format") != _FORMAT:
        raise ValueError(f"{path}: expected an object with format {_FORMAT}, of this version.")
    ignored, clusters = about.get("ignored_classes"), about.get("clusters")
    numbers = isinstance(clusters, int) and 0 <= clusters < 2**31 and "side" in about
    texts = all(isinstance(about.get(name), str) for name in _TEXTS)
    names = isinstance(ignored, list) and all(isinstance(name, str) for name in ignored)
    if not (numbers and texts and names):
        raise ValueError(f"{path}: an entry is missing or of another kind than foc_tf writes.")
    return about


def _array(stored, name, dtype, shape):
    """One array of a zip, its shape checked before memory is taken for it."""
    with stored.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise ValueError(f"{name}: format {version}")
        found, fortran, kind = np.lib.format.read_array_header_1_0(file)
        alike = len(found) == len(shape) and all(
            f <= COMPONENTS if wanted is None else f == wanted for wanted, f in zip(shape, found)
        )
        if not alike or kind != dtype:
            raise ValueError(f"{name}: expected {dtype.__name__} {shape}, found {kind} {found}")
    with stored.open(f"{name}.npy") as file:
        return np.lib.format.read_array(file, allow_pickle=False)
