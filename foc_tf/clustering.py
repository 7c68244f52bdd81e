"""Losses of clustering without labels, beside the mutual information of `losses`.

All are in float32 and over the *global* batch. SCAN: Van Gansbeke et al. (2020), arXiv 2005.12320.
"""

import tensorflow as tf

from foc_tf.distribution import global_mean, global_sum

# Smallest probability that a logarithm sees.
_TINY = 1e-15


def neighbor_loss(probs: tf.Tensor, neighbor_probs: tf.Tensor) -> tf.Tensor:
    """-ln <p(x), p(n)>, the mean over rows and sub-heads (SCAN, Eq. 2).

    Args:
      probs: [B, S, C] float, rows sum to 1, images.
      neighbor_probs: same shape, one neighbour of each.

    Returns:
      Scalar float32 in nats, 0 (both sure of the same class) upwards. Minimise it.
    """
    agreement = tf.reduce_sum(probs * neighbor_probs, axis=-1)
    return -tf.reduce_mean(tf.math.log(tf.maximum(agreement, _TINY)))


def mean_entropy(probs: tf.Tensor) -> tf.Tensor:
    """Entropy of the mean probabilities of the global batch, mean over sub-heads (SCAN, Eq. 2).

    Args:
      probs: [B, S, C] float, rows sum to 1.

    Returns:
      Scalar float32 in nats, 0 (one cluster has all) to ln C (all are of one size). Maximise it.
    """
    mean = global_mean(tf.reduce_mean(probs, axis=0))
    return -tf.reduce_mean(tf.reduce_sum(mean * tf.math.log(tf.maximum(mean, _TINY)), axis=-1))


def self_label_loss(
    weak_probs: tf.Tensor, strong_probs: tf.Tensor, threshold: float = 0.99
) -> tf.Tensor:
    """Cross-entropy of the strong view with confident labels of the weak one (SCAN, section 2.3).

    Rows count whose largest weak probability is above the threshold, with the weight n / n_c of
    their class c among the n of the global batch; a weighted mean: the mean, over the classes that
    are there, of each one's mean. 0 where no row is confident.

    Args:
      weak_probs: [B, S, C] float, rows sum to 1; no gradient.
      strong_probs: same shape, the same rows.
      threshold: probability.

    Returns:
      Scalar float32 in nats, mean over sub-heads. Minimise it.
    """
    weak_probs = tf.stop_gradient(weak_probs)
    confident = tf.cast(tf.reduce_max(weak_probs, axis=-1) > threshold, tf.float32)
    target = tf.one_hot(tf.argmax(weak_probs, axis=-1), weak_probs.shape[-1])
    target *= confident[..., None]
    logs = tf.math.log(tf.maximum(strong_probs, _TINY))
    counts = global_sum(tf.reduce_sum(target, axis=0))
    sums = global_sum(-tf.reduce_sum(target * logs, axis=0))
    of_class = tf.math.divide_no_nan(sums, counts)
    present = tf.reduce_sum(tf.cast(counts > 0, tf.float32), axis=-1)
    return tf.reduce_mean(tf.math.divide_no_nan(tf.reduce_sum(of_class, axis=-1), present))


def association_losses(similarity: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Walker and visit loss of round trips from A places to B others and back.

    P(a -> b) is the softmax of row a over b, P(b -> a) that of column b over a. Walker: -ln of the
    probability that a trip a -> b -> a' ends where it began, the mean over a. Visit: cross-entropy
    of the uniform distribution with mean_a P(a -> b). Haeusser et al. (2017), Learning by
    Association, section 3, with a class for every place a.

    Args:
      similarity: [..., A, B] float, of all rows of the global batch.

    Returns:
      (walker, visit), each [...] float32 in nats: 0 to about ln A, and ln B (all are visited alike)
      upwards. Minimise both.
    """
    to = tf.nn.softmax(similarity, axis=-1)
    back = tf.nn.softmax(similarity, axis=-2)
    stays = tf.reduce_sum(to * back, axis=-1)  # the diagonal of to @ back^T
    walker = -tf.reduce_mean(tf.math.log(tf.maximum(stays, _TINY)), axis=-1)
    visits = tf.reduce_mean(to, axis=-2)
    return walker, -tf.reduce_mean(tf.math.log(tf.maximum(visits, _TINY)), axis=-1)
