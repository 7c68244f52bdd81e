"""Principal components of many features, block by block."""

import numpy as np

_ROWS = 8192


def principal_components(features: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Projects features to the directions of their largest variance.

    Args:
      features: [N, F] float32 or float64.
      count: components at most.

    Returns:
      ([N, D] of the same type, [D] float64 share of the variance that each explains) with
      D = min(count, F, N). Of each direction the largest entry is positive, so that the signs do
      not depend on chance.
    """
    total, size = features.shape
    count = min(count, total, size)
    mean = features.mean(axis=0, dtype=np.float64).astype(features.dtype)
    covariance = np.zeros((size, size))
    for start in range(0, total, _ROWS):
        block = features[start : start + _ROWS] - mean
        covariance += block.T @ block
    variances, directions = np.linalg.eigh(covariance)  # ascending
    directions = directions[:, ::-1][:, :count]
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=0)[None], axis=0)
    directions = directions * np.where(largest < 0, -1, 1)
    projected = np.empty((total, count), features.dtype)
    for start in range(0, total, _ROWS):
        projected[start : start + _ROWS] = (features[start : start + _ROWS] - mean) @ directions
    variances = np.maximum(variances[::-1], 0)
    return projected, variances[:count] / max(variances.sum(), np.finfo(np.float64).tiny)
