"""Reads class folders: train/ val/ test/ unlabeled/ with a folder a class, or the classes alone."""

import pathlib

import numpy as np

from foc_tf.data.images import ImageSet
from foc_tf.data.prepared import EXTENSIONS
from foc_tf.splitting import stratified_splits

_SPLITS = ("train", "val", "test")


def read(
    data_dir: str | pathlib.Path, certain_threshold: float | None = None, seed: int = 0
) -> ImageSet:
    """Reads class folders; every image has one vote, that of its folder.

    Args:
      data_dir: `train/<class>/*`, and `val/`, `test/` alike, `unlabeled/**`; or `<class>/*` with a
        stratified 80/20 split.
      certain_threshold: of the image set; one vote is always certain.
      seed: of the split.

    Returns:
      `images.ImageSet`.

    Raises:
      ValueError: if the folder is missing or holds no images or a single class, val/ or test/
        stand without train/, or have a class that train/ has not.
    """
    folder = pathlib.Path(data_dir)
    if not folder.is_dir():
        raise ValueError(f"data_dir: {folder} is not a folder.")
    has_splits = (folder / "train").is_dir()
    held_out = [name for name in _SPLITS[1:] if (folder / name).is_dir()]
    if held_out and not has_splits:
        raise ValueError(
            f"data_dir: {folder} has {held_out[0]}/ but no train/; add train/<class>/."
        )
    entries: list[tuple] = []  # (path, split, class or None)
    for split in _SPLITS if has_splits else ("",):
        for path in _images(folder / split):
            parts = path.relative_to(folder / split).parts
            if len(parts) > 1 and (has_splits or parts[0] != "unlabeled"):
                entries.append((path, split, parts[0]))
    entries += [(path, "train", None) for path in _images(folder / "unlabeled")]
    trained = {name for _, split, name in entries if split in ("train", "") and name}
    if not trained:
        raise ValueError(
            f"data_dir: {folder} holds no <class>/<image> or train/<class>/<image> with one of "
            f"{', '.join(EXTENSIONS)}."
        )
    for path, split, name in entries:
        if name and name not in trained:
            raise ValueError(f"{path}: class {name!r} of {split}/ is not in train/.")
    if len(trained) < 2:
        raise ValueError(f"data_dir: {folder} has one class only, {min(trained)!r}; add another.")
    threshold = 1.0 if certain_threshold is None else certain_threshold
    return _image_set(folder, entries, tuple(sorted(trained)), threshold, seed)


def _images(folder):
    if not folder.is_dir():
        return []
    return [
        p
        for p in sorted(folder.rglob("*"))
        if p.suffix.lower() in EXTENSIONS
        and not any(part.startswith(".") for part in p.relative_to(folder).parts)
    ]


def _image_set(folder, entries, classes, threshold, seed):
    votes = np.zeros((len(entries), len(classes)), np.int64)
    for index, (_, _, name) in enumerate(entries):
        if name:
            votes[index, classes.index(name)] = 1
    splits = np.asarray([split for _, split, _ in entries], object)
    if (splits != "val").all():
        # No validation images were given: a fifth of each class of the training images is.
        pool = np.flatnonzero((votes.sum(axis=1) > 0) & (splits != "test"))
        splits[splits == ""] = "train"
        splits[pool] = stratified_splits(votes[pool].argmax(axis=1), seed)
    return ImageSet(
        name=folder.resolve().name,
        classes=classes,
        ids=np.asarray([p.relative_to(folder).as_posix() for p, _, _ in entries], object),
        sources=np.asarray([str(p) for p, _, _ in entries], object),
        votes=votes,
        splits=splits,
        certain_threshold=float(threshold),
        source=str(folder),
    )
