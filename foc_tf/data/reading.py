"""A data set ready to train on: read, unreadable images left out, labels checked."""

import pathlib
from collections.abc import Sequence

import numpy as np

from foc_tf import data
from foc_tf.data import decoding, images


def read(
    dataset: str,
    data_dir: str | pathlib.Path | None,
    certain_threshold: float | None = None,
    labels_per_class: int = 0,
    seed: int = 0,
    for_training: bool = True,
) -> tuple[images.ImageSet, np.ndarray, list[dict[str, str]]]:
    """Reads a data set and leaves out the images that cannot be decoded.

    Args:
      dataset: a name of `data.DATASETS`, or tfds:NAME.
      data_dir: its folder, or TFDS's; None where the data are embedded and for TFDS's own.
      certain_threshold: share of the most-voted class that makes an image certain; None for the
        data set's own.
      labels_per_class: labelled images kept for each class, 0 for all.
      seed: of the split and the choice of labels.
      for_training: whether labelled images of every class are needed.

    Returns:
      (ImageSet, [N] int32 training labels with -1 = none, list of {"image", "reason"} left out).

    Raises:
      ValueError: if the data cannot be trained on; names file or class and what to do.
    """
    read_set = data.reader(dataset)
    if data_dir is None and data.needs_folder(dataset):
        raise ValueError(f"data_dir: dataset {dataset} needs --data_dir=<folder>.")
    image_set = read_set(data_dir, certain_threshold=certain_threshold, seed=seed)
    bad: Sequence[int] | np.ndarray
    reasons: list[str]
    bad, reasons = ([], []) if image_set.checked else decoding.unreadable(image_set.sources)
    left_out = [
        {"image": str(image_set.ids[index]), "reason": reason}
        for index, reason in zip(bad, reasons)
    ]
    image_set = image_set.without(bad)
    labels = image_set.training_labels(labels_per_class, seed)
    if for_training:
        images.check_trainable(image_set, labels)
    return image_set, labels, left_out
