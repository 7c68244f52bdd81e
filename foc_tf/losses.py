"""The losses of Fuzzy Overclustering, as pure functions of probabilities.

Everything is computed in float32 whatever the policy of the layers before, for all S copies of a
head at once, and over the *global* batch: what needs the whole batch is reduced over the replicas
before a logarithm is taken.
"""

from typing import Any

import keras
import tensorflow as tf

from foc_tf.distribution import global_mean, global_sum

# The largest float32 below 1 that keeps 1 - q a normal step away from 0: -ln is 15.9 there.
_ALMOST_ONE = 1.0 - 2.0**-23
# Smallest probability a logarithm sees; products of two of them are still normal float32 numbers.
_TINY = 1e-15


def _same_shape(name_a, a, name_b, b):
    a, b = tf.convert_to_tensor(a), tf.convert_to_tensor(b)
    if not a.shape.is_compatible_with(b.shape):
        raise ValueError(
            f"{name_a} and {name_b} must have one shape; found {a.shape} and {b.shape}."
        )
    return tf.cast(a, tf.float32), tf.cast(b, tf.float32)


def joint(probs_a: tf.Tensor, probs_b: tf.Tensor) -> tf.Tensor:
    """Symmetric joint distribution of the assignments of two views, over the global batch.

    Eq. 2 of Schmarje et al. (2020): P = (Q + Q^T) / 2 with Q = mean_i p_i p'_i^T. One matrix
    product a sub-head; a [B, K, K] tensor never exists.

    Args:
      probs_a: [B, S, K] float, rows sum to 1, first view.
      probs_b: same shape, the same rows in the second view.

    Returns:
      [S, K, K] float32 that sums to 1 for each sub-head.
    """
    half = _half_joint(probs_a, probs_b)
    return half + tf.transpose(half, [0, 2, 1])


def _half_joint(probs_a, probs_b):
    """[S, K, K] float32, Q / 2; scaled where the tensors are small."""
    scale = 0.5 / tf.cast(tf.shape(probs_a)[0], tf.float32)
    return global_mean(tf.einsum("bsk,bsl->skl", scale * probs_a, probs_b))


def mutual_information(probs_a: tf.Tensor, probs_b: tf.Tensor) -> tf.Tensor:
    """Mutual information between the cluster assignments of two views.

    Eq. 2-3 of Schmarje et al. (2020); after Ji et al. (2019), Eq. 3. The joint is over the *global*
    batch.

    Args:
      probs_a: [B, S, K] or [B, K] float, rows sum to 1, first view.
      probs_b: same shape, the same rows in the second view.

    Returns:
      [S] (or scalar) float32 in nats, 0 (independent) to log K. Maximise it.

    Raises:
      ValueError: if the static shapes differ; names both.
    """
    probs_a, probs_b = _same_shape("probs_a", probs_a, "probs_b", probs_b)
    if probs_a.shape.rank == 2:
        return mutual_information(probs_a[:, None], probs_b[:, None])[0]
    return _information(_half_joint(probs_a, probs_b))


@tf.custom_gradient
def _information(half):
    """[S, K, K] Q / 2 to [S] information of P = Q / 2 + Q^T / 2.

    dI / dP = ln(P_cc' / (P_c P_c')) - 1 is symmetric, so it is d I / d Q too: with many clusters,
    where [S, K, K] is what takes time, one pass in place of the dozen of automatic differentiation.
    """
    p = half + tf.transpose(half, [0, 2, 1])
    marginal = tf.maximum(tf.reduce_sum(p, axis=2), _TINY)
    independent = marginal[:, :, None] * marginal[:, None, :]
    # The logarithm of the ratio, not a difference of logarithms: near independence, where the
    # terms cancel, this keeps an absolute error of 1e-6 with K = 1000 in float32.
    logs = tf.math.log(tf.maximum(p, _TINY**2) / independent)
    # d P / d (Q / 2) is 2 times that of Q.
    return tf.reduce_sum(p * logs, axis=[1, 2]), lambda up: 2.0 * up[:, None, None] * (logs - 1.0)


