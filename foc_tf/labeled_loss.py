"""What all methods do with labels: the mean over the labelled rows, weights of the classes."""

from collections.abc import Sequence

import tensorflow as tf

from foc_tf.distribution import global_mean


def mean_over(rows: tf.Tensor, chosen: tf.Tensor) -> tf.Tensor:
    """Mean over the chosen rows of the *global* batch and over all sub-heads.

    Args:
      rows: [B, S] float32.
      chosen: [B] bool, e.g. `labels >= 0`.

    Returns:
      Scalar whose mean over the replicas is that mean; 0 where no row is chosen.
    """
    chosen = tf.cast(chosen, tf.float32)
    share = global_mean(tf.reduce_mean(chosen))
    return tf.math.divide_no_nan(tf.reduce_mean(chosen[:, None] * rows), share)


def class_weights(
    kind: str, class_shares: Sequence[float] | None, num_classes: int
) -> list[float] | None:
    """Weights of the classes in the cross-entropy.

    Args:
      kind: "none", or "inverse": 1 / (C share), so that every class weighs the same and the mean
        weight of the labelled images is 1.
      class_shares: [C] share of each class among the labelled images, or None.
      num_classes: C.

    Returns:
      List of C floats; None for "none".

    Raises:
      ValueError: if `kind` is another word, or "inverse" has no C positive shares.
    """
    if kind not in ("none", "inverse"):
        raise ValueError(f"class_weights: expected none or inverse, found {kind!r}.")
    if kind == "none":
        return None
    return [1.0 / (num_classes * s) for s in checked_shares(class_shares, num_classes)]


def checked_shares(class_shares: Sequence[float] | None, num_classes: int) -> list[float]:
    """The shares of the classes among the labelled images as C floats.

    Raises:
      ValueError: if there are not C positive numbers that sum to 1.
    """
    shares = [] if class_shares is None else [float(share) for share in class_shares]
    if len(shares) != num_classes or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-3:
        raise ValueError(
            f"class_shares: expected {num_classes} positive shares of the labelled images that sum "
            f"to 1, found {class_shares}."
        )
    return shares
