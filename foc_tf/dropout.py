"""Dropout whose mask is a pure function of seed, view and row: resuming is exact."""

import tensorflow as tf

from foc_tf.distribution import num_replicas, replica_id


def check_rate(rate: float) -> None:
    """Raises ValueError if a rate is out of range."""
    if not 0 <= rate < 1:
        raise ValueError(f"dropout: expected 0 to less than 1, found {rate}.")


def dropout(features: tf.Tensor, rate: float, num_views: int, seed: tf.Tensor) -> tf.Tensor:
    """Sets a random share of the features to 0 and scales the others up.

    Replicas draw what one replica would have drawn for the same rows.

    Args:
      features: [V * B, F] float32, the rows of this replica, view by view.
      rate: share that is set to 0, 0 to less than 1; 0 changes nothing.
      num_views: V.
      seed: [2] int32.

    Returns:
      [V * B, F] float32.
    """
    if not rate:
        return features
    rows = tf.shape(features)[0] // num_views
    shape = (num_views, num_replicas(), rows, features.shape[-1])
    draw = tf.random.stateless_uniform(shape, seed)[:, replica_id()]
    mask = tf.cast(draw >= rate, tf.float32) / (1.0 - rate)
    return features * tf.reshape(mask, tf.shape(features))
