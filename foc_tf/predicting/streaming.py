"""A collection's images through a model, a batch at a time, in order and from any image on."""

import dataclasses
import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from PIL import Image

from foc_tf import annotations
from foc_tf.formats import image_check, merging
from foc_tf.formats.predictions import Predictions

if TYPE_CHECKING:
    from foc_tf.formats.collection import Collection
    from foc_tf.predicting.models import Model, RunModel


@dataclasses.dataclass(frozen=True)
class Step:
    """What one batch gave.

    Attributes:
      items: those that were predicted.
      outputs: {"class_probs": [M, C], "cluster_probs": [M, K]} of them; empty without items.
      unreadable: list of (item, reason).
      end: first item that comes after this batch.
    """

    items: list
    outputs: dict
    unreadable: list
    end: int


def steps(
    model: "Model | RunModel",
    collection: "Collection",
    start: int = 0,
    batch_size: int = 64,
    max_pixels: int = image_check.MAX_PIXELS,
) -> Iterator[Step]:
    """Predicts the images of a collection from one on.

    A batch ends with `batch_size` images, or with as many pixels as one image may have. Begun again
    at the `end` of a step, the batches are the same.

    Args:
      model: of `models.load`.
      collection: `formats.collection.Collection`.
      start: first item.
      batch_size: images of a step.
      max_pixels: of `image_check.usable`.

    Yields:
      `Step`.
    """
    waiting, bad, pixels = [], [], 0
    for item in range(start, len(collection)):
        try:
            content = collection.tree.read(collection.files[item])
            content = image_check.usable(content, max_pixels)[0]
            waiting.append((item, content))
            pixels += _pixels(content)
        except ValueError as error:
            bad.append((item, str(error)))
        if max(len(waiting), len(bad)) >= batch_size or pixels >= max_pixels:
            yield _step(model, waiting, bad, item + 1)
            waiting, bad, pixels = [], [], 0
    if waiting or bad:
        yield _step(model, waiting, bad, len(collection))


def _pixels(content):
    with Image.open(io.BytesIO(content)) as image:
        return image.width * image.height


def _step(model, waiting, bad, end):
    waiting, outputs, refused = asked(model, waiting)
    return Step([item for item, _ in waiting], outputs, sorted(bad + refused), end)


def asked(
    model: "Model | RunModel", waiting: list[tuple[Any, bytes]]
) -> tuple[list[tuple[Any, bytes]], dict[str, np.ndarray], list[tuple[Any, str]]]:
    """Asks a model for one batch; images that TensorFlow cannot decode are left out.

    Args:
      model: of `models.load`.
      waiting: list of (item, encoded image that Pillow can read).

    Returns:
      (part of `waiting` that was predicted, outputs of it, list of (item, reason) for the rest).
    """
    try:
        return waiting, _outputs(model, waiting), []
    except tf.errors.InvalidArgumentError:
        # One image fails the whole batch; alone each says whether it is the one.
        good, refused = [], []
    for item, content in waiting:
        try:
            _outputs(model, [(item, content)])
            good.append((item, content))
        except tf.errors.InvalidArgumentError as error:
            refused.append((item, f"TensorFlow cannot decode it: {_first_line(error)}"))
    return good, _outputs(model, good), refused


def _outputs(model, waiting):
    if not waiting:
        return {}
    outputs = model.predict([content for _, content in waiting])
    names = ("class_probs", "cluster_probs")
    return {name: outputs[name] for name in names if name in outputs}


def _first_line(error):
    return (error.message.strip().splitlines() or [""])[0][:200]


def labelled(collection: "Collection") -> np.ndarray:
    """[N] bool: the annotators of an item agree, so it needs no prediction."""
    ids = np.arange(len(collection.classes))
    total, most, _ = merging.most_voted(merging.vote_table(collection, ids, len(ids)))
    return annotations.is_certain(most, total, collection.info.get("certain_threshold", 1.0))


def digest(collection: "Collection", agreed: np.ndarray) -> str:
    """Hash of a collection: its images' names and sizes, objects, splits and agreement."""
    result = hashlib.blake2b(digest_size=16)
    for item, file in enumerate(collection.files):
        words = (
            collection.source(item),
            collection.tree.size(file),
            collection.objects[item],
            collection.splits.get(item, ""),
            bool(agreed[item]),
        )
        result.update(repr(words).encode("utf-8", "surrogatepass"))
    return result.hexdigest()


def predictions(
    model: "Model | RunModel",
    collection: "Collection",
    items: Sequence[int] | np.ndarray,
    outputs: dict[str, np.ndarray],
    agreed: np.ndarray,
) -> Predictions:
    """`Predictions` of some items.

    Args:
      model: of `models.load`.
      collection: `formats.collection.Collection`.
      items: [M] int.
      outputs: {"class_probs": [M, C], "cluster_probs": [M, K] where there are clusters}.
      agreed: [N] bool of `labelled`.
    """
    return Predictions(
        images=[collection.source(item) for item in items],
        objects=[collection.objects[item] for item in items],
        splits=[collection.splits.get(int(item), "") for item in items],
        labelled=agreed[items],
        class_probs=outputs["class_probs"],
        cluster_probs=outputs.get("cluster_probs"),
        classes=model.classes,
        cluster_classes=model.cluster_classes,
        cluster_names=model.cluster_names,
        category_ids=collection.info.get("category_ids", {}),
    )


def predict(
    model: "Model | RunModel",
    collection: "Collection",
    batch_size: int = 64,
    max_pixels: int = image_check.MAX_PIXELS,
    progress: Callable[[int, int], Any] | None = None,
) -> Predictions:
    """Predicts all images of a collection, in memory.

    Args:
      model: of `models.load`.
      collection: `formats.collection.Collection`; unreadable images go to its skipped ones.
      batch_size: images of a step.
      max_pixels: of `image_check.usable`.
      progress: function of (done, total), or None.

    Returns:
      `formats.predictions.Predictions`.

    Raises:
      ValueError: if no image can be used.
    """
    items, parts = [], []
    for step in steps(model, collection, 0, batch_size, max_pixels):
        for item, reason in step.unreadable:
            collection.skip(f"{collection.tree}/{collection.files[item]}", reason)
        if step.items:
            items.extend(step.items)
            parts.append(step.outputs)
        if progress:
            progress(step.end, len(collection))
    if not items:
        where, reason = collection.skipped[-1]
        raise ValueError(f"{where}: {reason}. No image of {collection.tree} can be used.")
    outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return predictions(model, collection, items, outputs, labelled(collection))
