"""Heads: S copies of one classifier, computed together."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf


def projection_head(
    width: int, units: int = 128, seed: int | None = None, name: str = "projection_head"
) -> keras.Model:
    """The MLP whose output contrastive losses compare (Chen et al. 2020, SimCLR, section 2.1).

    Args:
      width: F, of the features and of the hidden ReLU layer.
      units: E, width of the output.
      seed: of the initial weights; None draws one.
      name: of the model.

    Returns:
      keras.Sequential, [B, F] to [B, E].
    """
    seeds = (None, None) if seed is None else (seed, seed + 1)
    first, second = (keras.initializers.GlorotUniform(seed=s) for s in seeds)
    return keras.Sequential(
        [
            keras.Input((width,)),
            keras.layers.Dense(width, activation="relu", kernel_initializer=first),
            keras.layers.Dense(units, kernel_initializer=second),
        ],
        name=name,
    )


@keras.utils.register_keras_serializable("foc_tf")
class MultiHead(keras.layers.Layer):
    """S sub-heads with random weights of their own: [B, F] features to [B, S, K] probabilities.

    Each sub-head is one fully connected layer with softmax (or, with `hidden_units`, one hidden
    ReLU layer before it: the paper's dagger rows). All sub-heads are one matrix product. The
    softmax is float32 whatever the policy.

    Args:
      num_outputs: K, clusters or classes of each sub-head.
      num_sub_heads: S.
      hidden_units: width of the hidden layer of each sub-head, 0 for none.
      seed: of the initial weights; None draws one.
      name: of the layer.

    Raises:
      ValueError: if a number is not positive.
    """

    def __init__(
        self,
        num_outputs: int,
        num_sub_heads: int = 5,
        hidden_units: int = 0,
        seed: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        """See the class."""
        super().__init__(name=name, **kwargs)
        for key, value in (("num_outputs", num_outputs), ("num_sub_heads", num_sub_heads)):
            if value < 1:
                raise ValueError(f"{key} must be at least 1, found {value}.")
        self.num_outputs = num_outputs
        self.num_sub_heads = num_sub_heads
        self.hidden_units = hidden_units
        self.seed = seed

    def _dense(self, name, fan_in, units, seed_offset):
        # Keras would read [F, S, K] as a convolution's kernel and take S for its input channels.
        limit = (6.0 / (fan_in + units)) ** 0.5
        seed = None if self.seed is None else self.seed + seed_offset
        return (
            self.add_weight(
                name=f"{name}_kernel",
                shape=(self.num_sub_heads, fan_in, units),
                initializer=keras.initializers.RandomUniform(-limit, limit, seed=seed),
                trainable=True,
            ),
            self.add_weight(
                name=f"{name}_bias",
                shape=(self.num_sub_heads, units),
                initializer="zeros",
                trainable=True,
            ),
        )

    def build(self, input_shape: Sequence) -> None:
        """Creates the weights for [B, F] input."""
        width = int(input_shape[-1])
        if self.hidden_units:
            self.hidden = self._dense("hidden", width, self.hidden_units, 1)
            width = self.hidden_units
        self.output_weights = self._dense("output", width, self.num_outputs, 0)
        super().build(input_shape)

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """[B, F] to [B, S, K] float32 probabilities."""
        return tf.nn.softmax(self.logits(features))

    def logits(self, features: tf.Tensor) -> tf.Tensor:
        """[B, F] to what the softmax takes, [B, S, K] float32."""
        kernel, bias = self.output_weights
        if self.hidden_units:
            hidden_kernel, hidden_bias = self.hidden
            hidden = tf.einsum("bf,sfh->bsh", features, tf.cast(hidden_kernel, features.dtype))
            features = tf.nn.relu(hidden + tf.cast(hidden_bias, features.dtype))
            logits = tf.einsum("bsh,shk->bsk", features, tf.cast(kernel, features.dtype))
        else:
            logits = tf.einsum("bf,sfk->bsk", features, tf.cast(kernel, features.dtype))
        return tf.cast(logits, tf.float32) + tf.cast(bias, tf.float32)

    def reorder(self, orders: np.ndarray) -> None:
        """Gives the outputs another order.

        Args:
          orders: [S, K] int, a permutation for each sub-head: its new output i is the old
            `orders[s, i]`.
        """
        for weight in self.output_weights:
            old = weight.numpy()
            index = np.expand_dims(orders, tuple(range(1, old.ndim - 1)))
            weight.assign(np.take_along_axis(old, np.broadcast_to(index, old.shape), axis=-1))

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return super().get_config() | {
            "num_outputs": self.num_outputs,
            "num_sub_heads": self.num_sub_heads,
            "hidden_units": self.hidden_units,
            "seed": self.seed,
        }
