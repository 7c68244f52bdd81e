"""The overclustering heads' losses of FOC, for FOC and beside any other method."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from foc_tf import losses


def information_loss(probs: Sequence[tf.Tensor]) -> tf.Tensor:
    """- I(p(x1), p(x2)) of two views, mean over the sub-heads (Eq. 2-3).

    Args:
      probs: two [B, S, K] float, rows sum to 1.

    Returns:
      Scalar, -log K to 0. Minimise it.
    """
    return -tf.reduce_mean(losses.mutual_information(probs[0], probs[1]))


def in_batch_loss(probs: Sequence[tf.Tensor], labels: tf.Tensor, num_classes: int) -> tf.Tensor:
    """CE^-1 of both views' labelled rows against the batch's rows of other classes.

    Args:
      probs: two [B, S, K] float, rows sum to 1.
      labels: [B] int class ids, -1 = unlabelled.
      num_classes: C.

    Returns:
      Scalar mean over all rows and sub-heads; unlabelled rows count as 0. Minimise it.
    """
    rows = losses.in_batch_inverse_cross_entropy(
        tf.concat(probs[:2], axis=0), tf.concat([labels, labels], axis=0), num_classes
    )
    return tf.reduce_mean(rows)


def added_losses(
    model: keras.Model, outputs: Sequence[dict[str, tf.Tensor]], labels: tf.Tensor
) -> dict[str, tf.Tensor]:
    """FOC's losses, each with weight 1, of the overclustering heads that another method was given.

    Args:
      model: `model.SemiSupervisedModel`; with k = 0 it has no such heads.
      outputs: dicts of outputs of two views; without such heads not looked at.
      labels: [B] int class ids, -1 = unlabelled.

    Returns:
      {"over_mi", "over_ice"}, empty without the heads.
    """
    if model.over_head is None or "over" not in model.active_heads:
        return {}
    probs = [output["over_probs"] for output in outputs]
    model.track_largest("over", probs[0])
    return {
        "over_mi": information_loss(probs),
        "over_ice": in_batch_loss(probs, labels, model.k_gt),
    }
