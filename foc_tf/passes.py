"""How the views of a batch pass the backbone: together or one by one, or not at all."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf


def check_statistics(word: str) -> None:
    """Raises ValueError if the word for batch statistics is unknown."""
    if word not in ("shared", "per_view"):
        raise ValueError(f"batch_statistics: expected shared or per_view, found {word!r}.")


def features_of(
    views: Sequence[tf.Tensor], extract: Callable[[tf.Tensor], tf.Tensor], separately: bool
) -> tf.Tensor:
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


def of_each_view(outputs: dict[str, tf.Tensor], num_views: int) -> list[dict[str, tf.Tensor]]:
    """Outputs of V * B rows, view by view, as V dicts of outputs of B rows."""
    split = {key: tf.split(value, num_views) for key, value in outputs.items()}
    return [{key: split[key][i] for key in split} for i in range(num_views)]


def zero_of(batch: dict[str, tf.Tensor]) -> tf.Tensor:
    """0.0 if all floats of a batch are finite numbers, else NaN: to be added to its loss.

    ReLU makes 0 of NaN on a CPU, so that the loss alone stays finite while the moving statistics of
    batch normalisation do not.

    Args:
      batch: dict of tensors; those of whole numbers do not count.
    """
    floats = [tensor for tensor in batch.values() if tensor.dtype.is_floating]
    total = tf.add_n([tf.reduce_sum(tf.cast(tensor, tf.float32)) for tensor in floats])
    # Not 0.0 * total: TensorFlow's optimiser takes that for 0.0.
    return tf.where(tf.math.is_finite(total), 0.0, np.float32("nan"))
