"""How a head uses its clusters: all of them, a few, one; surely or not."""

import math

import numpy as np

_FEW = 0.5
_BINS = 10


def usage(probs: np.ndarray) -> dict:
    """Use of the clusters of one head.

    Args:
      probs: [N, K] probabilities of N images.

    Returns:
      Dict: `used`, clusters with at least one image; `empty_share`, of the others; `entropy` of the
      images' spread over the clusters, 0 (one cluster) to 1 (evenly); `confidence`, mean of the
      largest probabilities; `confidence_histogram`, images in ten equal bins from 0 to 1. Without
      images the numbers are None.
    """
    probs = np.asarray(probs, np.float64)
    count, num_clusters = probs.shape
    if not count:
        return dict.fromkeys(("used", "empty_share", "entropy", "confidence")) | {
            "confidence_histogram": [0] * _BINS
        }
    shares = np.bincount(probs.argmax(axis=1), minlength=num_clusters) / count
    used = shares[shares > 0]
    confidence = probs.max(axis=1)
    spread = float(-(used * np.log(used)).sum() / math.log(max(2, num_clusters)))
    return {
        "used": len(used),
        "empty_share": 1 - len(used) / num_clusters,
        "entropy": min(1.0, max(0.0, spread)),
        "confidence": float(confidence.mean()),
        "confidence_histogram": np.histogram(confidence, _BINS, (0, 1))[0].tolist(),
    }


def advice(used: int | None, num_clusters: int, num_classes: int) -> str | None:
    """What to do about the number of clusters, or None if it fits.

    Args:
      used: clusters that have images.
      num_clusters: K.
      num_classes: C.
    """
    if used is None:
        return None
    if used < _FEW * num_clusters:
        better = max(num_classes + 1, math.ceil(1.25 * used))
        return (
            f"only {used} of {num_clusters} clusters have images: --k={better} is enough, or train "
            "longer; a larger --batch_size or --lambda_u spreads images over more clusters"
        )
    if used == num_clusters and num_clusters < 5 * num_classes:
        return (
            f"all {num_clusters} clusters have images and there are less than 5 for each of the "
            f"{num_classes} classes: --k={6 * num_classes} lets them split further"
        )
    return None