def _log_not(q):
    """ln(1 - q), finite in value and gradient."""
    return tf.math.log1p(-tf.minimum(q, _ALMOST_ONE))


def inverse_cross_entropy(p: tf.Tensor, q: tf.Tensor) -> tf.Tensor:
    """CE^-1(p, q) = - sum_c p(c) ln(1 - q(c)): low when q avoids the clusters of p.

    Eq. 4 of Schmarje et al. (2020). 1 - q is not renormalised, so correct behaviour gets exactly 0.
    Gradients run into both arguments; it is not symmetric. q is clipped just below 1.

    Args:
      p: [..., K] float, rows sum to 1.
      q: [..., K] float, the distribution that p should not be.

    Returns:
      [...] float32, 0 (disjoint) to 15.9 (the clip). Minimise it.

    Raises:
      ValueError: if the static shapes differ; names both.
    """
    p, q = _same_shape("p", p, "q", q)
    return -tf.reduce_sum(p * _log_not(q), axis=-1)


def triplet_inverse_cross_entropy(p1: tf.Tensor, p2: tf.Tensor, p3: tf.Tensor) -> tf.Tensor:
    """0.5 CE^-1(p1, p3) + 0.5 CE^-1(p2, p3), Eq. 4 of Schmarje et al. (2020).

    Args:
      p1: [..., K] float, the image.
      p2: [..., K] float, the same image or one of its class.
      p3: [..., K] float, an image of another class.

    Returns:
      [...] float32. Minimise it.

    Raises:
      ValueError: if the static shapes differ; names both.
    """
    return 0.5 * inverse_cross_entropy(p1, p3) + 0.5 * inverse_cross_entropy(p2, p3)


def in_batch_inverse_cross_entropy(
    probs: tf.Tensor, labels: tf.Tensor, num_classes: int
) -> tf.Tensor:
    """CE^-1 of each labelled row against all rows of other classes in the global batch.

    Differs from the paper: the negatives are the batch's own rows, so a third view need not pass
    the backbone. Row i gets the mean over all j with y_j != y_i of CE^-1(p_i, p_j); that mean needs
    only the sums of ln(1 - q) of each class, a [C, S, K] tensor.

    Args:
      probs: [B, S, K] float, rows sum to 1.
      labels: [B] int class ids, -1 = unlabelled.
      num_classes: C.

    Returns:
      [B, S] float32, 0 for unlabelled rows and where no other class is in the batch. Minimise it.
    """
    probs = tf.cast(probs, tf.float32)
    is_class = tf.one_hot(labels, num_classes)  # -1 gives a row of zeros
    sums = global_sum(tf.einsum("bc,bsk->csk", is_class, _log_not(probs)))
    counts = global_sum(tf.reduce_sum(is_class, axis=0))
    labelled = tf.reduce_sum(is_class, axis=1, keepdims=True)
    is_other = (1.0 - is_class) * labelled
    other_logs = tf.einsum("bc,csk->bsk", is_other, sums)
    other_counts = tf.linalg.matvec(is_other, counts)
    return -tf.math.divide_no_nan(
        tf.einsum("bsk,bsk->bs", probs, other_logs), other_counts[:, None]
    )


def cross_entropy(
    probs: tf.Tensor, labels: tf.Tensor, class_weights: tf.Tensor | None = None
) -> tf.Tensor:
    """Cross-entropy of every sub-head with the class ids; 0 for unlabelled rows.

    Args:
      probs: [B, S, C] float, rows sum to 1.
      labels: [B] int class ids, -1 = unlabelled.
      class_weights: [C] float, factor of each class's rows; None for 1.

    Returns:
      [B, S] float32 in nats. Minimise it.
    """
    target = tf.one_hot(labels, probs.shape[-1])[:, None, :]
    return soft_cross_entropy(probs, target if class_weights is None else target * class_weights)


