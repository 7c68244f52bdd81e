"""What a TFDS builder holds for image classification: features, splits, encoded examples."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

_ROLES = {"train": "train", "validation": "val", "val": "val", "valid": "val", "test": "test"}
_UNLABELLED = ("unlabelled", "unlabeled", "unsupervised")
_NAME_KEYS = ("image_path", "file_name", "id")


def keys(builder: "tfds.core.DatasetBuilder", label: str = "") -> tuple[str, str]:
    """Names of the features that hold the image and its class.

    Args:
      builder: `tfds.core.DatasetBuilder`.
      label: name of the class label, where there are several; "" for `label` or the only one.

    Returns:
      (image, label).

    Raises:
      ValueError: if it is not one image with one class label, or has none of that name.
    """
    import tensorflow_datasets as tfds

    features = builder.info.features
    features = dict(features.items()) if isinstance(features, tfds.features.FeaturesDict) else {}
    images = [k for k, f in features.items() if type(f) is tfds.features.Image]
    labels = [k for k, f in features.items() if isinstance(f, tfds.features.ClassLabel)]
    if label:
        if label not in labels:
            raise ValueError(
                f"dataset: tfds:{builder.name}:{label}: expected one of the class labels "
                f"{', '.join(labels) or '(there is none)'}."
            )
        labels = [label]
    elif "label" in labels:
        labels = ["label"]  # beside coarser classes, or single annotators' answers
    if len(images) != 1 or len(labels) != 1:
        raise ValueError(
            f"dataset: tfds:{builder.name}: expected one image and one class label, found the "
            f"features {', '.join(features) or 'of another form'}. Choose an image classification "
            "data set, or write a prepared dataset (annotations.csv)."
        )
    if features[images[0]].np_dtype not in (np.uint8, np.uint16):
        raise ValueError(
            f"dataset: tfds:{builder.name}: expected images of whole numbers, found "
            f"{features[images[0]].np_dtype}. Write a prepared dataset (annotations.csv)."
        )
    return images[0], labels[0]


def roles(
    builder: "tfds.core.DatasetBuilder", splits: Sequence[str] | None = None
) -> dict[str, str | None]:
    """What the splits of TFDS are for.

    Args:
      builder: `tfds.core.DatasetBuilder`, prepared.
      splits: those to take; None for all.

    Returns:
      Dict split -> "train", "val", "test", or None where labels do not count. A single labelled
      split is "train".

    Raises:
      ValueError: if none is for training.
    """
    given = list(splits or builder.info.splits)
    found = {name: _ROLES[name] for name in given if name in _ROLES}
    if len(found) == 1 or len(given) == 1:
        found = dict.fromkeys(found or given, "train")
    if "train" not in found.values():
        raise ValueError(
            f"dataset: tfds:{builder.name}: expected a split train, found "
            f"{', '.join(given) or 'none'}. Write a prepared dataset (annotations.csv)."
        )
    return found | {name: None for name in given if name in _UNLABELLED}


def read(
    builder: "tfds.core.DatasetBuilder",
    split: str,
    image_key: str,
    label_key: str,
    more_keys: Sequence[str] = (),
) -> Iterable[dict[str, Any]]:
    """Iterates over a split in a fixed order: images as they are encoded, other features unread.

    Args:
      builder: `tfds.core.DatasetBuilder`, prepared.
      split: of the builder.
      image_key: feature of the image.
      label_key: feature of the class.
      more_keys: further features that are wanted.

    Returns:
      Iterable of dicts of numpy values.
    """
    import tensorflow_datasets as tfds

    texts = [
        key
        for key, feature in builder.info.features.items()
        if key in _NAME_KEYS and isinstance(feature, tfds.features.Text)
    ]
    wanted = (image_key, label_key, *more_keys, *texts)
    decoders = tfds.decode.PartialDecoding(
        dict.fromkeys(wanted, True), decoders={image_key: tfds.decode.SkipDecoding()}
    )
    return tfds.as_numpy(builder.as_dataset(split=split, decoders=decoders, shuffle_files=False))


def name_of(example: dict[str, Any]) -> str:
    """The name that the source gave to an image, or an empty one."""
    return next((example[key].decode() for key in _NAME_KEYS if key in example), "")
