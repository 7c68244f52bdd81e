"""The contrastive loss against slow float64 numpy, by hand, and on two replicas."""

import numpy as np
import pytest
import tensorflow as tf

from foc_tf.contrastive import contrastive_loss


def slow(view_a, view_b, temperature, within_views):
    """Every term by itself, in float64."""
    a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in np.float64([view_a, view_b]))
    total = 0.0
    for own, other in ((a, b), (b, a)):
        for i in range(len(own)):
            candidates = [own[i] @ row for row in other]
            if within_views:
                candidates += [own[i] @ own[j] for j in range(len(own)) if j != i]
            right = np.exp(own[i] @ other[i] / temperature)
            total += -np.log(right / np.sum(np.exp(np.divide(candidates, temperature))))
    return total / (2 * len(a))


def views(rows=12, width=5, seed=0):
    return np.random.default_rng(seed).standard_normal((2, rows, width)).astype(np.float32)


@pytest.mark.parametrize("within_views", [True, False])
@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_it_is_the_slow_one(within_views, temperature):
    for seed in range(3):
        one, two = views(seed=seed)
        found = contrastive_loss(tf.constant(one), tf.constant(two), temperature, within_views)
        np.testing.assert_allclose(found, slow(one, two, temperature, within_views), rtol=1e-5)


def test_two_rows_by_hand():
    # a1 = b1 = (1, 0), a2 = b2 = (0, 1), tau = 1: the other view has cosine 1, both rows of the
    # other image 0. NT-Xent: -ln(e / (e + 1 + 1)) = ln(1 + 2 / e) = ln 1.735759 = 0.551445.
    # Across views only: -ln(e / (e + 1)) = ln(1 + 1 / e) = ln 1.367879 = 0.313262.
    rows = tf.constant([[3.0, 0.0], [0.0, 0.5]])  # the lengths do not matter
    assert float(contrastive_loss(rows, rows, 1.0)) == pytest.approx(0.551445, abs=1e-5)
    across = contrastive_loss(rows, rows, 1.0, within_views=False)
    assert float(across) == pytest.approx(0.313262, abs=1e-5)


def test_wrong_pairs_cost_more_and_all_equal_rows_the_logarithm_of_their_number():
    one, _ = views()
    right, wrong = (float(contrastive_loss(one, two)) for two in (one, one[::-1].copy()))
    assert right < 1 < wrong
    same = np.ones((12, 5), np.float32)
    # 12 rows of the other view and 11 of the own
    assert float(contrastive_loss(same, same)) == pytest.approx(np.log(23), abs=1e-5)


def test_a_row_of_zeros_is_finite_in_value_and_gradient():
    one = tf.Variable(views()[0] * np.float32([[0]] + [[1]] * 11))
    with tf.GradientTape() as tape:
        loss = contrastive_loss(one, tf.constant(views()[1]))
    assert np.isfinite(loss)
    assert np.isfinite(tape.gradient(loss, one)).all()


def test_different_shapes_are_named():
    with pytest.raises(ValueError, match=r"view_a and view_b .*\(12, 5\).*\(11, 5\)"):
        contrastive_loss(views()[0], views(rows=11)[1])


@pytest.mark.parametrize("within_views", [True, False])
def test_two_replicas_are_one(two_replicas, within_views):
    """Value and gradient, as the train step takes them: loss / replicas, gradients summed."""
    data = views(rows=8)
    kernel = views(rows=5, width=3, seed=9)[0]

    def loss_of(weights, one, two):
        return contrastive_loss(one @ weights, two @ weights, 0.5, within_views)

    with tf.GradientTape() as tape:
        weights = tf.Variable(kernel)
        wanted = loss_of(weights, *data)
    gradient = tape.gradient(wanted, weights)
    with two_replicas.scope():
        shared = tf.Variable(kernel)

    @tf.function
    def on_two():
        def step():
            index = tf.distribute.get_replica_context().replica_id_in_sync_group
            parts = [tf.constant(v.reshape(2, 4, 5))[index] for v in data]
            with tf.GradientTape() as tape:
                loss = loss_of(shared, *parts)
                part = loss / 2
            return loss, tape.gradient(part, shared)

        return two_replicas.run(step)

    losses, gradients = (two_replicas.experimental_local_results(r) for r in on_two())
    for loss in losses:
        np.testing.assert_allclose(loss, wanted, rtol=1e-5)
    np.testing.assert_allclose(
        sum(np.asarray(g) for g in gradients), gradient, rtol=1e-4, atol=1e-6
    )
