"""Where TFDS data sets with several annotators keep the votes: name -> `Votes`."""

import dataclasses
from collections.abc import Callable

import numpy as np


def _tally(values, num_classes):
    """Votes of a list of class ids; -1 is an annotator without an answer."""
    ids = np.concatenate([np.ravel(value) for value in values]).astype(np.int64)
    return np.bincount(ids[ids >= 0], minlength=num_classes)


def _counted(values, num_classes):
    return np.asarray(values[0], np.int64)


@dataclasses.dataclass(frozen=True)
class Votes:
    """Where a data set of several annotators keeps their votes.

    Attributes:
      keys: features with the votes.
      counts: (values of `keys`, C) -> [C] votes.
      splits: those that people annotated; the others are left out. None for all.
      truth: whether `label` is a truth from outside the votes.
      certain_threshold: of the data set.
      ignored_classes: of the data set (no-fit).
    """

    keys: tuple
    counts: Callable
    splits: tuple | None = None
    truth: bool = False
    certain_threshold: float = 1.0
    ignored_classes: tuple = ()


VOTES = {
    # About 51 people an image: 0.97 forgives one slip of the hand and no more.
    "cifar10_h": Votes(("human_labels",), _tally, ("test",), True, 0.97),
    "cifar10_n": Votes(
        ("random_label1", "random_label2", "random_label3"), _tally, ("train",), True
    ),
    "fuzzy_plankton": Votes(("votes",), _counted, ignored_classes=("no_fit",)),
    "image_folder_beam": Votes(("votes",), _counted),
}
