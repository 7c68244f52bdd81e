"""Scores of one head's outputs on some images, and of k-means in place of a head.

Numpy only. A number that cannot be computed is None, with the reason under `<name>_reason`.
"""

import math
from typing import Any

import numpy as np

from foc_tf import kmeans, mapping, metrics


def _numbers(values, reason):
    """Replaces NaN by None and says why."""
    result = {}
    for key, value in values.items():
        if isinstance(value, float) and math.isnan(value):
            result |= {key: None, f"{key}_reason": reason}
        else:
            result[key] = value
    return result


def _classification(labels, predicted, num_classes):
    return _numbers(
        {
            "accuracy": metrics.accuracy(labels, predicted),
            "macro_f1": metrics.macro_f1(labels, predicted, num_classes),
        },
        "no image with a reference label",
    )


def _consistency(groups, votes):
    value = {"vote_consistency": metrics.vote_consistency(groups, votes)}
    return _numbers(value, "no two images with votes share a group")


def score_normal(
    probs: np.ndarray, labels: np.ndarray, votes: np.ndarray | None = None
) -> dict[str, Any]:
    """Scores of one normal sub-head.

    Args:
      probs: [N, C] float.
      labels: [N] int reference classes.
      votes: [N, C] counts, or None to leave out `vote_consistency` (of the predicted classes as
        groups), `kl` and `brier`.
    """
    predicted, num_classes = probs.argmax(1), probs.shape[1]
    result = _classification(labels, predicted, num_classes)
    matched = mapping.apply(mapping.hungarian(predicted, labels, num_classes), predicted)
    clustering = {
        "hungarian_accuracy": metrics.accuracy(labels, matched),
        "nmi": metrics.nmi(predicted, labels),
    }
    result |= _numbers(clustering, "no image with a reference label")
    if votes is not None:
        result |= _consistency(predicted, votes)
        agreement = {
            "kl": metrics.kl_divergence(votes, probs),
            "brier": metrics.brier(votes, probs),
        }
        result |= _numbers(agreement, "no image with votes")
    return result


def score_over(
    clusters: np.ndarray,
    labels: np.ndarray,
    train_clusters: np.ndarray,
    train_labels: np.ndarray,
    num_clusters: int,
    num_classes: int,
    votes: np.ndarray | None = None,
) -> dict[str, Any]:
    """Scores of clusters (of an overclustering sub-head, say) under the three mapping protocols.

    Args:
      clusters: [N] int, of the scored images.
      labels: [N] int, their reference classes.
      train_clusters: [M] int, of the labelled training images.
      train_labels: [M] int.
      num_clusters: K.
      num_classes: C.
      votes: [N, C] counts, or None to leave out `vote_consistency`.
    """
    trained = mapping.majority(train_clusters, train_labels, num_clusters, num_classes)
    oracle = mapping.majority(clusters, labels, num_clusters, num_classes)
    predictions = {
        "train": mapping.apply(trained, clusters),
        "oracle": mapping.apply(oracle, clusters),
        "crossfit": mapping.crossfit(clusters, labels, num_clusters, num_classes),
    }
    result = {"clusters_used": len(np.unique(clusters))}
    result |= _numbers({"nmi": metrics.nmi(clusters, labels)}, "no image with a reference label")
    if votes is not None:
        result |= _consistency(clusters, votes)
    for protocol, predicted in predictions.items():
        result[protocol] = _classification(labels, predicted, num_classes)
    return result


def score_kmeans(
    features: np.ndarray,
    labels: np.ndarray,
    train_features: np.ndarray,
    train_labels: np.ndarray,
    k: int,
    num_classes: int,
    votes: np.ndarray | None,
) -> dict[str, Any]:
    """Scores of k groups of the scored images' features: what more groups alone would give.

    Args:
      features: [N, F] float, of the scored images; the groups are found among them.
      labels: [N] int, their reference classes.
      train_features: [M, F] float, of the labelled training images.
      train_labels: [M] int.
      k: number of groups.
      num_classes: C.
      votes: [N, C] counts.

    Returns:
      `k` and what `score_over` gives, or `k` and a `reason`.
    """
    if len(features) < k:
        return {"k": k, "reason": f"{len(features)} images are too few for {k} groups"}
    groups = kmeans.fit(features, k)
    found, trained = groups(features), groups(train_features)
    return {"k": k} | score_over(found, labels, trained, train_labels, k, num_classes, votes)
