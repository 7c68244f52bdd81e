"""The contrastive loss of two views, over the global batch."""

import tensorflow as tf

from foc_tf.distribution import global_mean, global_rows, replica_id

# Takes a row's similarity to itself out of a softmax; finite, as a product with 0 must be 0.
_NEVER = 1e9


def contrastive_loss(
    view_a: tf.Tensor, view_b: tf.Tensor, temperature: float = 0.1, within_views: bool = True
) -> tf.Tensor:
    """Cross-entropy of finding each row's other view among the rows of the global batch.

    -ln (exp(cos(a_i, b_i) / tau) / sum_j exp(cos(a_i, j) / tau)), the mean over all rows of both
    views. The sum runs over all rows of the other view and, with `within_views`, over all others
    of the own one: NT-Xent (Chen et al. 2020, SimCLR, Eq. 1). Without them it is the loss between
    two views of Tian et al. (2019), CMC, Eq. 2-4.

    Args:
      view_a: [B, E] float, any length: rows are normalised here.
      view_b: same shape, the same images.
      temperature: tau, above 0.
      within_views: whether rows of the same view count as negatives too.

    Returns:
      Scalar float32 in nats, 0 to about ln of the number of candidates plus 2 / tau. Minimise it.

    Raises:
      ValueError: if the shapes differ; names both.
    """
    if view_a.shape != view_b.shape:
        raise ValueError(
            f"view_a and view_b must have one shape; found {view_a.shape} and {view_b.shape}."
        )
    views = [
        tf.math.l2_normalize(tf.cast(v, tf.float32), axis=1, epsilon=1e-12)
        for v in (view_a, view_b)
    ]
    everywhere = [global_rows(view) for view in views]
    count = tf.shape(views[0])[0]
    own = replica_id() * count + tf.range(count)
    total = 0.0
    for this, other in ((0, 1), (1, 0)):
        logits = tf.matmul(views[this], everywhere[other], transpose_b=True) / temperature
        if within_views:
            within = tf.matmul(views[this], everywhere[this], transpose_b=True) / temperature
            within -= _NEVER * tf.one_hot(own, tf.shape(within)[1])
            logits = tf.concat([logits, within], axis=1)
        rows = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=own, logits=logits)
        total += 0.5 * tf.reduce_mean(rows)
    return global_mean(total)
