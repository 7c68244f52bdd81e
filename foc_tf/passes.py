"""How the views of a batch pass the backbone: together or one by one, or not at all."""

import numpy as np
import tensorflow as tf


def features_of(views, extract, separately):
    """Features of views, in the order of the views.

    Args:
      views: V tensors [B, H, W, C] of images, or [B, F] features of a frozen backbone, which pass
        nothing any more; one may have B / n rows, each of which then serves n rows.
      extract: function [N, H, W, C] -> [N, F].
      separately: one pass a view, with batch statistics of its own.

    Returns:
      [V * B, F].
    """
    if views[0].shape.rank == 2:
        features = tf.concat(views, axis=0)
    else:
        # Differs from the paper: one pass with common batch statistics, not one pass a view.
        passes = views if separately else [tf.concat(views, axis=0)]
        features = tf.concat([extract(images) for images in passes], axis=0)
    rows = [view.shape[0] for view in views]
    if len(set(rows)) == 1:
        return features
    return tf.repeat(features, np.repeat(max(rows) // np.array(rows), rows), axis=0)
