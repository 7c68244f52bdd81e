"""From votes to mean annotations, certain and fuzzy images and reference labels."""

from typing import NamedTuple

import numpy as np


class Annotations(NamedTuple):
    """What the votes of N images say about C classes.

    Attributes:
      mean: [N, C] float64, share of the votes, rows sum to 1 (0 for an image without votes).
      certain: [N] bool, the most-voted class has at least the threshold's share.
      reference: [N] int64, most-voted class, ties to the lower class id, -1 without votes.
    """

    mean: np.ndarray
    certain: np.ndarray
    reference: np.ndarray


def _counts(votes):
    """[N, C] int64 of a table of votes, or a ValueError that says what is wrong with it."""
    votes = np.asarray(votes)
    if votes.ndim != 2 or votes.shape[1] == 0:
        raise ValueError(f"votes: expected [images, classes], found shape {votes.shape}.")
    if votes.dtype.kind not in "buif":
        raise ValueError(f"votes: expected whole numbers, found {votes.dtype}.")
    if votes.dtype.kind == "f":
        wrong = votes[~np.isfinite(votes) | (votes != np.floor(votes))]
        if wrong.size:
            raise ValueError(f"votes: expected whole numbers (counts), found {wrong[0]}.")
    if votes.size and votes.min() < 0:
        raise ValueError(f"votes: expected counts >= 0, found {votes.min()}.")
    return votes.astype(np.int64)


def from_votes(votes: np.ndarray, certain_threshold: float = 1.0) -> Annotations:
    """Mean annotation, certain mask and reference label of each image.

    The rule of Schmarje et al. (2020), section 4.1, is `certain_threshold=1.0`: an image is fuzzy
    as soon as one annotation disagrees.

    Args:
      votes: [N, C] whole numbers >= 0, how many annotators chose each class.
      certain_threshold: above 0.5 to 1.

    Returns:
      `Annotations`.

    Raises:
      ValueError: if `votes` is not such a table or the threshold is out of range.
    """
    votes = _counts(votes)
    if not 0.5 < certain_threshold <= 1:
        raise ValueError(f"certain_threshold: expected above 0.5 to 1, found {certain_threshold}.")
    total = votes.sum(axis=1)
    most = votes.max(axis=1, initial=0)
    mean = votes / np.maximum(total, 1)[:, None]
    certain = is_certain(most, total, certain_threshold)
    reference = np.where(total > 0, votes.argmax(axis=1), -1)
    return Annotations(mean, certain, reference)


def is_certain(most: np.ndarray, total: np.ndarray, certain_threshold: float) -> np.ndarray:
    """[N] bool: whether the most-voted class has at least the threshold's share of the votes.

    Args:
      most: [N] int votes for the most-voted class.
      total: [N] int votes in all.
      certain_threshold: above 0.5 to 1.
    """
    # Rounding of threshold * total must not decide: 0.55 * 100 is 55.00000000000001.
    return (total > 0) & (most >= certain_threshold * total - 1e-9 * np.maximum(total, 1))


def fleiss_kappa(votes: np.ndarray) -> float | None:
    """Agreement of the annotators beyond chance, 1 = all agree, 0 = as by chance.

    Fleiss (1971), with the pairs of each image weighted alike where images have different numbers
    of votes. Images with fewer than two votes say nothing about agreement and are left out.

    Args:
      votes: [N, C] counts, a numpy array or a scipy.sparse array.

    Returns:
      float, or None if no image has two votes or all votes are for one class.
    """
    total = np.asarray(votes.sum(axis=1)).ravel()
    votes = votes[np.flatnonzero(total > 1)]
    total = total[total > 1].astype(np.float64)
    if not len(total):
        return None
    squares = np.asarray((votes * votes).sum(axis=1)).ravel()
    observed = np.mean((squares - total) / (total * (total - 1)))
    share = np.asarray(votes.sum(axis=0)).ravel() / total.sum()
    expected = np.sum(share**2)
    return None if expected >= 1 else float((observed - expected) / (1 - expected))