def soft_cross_entropy(probs: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """- sum_c t(c) ln p(c) of every sub-head.

    Args:
      probs: [B, S, C] float, rows sum to 1.
      target: [B, S, C] or [B, 1, C] float; gradients run into it too.

    Returns:
      [B, S] float32 in nats. Minimise it.
    """
    logs = tf.math.log(tf.maximum(tf.cast(probs, tf.float32), 1e-7))
    return -tf.reduce_sum(target * logs, axis=-1)


@keras.utils.register_keras_serializable("foc_tf")
class MutualInformation(keras.losses.Loss):
    """Negative mutual information of two views, for `compile(loss=...)`; see `mutual_information`.

    `y_true` is the first view's [B, K] or [B, S, K] probabilities, `y_pred` the second view's.
    """

    def __init__(self, name: str = "mutual_information", **kwargs: Any) -> None:
        """Takes `keras.losses.Loss`'s arguments."""
        super().__init__(name=name, **kwargs)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Scalar or [S], -log K to 0."""
        return -mutual_information(y_true, y_pred)


@keras.utils.register_keras_serializable("foc_tf")
class InverseCrossEntropy(keras.losses.Loss):
    """CE^-1 for `compile(loss=...)`: `y_pred` should avoid the clusters of `y_true` ([..., K])."""

    def __init__(self, name: str = "inverse_cross_entropy", **kwargs: Any) -> None:
        """Takes `keras.losses.Loss`'s arguments."""
        super().__init__(name=name, **kwargs)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """[...] float32."""
        return inverse_cross_entropy(y_pred, y_true)


@keras.utils.register_keras_serializable("foc_tf")
class TripletInverseCrossEntropy(keras.losses.Loss):
    """`triplet_inverse_cross_entropy` of a network that shows three views at once.

    `y_true` is [B] class ids of the first view's images, -1 = unlabelled; `y_pred` the views'
    probabilities [B, 3, K] or [B, 3, S, K]: the image, one of its class, one of another class.
    """

    def __init__(self, name: str = "triplet_inverse_cross_entropy", **kwargs: Any) -> None:
        """Takes `keras.losses.Loss`'s arguments."""
        super().__init__(name=name, **kwargs)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """[B] or [B, S] float32, 0 for unlabelled rows."""
        loss = triplet_inverse_cross_entropy(*tf.unstack(y_pred, 3, axis=1))
        known = tf.cast(_labels(y_true) >= 0, loss.dtype)
        return loss * tf.reshape(known, [-1] + [1] * (loss.shape.rank - 1))


@keras.utils.register_keras_serializable("foc_tf")
class InBatchInverseCrossEntropy(keras.losses.Loss):
    """`in_batch_inverse_cross_entropy` for `compile(loss=...)`.

    `y_true` is [B] class ids, -1 = unlabelled; `y_pred` [B, K] or, as `MultiHead` gives them,
    [B, S, K] probabilities.

    Args:
      num_classes: C.
      name: of the loss.
    """

    def __init__(
        self, num_classes: int, name: str = "in_batch_inverse_cross_entropy", **kwargs: Any
    ) -> None:
        """See the class; takes `keras.losses.Loss`'s arguments too."""
        super().__init__(name=name, **kwargs)
        self.num_classes = num_classes

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """[B, S] float32, 0 for unlabelled rows."""
        return in_batch_inverse_cross_entropy(_sub_heads(y_pred), _labels(y_true), self.num_classes)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return super().get_config() | {"num_classes": self.num_classes}


@keras.utils.register_keras_serializable("foc_tf")
class PartialCrossEntropy(keras.losses.Loss):
    """`cross_entropy` for `compile(loss=...)`: labels may be missing.

    `y_true` is [B] class ids, -1 = unlabelled; `y_pred` [B, C] or [B, S, C] probabilities.
    """

    def __init__(self, name: str = "partial_cross_entropy", **kwargs: Any) -> None:
        """Takes `keras.losses.Loss`'s arguments."""
        super().__init__(name=name, **kwargs)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """[B, S] float32 in nats, 0 for unlabelled rows."""
        return cross_entropy(_sub_heads(y_pred), _labels(y_true))


def _labels(y_true):
    # Keras makes [B, 1] floats of class ids.
    return tf.cast(tf.reshape(y_true, [-1]), tf.int32)


def _sub_heads(probs):
    probs = tf.convert_to_tensor(probs)
    return probs if probs.shape.rank == 3 else probs[:, None]
