"""Random numbers of an augmentation: one stream per name, a pure function of seed and image."""

from collections.abc import Callable, Sequence

import tensorflow as tf


def uniform_draws(
    streams: Sequence[str], seed: tf.Tensor, count: tf.Tensor | int, first: tf.Tensor | int
) -> Callable[..., tf.Tensor]:
    """The draws of `count` images of a batch.

    Args:
      streams: tuple of names. A new name in between would change the draws of those behind it.
      seed: [2] int.
      count: number of images.
      first: place of the first of them in its batch.

    Returns:
      Function (name, low = 0, high = 1, columns = None) -> [count] uniform float32 of the named
      stream, or [count, columns].
    """
    seeds = tf.random.experimental.stateless_split(seed, len(streams))

    def uniform(name, low=0.0, high=1.0, columns=None):
        own = seeds[streams.index(name)]
        shape = [first + count] if columns is None else [first + count, columns]
        return low + (high - low) * tf.random.stateless_uniform(shape, own)[first:]

    return uniform
