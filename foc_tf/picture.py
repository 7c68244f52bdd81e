"""A contact sheet: one row of images for each cluster, the largest clusters first."""

import numpy as np
import tensorflow as tf

_GAP = 2  # pixels of white between images


def contact_sheet(clusters, confidence, loader, rows=12, columns=14, images=None, side=48):
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
    step = side + _GAP
    sheet = np.full((len(shown) * step + _GAP, columns * step + _GAP, 3), 255, np.uint8)
    for row, cluster in enumerate(shown):
        members = images[clusters[images] == cluster]
        members = members[np.argsort(-confidence[members], kind="stable")]
        picks = np.unique(np.linspace(0, len(members) - 1, columns).round().astype(int))
        pixels = tf.image.resize(loader(members[picks]), (side, side), method="nearest")
        for column, pixel in enumerate(np.asarray(pixels)):
            top, left = row * step + _GAP, column * step + _GAP
            sheet[top : top + side, left : left + side] = pixel
    return tf.io.encode_png(sheet).numpy()
