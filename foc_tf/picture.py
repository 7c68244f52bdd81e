"""A contact sheet: one row of images for each cluster, the largest clusters first."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

_GAP = 2  # pixels of white between images


def contact_sheet(
    clusters: np.ndarray,
    confidence: np.ndarray,
    loader: Callable[[tf.Tensor], tf.Tensor],
    rows: int = 12,
    columns: int = 14,
    images: np.ndarray | None = None,
    side: int = 48,
) -> bytes | None:
    """PNG bytes of the largest clusters' images, spread from the most to the least confident.

    Args:
      clusters: [N] int, cluster of each image.
      confidence: [N] float, probability of that cluster.
      loader: function from [U] image indices to [U, H, W, C] uint8.
      rows: clusters shown at most.
      columns: images of each shown at most.
      images: [M] int, the images that may be shown; None for all.
      side: of an image in the sheet, in pixels.

    Returns:
      bytes; None if there is no image.
    """
    images = np.arange(len(clusters)) if images is None else np.asarray(images)
    sizes = np.bincount(clusters[images], minlength=1)
    shown = [c for c in np.argsort(-sizes, kind="stable")[:rows] if sizes[c]]
    if not shown:
        return None
    lines = []
    for cluster in shown:
        members = _by_confidence(images[clusters[images] == cluster], confidence)
        picks = np.unique(np.linspace(0, len(members) - 1, columns).round().astype(int))
        lines.append(loader(members[picks]))
    return tf.io.encode_png(_tiles(lines, columns, side)).numpy()


def cluster_grid(
    members: np.ndarray,
    confidence: np.ndarray,
    loader: Callable[[tf.Tensor], tf.Tensor],
    rows: int = 5,
    columns: int = 8,
    side: int = 48,
) -> np.ndarray:
    """[H, W, 3] uint8 grid of one cluster's most confident images.

    Args:
      members: [M] int, its images.
      confidence: [N] float, probability of the cluster.
      loader: function from [U] image indices to [U, H, W, C] uint8.
      rows: of the grid at most.
      columns: of the grid.
      side: of an image in the grid, in pixels.
    """
    members = _by_confidence(members, confidence)[: rows * columns]
    lines = [loader(members[i : i + columns]) for i in range(0, len(members), columns)]
    return _tiles(lines, columns, side)


def sprite(pixels: np.ndarray, side: int = 32) -> np.ndarray:
    """[n * side, n * side, 3] uint8: images in a square of n = ceil(sqrt(N)) rows, as they come."""
    columns = max(1, int(np.ceil(np.sqrt(len(pixels)))))
    lines = [pixels[i : i + columns] for i in range(0, columns**2, columns)]
    return _tiles(lines, columns, side, gap=0)


def _by_confidence(members, confidence):
    return members[np.argsort(-confidence[members], kind="stable")]


def _tiles(lines, columns, side, gap=_GAP):
    """Lines of [n, H, W, C] images as one [rows, columns] sheet on white."""
    step = side + gap
    sheet = np.full((len(lines) * step + gap, columns * step + gap, 3), 255, np.uint8)
    for row, line in enumerate(lines):
        if not len(line):
            continue
        for column, pixel in enumerate(np.asarray(tf.image.resize(line, (side, side), "nearest"))):
            top, left = row * step + gap, column * step + gap
            sheet[top : top + side, left : left + side] = pixel
    return sheet
