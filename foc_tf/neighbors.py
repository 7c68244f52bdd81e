"""Nearest neighbours in the space of features, in blocks that fit into memory."""

import numpy as np
import tensorflow as tf

# Similarities that are in memory at once: 64 MB of float32.
_CELLS = 2**24


def nearest_neighbors(features: np.ndarray, count: int = 20) -> np.ndarray:
    """The most similar other rows of each row, by the cosine of their features.

    A row is never its own neighbour; of equal similarities the lower index comes first.

    Args:
      features: [N, F] float, N at least 2.
      count: n, neighbours of each row; of fewer than n + 1 rows all others are neighbours.

    Returns:
      [N, min(n, N - 1)] int32 indices of rows, the most similar first.

    Raises:
      ValueError: if `count` is below 1 or there are fewer than two rows.
    """
    if count < 1:
        raise ValueError(f"num_neighbors: expected at least 1, found {count}.")
    total = len(features)
    if total < 2:
        raise ValueError(f"features: neighbours need at least two images, found {total}.")
    features = tf.math.l2_normalize(tf.cast(features, tf.float32), axis=1, epsilon=1e-12)
    block = max(1, _CELLS // total)
    parts = [
        _of_block(features, start, min(start + block, total), min(count, total - 1))
        for start in range(0, total, block)
    ]
    return np.concatenate(parts)


def _of_block(features, start, end, count):
    similarity = tf.matmul(features[start:end], features, transpose_b=True)
    found = tf.math.top_k(similarity, count + 1).indices.numpy()
    # The row itself goes behind the others and off the end.
    behind = np.argsort(found == np.arange(start, end)[:, None], axis=1, kind="stable")
    return np.take_along_axis(found, behind, axis=1)[:, :count]
