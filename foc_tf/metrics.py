"""Scores of predictions, clusters and probabilities. Empty input gives nan.

All raise ValueError, naming the argument, if lengths or shapes differ or an entry is out of range.
An image without a reference label (-1) is one: whoever scores leaves it out, or a prediction of -1
would match it.
"""

from collections.abc import Sequence

import numpy as np


def _ids(name, values, lowest, limit=None):
    """[N] int64 of ids from `lowest` on and below `limit`."""
    values = np.asarray(values)
    if values.ndim != 1 or (values.size and not np.issubdtype(values.dtype, np.integer)):
        raise ValueError(f"{name}: expected [N] integers, found {values.dtype} {values.shape}.")
    values = values.astype(np.int64)
    if values.size and (values.min() < lowest or (limit is not None and values.max() >= limit)):
        bound = f"{lowest} or more" if limit is None else f"{lowest} to {limit - 1}"
        raise ValueError(f"{name}: expected {bound}, found {values.min()} to {values.max()}.")
    return values


def _pair(labels, name, others, lowest, limit=None):
    """Labels and the predictions or clusters of the same images."""
    labels, others = _ids("labels", labels, 0, limit), _ids(name, others, lowest, limit)
    if len(labels) != len(others):
        raise ValueError(f"labels and {name}: found {len(labels)} and {len(others)} entries.")
    return labels, others


def accuracy(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Share of equal entries, 0 to 1; a prediction of -1 is an error."""
    labels, predictions = _pair(labels, "predictions", predictions, -1)
    return float((labels == predictions).mean()) if len(labels) else float("nan")


def _counts(labels, predictions, num_classes):
    """True positives, predicted and actual images of each class: three [C] arrays."""
    labels, predictions = _pair(labels, "predictions", predictions, -1, num_classes)
    hit = np.bincount(labels[labels == predictions], minlength=num_classes)
    guessed = np.bincount(predictions[predictions >= 0], minlength=num_classes)
    return hit, guessed, np.bincount(labels, minlength=num_classes)


def macro_f1(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> float:
    """Mean of the F1 scores of the classes that occur in `labels`, 0 to 1.

    Args:
      labels: [N] int in 0 .. C - 1.
      predictions: [N] int, -1 = none (an error).
      num_classes: C.
    """
    hit, guessed, actual = _counts(labels, predictions, num_classes)
    present = actual > 0
    if not present.any():
        return float("nan")
    return float((2 * hit[present] / (guessed + actual)[present]).mean())


def per_class(
    labels: np.ndarray, predictions: np.ndarray, classes: Sequence[str]
) -> dict[str, dict]:
    """{class: {"count", "precision", "recall", "f1"}}; None where it is 0 of 0."""
    hit, guessed, actual = (c.tolist() for c in _counts(labels, predictions, len(classes)))
    return {
        name: {
            "count": n,
            "precision": h / g if g else None,
            "recall": h / n if n else None,
            "f1": 2 * h / (g + n) if g + n else None,
        }
        for name, h, g, n in zip(classes, hit, guessed, actual)
    }


def nmi(clusters: np.ndarray, labels: np.ndarray) -> float:
    """Normalised mutual information (arithmetic mean), 0 to 1."""
    labels, clusters = _pair(labels, "clusters", clusters, 0)
    if not len(labels):
        return float("nan")
    from sklearn.metrics import normalized_mutual_info_score

    return float(normalized_mutual_info_score(labels, clusters))


def purity(clusters: np.ndarray, labels: np.ndarray) -> float:
    """Share of images whose label is the most frequent one of their cluster, 0 to 1."""
    labels, clusters = _pair(labels, "clusters", clusters, 0)
    if not len(labels):
        return float("nan")
    best = sum(np.bincount(labels[clusters == c]).max() for c in np.unique(clusters))
    return float(best / len(labels))


def _votes(votes, name, length):
    """[N, C] float64 counts and [N] bool: which images have any."""
    votes = np.asarray(votes, np.float64)
    if votes.size == 0:
        votes = votes.reshape(len(votes), 0)
    found = f"shape {votes.shape}" if votes.ndim != 2 else "negative or missing entries"
    if votes.ndim != 2 or not (votes >= 0).all():
        raise ValueError(f"votes: expected [N, C] counts >= 0, found {found}.")
    if len(votes) != length:
        raise ValueError(f"votes and {name}: found {len(votes)} and {length} entries.")
    return votes, votes.sum(axis=1) > 0


def vote_consistency(clusters: np.ndarray, votes: np.ndarray) -> float:
    """How alike the images of a cluster are to the annotators.

    The mean, over all pairs of different images in one cluster, of the probability that one random
    annotator of each names the same class.

    Args:
      clusters: [N] int.
      votes: [N, C] counts; images without votes are left out.

    Returns:
      float in 0 to 1, higher is more alike; nan if no two images share a cluster.
    """
    clusters = _ids("clusters", clusters, 0)
    votes, voted = _votes(votes, "clusters", len(clusters))
    clusters, votes = clusters[voted], votes[voted]
    shares = votes / votes.sum(axis=1, keepdims=True)
    agreement = pairs = 0.0
    for cluster in np.unique(clusters):
        q = shares[clusters == cluster]
        # sum over i < j of q_i . q_j without the N x N matrix
        agreement += (q.sum(axis=0) @ q.sum(axis=0) - (q * q).sum()) / 2
        pairs += len(q) * (len(q) - 1) / 2
    return float(min(1.0, agreement / pairs)) if pairs else float("nan")


def _shares(votes, probs):
    """Rows of images with votes: distributions of the votes, predicted probabilities."""
    probs = np.asarray(probs, np.float64)
    votes, voted = _votes(votes, "probs", len(probs))
    # Checked, not left to numpy: [N, C] minus [N, 1] broadcasts to a plausible wrong score.
    if votes.size and votes.shape != probs.shape:
        raise ValueError(f"votes and probs: found shapes {votes.shape} and {probs.shape}.")
    return votes[voted] / votes[voted].sum(axis=1, keepdims=True), probs[voted]


def kl_divergence(votes: np.ndarray, probs: np.ndarray) -> float:
    """Mean over images of KL(votes' distribution || probs) in nats, 0 is perfect.

    Args:
      votes: [N, C] counts; images without votes are left out.
      probs: [N, C] predicted probabilities, clipped at 1e-7.
    """
    shares, probs = _shares(votes, probs)
    if not len(shares):
        return float("nan")
    logs = np.log(np.where(shares > 0, shares, 1.0)) - np.log(np.maximum(probs, 1e-7))
    return float((shares * logs).sum(axis=1).mean())


def brier(votes: np.ndarray, probs: np.ndarray) -> float:
    """Mean over images of the squared distance of votes' distribution and probs, 0 to 2."""
    shares, probs = _shares(votes, probs)
    return float(((shares - probs) ** 2).sum(axis=1).mean()) if len(shares) else float("nan")
