"""Images, votes and splits of a data set: paths or bytes and integers, never pixels."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from foc_tf.annotations import Annotations, from_votes


@dataclasses.dataclass(frozen=True)
class Roles:
    """Indices of the images by what they are for.

    Attributes:
      labeled: certain images of `train`.
      unlabeled: fuzzy images of every split and images without votes: trained on without labels.
      val: certain images of `val`; they choose the best sub-head and epoch.
      fuzzy: images on which the annotators disagree, of every split; scored.
      test: certain images of `test`; scored once.
    """

    labeled: np.ndarray
    unlabeled: np.ndarray
    val: np.ndarray
    fuzzy: np.ndarray
    test: np.ndarray


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """Images with their votes and splits.

    Attributes:
      name: of the data set.
      classes: C names, in the order of class ids.
      ids: [N] str, names as in annotations.csv.
      sources: [N] object, path (str) or encoded image (bytes).
      votes: [N, C] int64 counts.
      splits: [N] str, "train", "val" or "test".
      certain_threshold: share of the most-voted class that makes an image certain.
      ignored_classes: names that consistency scores leave out (no-fit).
      original: [N] int64 labels from outside the votes, -1 unknown, or None; for evaluation only.
      licence: of the images and votes.
      source: where they come from.
      checked: whether every image is known to be readable.
    """

    name: str
    classes: tuple
    ids: np.ndarray
    sources: np.ndarray
    votes: np.ndarray
    splits: np.ndarray
    certain_threshold: float = 1.0
    ignored_classes: tuple = ()
    original: np.ndarray | None = None
    licence: str = ""
    source: str = ""
    checked: bool = False

    @functools.cached_property
    def annotations(self) -> Annotations:
        """`annotations.Annotations` of the votes."""
        return from_votes(self.votes, self.certain_threshold)

    def roles(self) -> Roles:
        """The images by what they are for: `Roles`."""
        certain = self.annotations.certain
        voted = self.votes.sum(axis=1) > 0
        return Roles(
            labeled=np.flatnonzero(certain & (self.splits == "train")),
            unlabeled=np.flatnonzero(~certain),
            val=np.flatnonzero(certain & (self.splits == "val")),
            fuzzy=np.flatnonzero(~certain & voted),
            test=np.flatnonzero(certain & (self.splits == "test")),
        )

    def training_labels(self, labels_per_class: int = 0, seed: int = 0) -> np.ndarray:
        """[N] int32 class ids of the images that are labelled in training, -1 for all others.

        Args:
          labels_per_class: labels kept for each class; the images whose labels are hidden are
            trained on as unlabelled ones. 0 keeps all.
          seed: of the choice.

        Raises:
          ValueError: if `labels_per_class` is negative.
        """
        if labels_per_class < 0:
            raise ValueError(f"labels_per_class: expected at least 0, found {labels_per_class}.")
        labels = np.full(len(self.ids), -1, np.int32)
        labeled = self.roles().labeled
        if labels_per_class:
            labeled = np.random.default_rng([seed, 77]).permutation(labeled)
            of_class = self.annotations.reference[labeled]
            kept = [labeled[of_class == c][:labels_per_class] for c in range(len(self.classes))]
            labeled = np.concatenate(kept)
        labels[labeled] = self.annotations.reference[labeled]
        return labels

    def without(self, indices: Sequence[int] | np.ndarray) -> "ImageSet":
        """The set without some images."""
        if not len(indices):
            return self
        keep = np.delete(np.arange(len(self.ids)), indices)
        parts = {key: getattr(self, key)[keep] for key in ("ids", "sources", "votes", "splits")}
        original = None if self.original is None else self.original[keep]
        return dataclasses.replace(self, original=original, **parts)


def check_trainable(image_set: ImageSet, labels: np.ndarray) -> None:
    """Checks that FOC can learn from the labels: every class has an image and a partner for it.

    Args:
      image_set: `ImageSet`.
      labels: [N] int training labels, -1 = none.

    Raises:
      ValueError: if there are fewer than two classes, no labelled image, or a class with fewer than
        two; names the class and says what to do.
    """
    if len(image_set.classes) < 2:
        raise ValueError(
            f"classes: expected at least two, found {len(image_set.classes)} "
            f"({', '.join(image_set.classes)})."
        )
    hint = (
        "Lower --certain_threshold, get more annotations, merge the class with another one, or "
        "keep more --labels_per_class."
    )
    if not (labels >= 0).any():
        fuzzy = len(image_set.roles().fuzzy)
        raise ValueError(
            f"{image_set.name}: no certain image in train: at certain_threshold "
            f"{image_set.certain_threshold} {fuzzy} of {len(image_set.ids)} images are fuzzy. "
            f"{hint}"
        )
    counts = np.bincount(labels[labels >= 0], minlength=len(image_set.classes))
    for name, count in zip(image_set.classes, counts):
        if count < 2:
            found = (
                "no labelled image" if count == 0 else "one labelled image, so it has no partner"
            )
            raise ValueError(
                f"{image_set.name}: class {name!r} has {found} in train; at least two are needed. "
                f"{hint}"
            )
