"""From clusters to classes: majority vote, one-to-one assignment, cross-fitting."""

import numbers

import numpy as np


def _ids(name, values, limit, lowest):
    values = np.asarray(values)
    if values.ndim != 1 or not (np.issubdtype(values.dtype, np.integer) or not values.size):
        raise ValueError(f"{name}: expected [N] integers, found {values.dtype} {values.shape}.")
    values = values.astype(np.int64)
    if values.size and not (lowest <= values.min() and values.max() < limit):
        raise ValueError(
            f"{name}: expected {lowest} to {limit - 1}, found {values.min()} to {values.max()}."
        )
    return values


def _table(clusters, labels, num_clusters, num_classes):
    """[K, C] counts of labelled images."""
    for name, size in (("num_clusters", num_clusters), ("num_classes", num_classes)):
        if size < 1:
            raise ValueError(f"{name}: expected at least 1, found {size}.")
    clusters = _ids("clusters", clusters, num_clusters, 0)
    labels = _ids("labels", labels, num_classes, -1)
    if len(clusters) != len(labels):
        raise ValueError(f"clusters and labels: found {len(clusters)} and {len(labels)} entries.")
    known = labels >= 0
    flat = clusters[known] * num_classes + labels[known]
    counts = np.bincount(flat, minlength=num_clusters * num_classes)
    return counts.reshape(num_clusters, num_classes)


def majority(
    clusters: np.ndarray, labels: np.ndarray, num_clusters: int, num_classes: int
) -> np.ndarray:
    """Class of each cluster by majority vote of its annotated images.

    Args:
      clusters: [N] int in 0 .. K - 1.
      labels: [N] int in 0 .. C - 1, -1 = does not vote.
      num_clusters: K.
      num_classes: C.

    Returns:
      [K] int64, -1 = no vote; ties go to the lower class id.

    Raises:
      ValueError: if an id is out of range or the lengths differ.
    """
    counts = _table(clusters, labels, num_clusters, num_classes)
    return np.where(counts.sum(axis=1) > 0, counts.argmax(axis=1), -1)


def hungarian(clusters: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """The one-to-one mapping of as many clusters as classes that matches most images.

    Args:
      clusters: [N] int in 0 .. C - 1.
      labels: [N] int in 0 .. C - 1, -1 = does not count.
      num_classes: C.

    Returns:
      [C] int64, the class of each cluster.

    Raises:
      ValueError: if an id is out of range or the lengths differ.
    """
    import scipy.optimize

    counts = _table(clusters, labels, num_classes, num_classes)
    rows, columns = scipy.optimize.linear_sum_assignment(counts, maximize=True)
    result = np.empty(num_classes, np.int64)
    result[rows] = columns
    return result


def apply(mapping: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Class of each image.

    Args:
      mapping: [K] int, class of each cluster, -1 = none.
      clusters: [N] int in 0 .. K - 1.

    Returns:
      [N] int64, -1 where a cluster has no class: every metric counts that as an error.

    Raises:
      ValueError: if an id is out of range or an argument is not a list of integers.
    """
    mapping = _ids("mapping", mapping, np.iinfo(np.int64).max, -1)
    return mapping[_ids("clusters", clusters, len(mapping), 0)]


def crossfit(
    clusters: np.ndarray,
    labels: np.ndarray,
    num_clusters: int,
    num_classes: int,
    folds: int = 5,
    seed: int = 0,
) -> np.ndarray:
    """Class of each scored image by the votes of the other folds: an expert who does not peek.

    Args:
      clusters: [N] int in 0 .. K - 1.
      labels: [N] int in 0 .. C - 1, -1 = does not vote.
      num_clusters: K.
      num_classes: C.
      folds: parts of the images; each is scored by the votes of all others.
      seed: of the parts.

    Returns:
      [N] int64 predicted classes, -1 where no image of another fold votes.

    Raises:
      ValueError: if an id is out of range, the lengths differ or `folds` is not 2 or more.
    """
    if not isinstance(folds, numbers.Integral) or folds < 2:
        raise ValueError(f"folds: expected a whole number, at least 2, found {folds}.")
    clusters, labels = np.asarray(clusters), np.asarray(labels)
    total = _table(clusters, labels, num_clusters, num_classes)
    fold = np.random.default_rng(seed).permutation(len(clusters)) % folds
    result = np.full(len(clusters), -1, np.int64)
    for index in range(min(folds, len(clusters))):
        scored = fold == index
        held = _table(clusters[scored], labels[scored], num_clusters, num_classes)
        counts = total - held
        mapping = np.where(counts.sum(axis=1) > 0, counts.argmax(axis=1), -1)
        result[scored] = mapping[clusters[scored]]
    return result
