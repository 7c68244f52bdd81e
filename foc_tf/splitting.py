"""Which images are for training, validation and test: drawn by a seed, stratified, by groups."""

from collections.abc import Mapping, Sequence

import numpy as np
import scipy.sparse
from scipy.sparse import csgraph


def stratified_splits(strata: np.ndarray, seed: int, val_share: float = 0.2) -> np.ndarray:
    """[N] "train" or "val": a share of each stratum by a seed.

    Args:
      strata: [N] int, e.g. class and certainty.
      seed: of the draw.
      val_share: share of each stratum, rounded, that is for validation.
    """
    splits = np.full(len(strata), "train", object)
    rng = np.random.default_rng([seed, 78])
    for stratum in np.unique(strata):
        members = rng.permutation(np.flatnonzero(strata == stratum))
        splits[members[: round(val_share * len(members))]] = "val"
    return splits


def groups(*labels: Sequence) -> np.ndarray:
    """[N] int group of each item: items that share a label of any kind are together.

    Args:
      *labels: sequences of N hashable labels; None and "" are shared by nobody.
    """
    count = len(labels[0])
    rows, columns, total = [], [], 0
    for kind in labels:
        ids: dict = {}
        for item, label in enumerate(kind):
            if label not in (None, ""):
                rows.append(item)
                columns.append(total + ids.setdefault(label, len(ids)))
        total += len(ids)
    size = count + total
    ones = np.ones(len(rows), np.int8)
    edges = (ones, (np.array(rows, np.int64), count + np.array(columns, np.int64)))
    graph = scipy.sparse.csr_array(edges, shape=(size, size))
    return csgraph.connected_components(graph, directed=False)[1][:count]


def assign(
    strata: np.ndarray, group: np.ndarray, given: Mapping[int, str], seed: int, val_share: float
) -> np.ndarray:
    """[N] "train", "val" or "test".

    Args:
      strata: [N] int, e.g. class and certainty; a group has the one of its first item.
      group: [N] int of `groups`; a whole group is in one split.
      given: {item: split} that the source has; where some are "val", no others are drawn.
      seed: of the draw.
      val_share: share that is for validation.
    """
    splits = np.full(len(strata), "train", object)
    if "val" not in given.values():
        _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
        free = np.array([given.get(int(item)) != "test" for item in first])
        drawn = np.full(len(first), "train", object)
        drawn[free] = stratified_splits(np.asarray(strata)[first[free]], seed, val_share)
        splits = drawn[inverse]
    for item, split in given.items():
        if split != "train" or "val" in given.values():
            splits[item] = split
    return splits
