"""Distribution alignment: pseudo-labels that come in the proportions of the labels."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from foc_tf.distribution import global_mean
from foc_tf.keras_compat import assign_same
from foc_tf.labeled_loss import checked_shares


@keras.utils.register_keras_serializable("foc_tf")
class DistributionAlignment(keras.layers.Layer):
    """Multiplies guesses by the labelled share / running mean of the guesses, and renormalises.

    After Berthelot et al. (2020), ReMixMatch, 3.1. The running mean is over the *global* batch, one
    for each sub-head, with decay min(1 - 1 / (n + 1), decay) in the n-th batch from 0: the first
    batches count alike. The target is always the labelled images' distribution, never the uniform
    one, which would be wrong where classes are rare.

    Differs from ReMixMatch: an exponential mean, not one of the last 128 batches.

    Args:
      class_shares: [C] share of each class among the labelled images.
      decay: of the running mean, 0 to 1.
    """

    def __init__(self, class_shares: Sequence[float], decay: float = 0.999, **kwargs: Any) -> None:
        """See the class."""
        super().__init__(**kwargs)
        self.class_shares, self.decay = list(class_shares), decay

    def build(self, input_shape: Sequence) -> None:
        """Creates the running mean [S, C] and the count of batches."""
        self.running_mean = self.add_weight(
            name="running_mean",
            shape=tuple(input_shape[1:]),
            initializer="zeros",
            dtype="float32",
            trainable=False,
        )
        self.batches = self.add_weight(
            name="batches", shape=(), initializer="zeros", dtype="float32", trainable=False
        )
        super().build(input_shape)

    def call(self, probs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[B, S, C] probabilities to aligned ones, without gradient; training moves the mean."""
        probs = tf.stop_gradient(tf.cast(probs, tf.float32))
        mean = tf.convert_to_tensor(self.running_mean)
        count = tf.convert_to_tensor(self.batches)
        if training:
            decay = tf.minimum(1.0 - 1.0 / (count + 1.0), self.decay)
            now = global_mean(tf.reduce_mean(probs, axis=0))
            mean, count = decay * mean + (1.0 - decay) * now, count + 1.0
            assign_same([self.running_mean, self.batches], [mean, count])
        # Before the first batch there is nothing to align.
        ratio = tf.where(
            count > 0, tf.constant(list(self.class_shares)) / tf.maximum(mean, 1e-6), 1.0
        )
        aligned = probs * ratio
        return aligned / tf.reduce_sum(aligned, axis=-1, keepdims=True)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return super().get_config() | {"class_shares": list(self.class_shares), "decay": self.decay}


def make(
    wanted: bool, class_shares: Sequence[float] | None, num_classes: int, num_sub_heads: int
) -> Callable[..., tf.Tensor]:
    """The alignment if it is wanted, else a function that only stops the gradient.

    Args:
      wanted: bool.
      class_shares: [C] share of each class among the labelled images.
      num_classes: C.
      num_sub_heads: S.

    Returns:
      Function (probs [B, S, C], training) -> [B, S, C].

    Raises:
      ValueError: if it is wanted without C positive shares.
    """
    if not wanted:
        return lambda probs, training: tf.stop_gradient(probs)
    layer = DistributionAlignment(checked_shares(class_shares, num_classes), name="alignment")
    layer.build((None, num_sub_heads, num_classes))
    return layer
