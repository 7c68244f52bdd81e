"""MixUp of Zhang et al. (2018), as MixMatch has it: every row is mixed with one of all rows."""

from collections.abc import Sequence

import tensorflow as tf

from foc_tf.distribution import global_rows, num_replicas, replica_id


class Mix:
    """One draw of partners and weights for a batch; call it with any tensor of that batch.

    Row i of V views becomes lambda' x_i + (1 - lambda') x_j, where j is row i's image of a random
    order of all rows of all views of the *global* batch, lambda ~ Beta(alpha, alpha) and
    lambda' = max(lambda, 1 - lambda): the result stays nearer to x_i (Eq. 8-11 of Berthelot et al.,
    2019). One lambda a row, as in the authors' code. A pure function of the seed: replicas draw
    what one replica would.

    Args:
      seed: [2] int.
      alpha: > 0; small values mix little.
      num_views: V.
      rows: B, rows of this replica, a number or a scalar tensor.

    Call arguments:
      views: V tensors [B, ...] of one shape.

    Returns:
      V tensors [B, ...].
    """

    def __init__(
        self, seed: tf.Tensor, alpha: float, num_views: int, rows: tf.Tensor | int
    ) -> None:
        """See the class."""
        total = num_views * num_replicas() * rows
        seeds = tf.random.experimental.stateless_split(seed, 3)
        # Two gamma numbers make a beta number.
        one, two = (
            tf.random.stateless_gamma([total], seeds[i], tf.constant(alpha, tf.float32))
            for i in range(2)
        )
        draw = tf.where(one + two > 0, tf.math.divide_no_nan(one, one + two), 1.0)
        order = tf.random.experimental.stateless_shuffle(tf.range(total), seed=seeds[2])
        self.weights = self._own(tf.maximum(draw, 1.0 - draw), num_views, rows)
        self.partners = self._own(order, num_views, rows)

    def _own(self, values, num_views, rows):
        """[V, B] of this replica's rows from [V R B] in the order view, replica, row."""
        return tf.reshape(values, (num_views, num_replicas(), rows))[:, replica_id()]

    def __call__(self, views: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """See the class."""
        everywhere = tf.concat([global_rows(view) for view in views], axis=0)
        mixed = []
        for view, weights, partners in zip(
            views, tf.unstack(self.weights), tf.unstack(self.partners)
        ):
            weight = tf.reshape(weights, [-1] + [1] * (len(view.shape) - 1))
            mixed.append(weight * view + (1.0 - weight) * tf.gather(everywhere, partners))
        return mixed
