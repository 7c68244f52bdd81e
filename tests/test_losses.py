"""Losses against slow, obvious float64 numpy and hand-computed values."""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from foc_tf import losses
from tests.test_model import tiny_model


def slow_information(a, b):
    """[B, K] twice, float64, by the definition."""
    k = a.shape[1]
    q = np.zeros((k, k))
    for x, y in zip(a, b):
        q += np.outer(x, y) / len(a)
    p = (q + q.T) / 2
    marginal = p.sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * np.log(p / np.outer(marginal, marginal)), 0.0)
    return terms.sum()


def slow_inverse(p, q):
    return -(p * np.log(np.maximum(1 - q, 2.0**-23))).sum(-1)


def close(fast, slow):
    np.testing.assert_allclose(np.asarray(fast, np.float64), slow, rtol=1e-5, atol=1e-6)


def softmax(rng, *shape, scale=3.0):
    x = np.exp(scale * rng.standard_normal(shape))
    return (x / x.sum(-1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("seed", range(200))
def test_random_inputs_equal_float64(seed):
    rng = np.random.default_rng(seed)
    rows, k = rng.integers(1, 40), rng.integers(2, 30)
    a, b, c = (softmax(rng, rows, k, scale=rng.uniform(0.1, 8)) for _ in range(3))
    wide = [x.astype(np.float64) for x in (a, b, c)]
    close(losses.mutual_information(a, b), slow_information(*wide[:2]))
    close(losses.inverse_cross_entropy(a, b), slow_inverse(*wide[:2]))
    expected = 0.5 * slow_inverse(wide[0], wide[2]) + 0.5 * slow_inverse(wide[1], wide[2])
    close(losses.triplet_inverse_cross_entropy(a, b, c), expected)


EXTREMES = {
    "one_hot": np.eye(7, dtype=np.float32)[np.arange(20) % 7],
    "uniform": np.full((20, 7), 1 / 7, np.float32),
    "collapsed": np.eye(7, dtype=np.float32)[np.zeros(20, int)],
    "one_row": np.eye(7, dtype=np.float32)[:1],
    "half_half": np.tile(np.float32([[0.5, 0.5, 0, 0]]), (3, 1)),
    "k_1000": softmax(np.random.default_rng(0), 64, 1000),
    "k_1000_uniform": np.full((64, 1000), 1e-3, np.float32),
    "k_1000_one_hot": np.eye(1000, dtype=np.float32),
}


@pytest.mark.parametrize("name", EXTREMES)
def test_extremes_equal_float64_and_have_finite_gradients(name):
    a = EXTREMES[name]
    b = np.roll(a, 1, axis=0)
    close(losses.mutual_information(a, b), slow_information(a.astype(float), b.astype(float)))
    close(losses.inverse_cross_entropy(a, b), slow_inverse(a.astype(float), b.astype(float)))
    x, y = tf.Variable(a), tf.Variable(b)
    with tf.GradientTape() as tape:
        value = losses.mutual_information(x, y)
        value += tf.reduce_sum(losses.triplet_inverse_cross_entropy(x, x, y))
        labels = tf.range(len(a)) % 3
        value += tf.reduce_sum(losses.in_batch_inverse_cross_entropy(x[:, None], labels, 3))
        value += tf.reduce_sum(losses.cross_entropy(x[:, None], labels))
    for gradient in tape.gradient(value, [x, y]):
        assert np.isfinite(np.asarray(tf.convert_to_tensor(gradient))).all()


def test_hand_computed_values():
    # Perfect agreement on two equally used clusters: P = diag(1/2, 1/2), marginals 1/2,
    # I = 2 * 1/2 * ln((1/2) / (1/4)) = ln 2.
    assert float(losses.mutual_information(np.eye(2), np.eye(2))) == pytest.approx(math.log(2))
    # The paper's example: p = (.5, .5, 0), q = (0, 0, 1): nothing shared, exactly 0.
    p, q = np.float32([0.5, 0.5, 0.0]), np.float32([0.0, 0.0, 1.0])
    assert float(losses.inverse_cross_entropy(p, q)) == 0.0
    # p = (1, 0), q = (.75, .25): -1 * ln(1 - .75) = ln 4.
    p, q = np.float32([1, 0]), np.float32([0.75, 0.25])
    assert float(losses.inverse_cross_entropy(p, q)) == pytest.approx(math.log(4))
    # The other way round: -.75 ln(1 - 1) with 1 - q clipped at 2^-23, -.25 ln 1: .75 * 23 ln 2.
    value = float(losses.inverse_cross_entropy(q, p))
    assert value == pytest.approx(0.75 * 23 * math.log(2))


@pytest.mark.parametrize("seed", range(20))
def test_gradients_of_information_equal_differences_in_float64(seed):
    rng = np.random.default_rng(seed)
    rows, k = rng.integers(2, 12), rng.integers(2, 8)
    views = [softmax(rng, rows, k, scale=rng.uniform(0.5, 3)) for _ in range(2)]
    variables = [tf.Variable(view) for view in views]
    with tf.GradientTape() as tape:
        value = 3.0 * losses.mutual_information(*variables)
    for which, gradient in enumerate(tape.gradient(value, variables)):
        for place in np.ndindex(rows, k):
            ends = []
            for move in (1e-6, -1e-6):
                wide = [view.astype(np.float64) for view in views]
                wide[which][place] += move
                ends.append(3 * slow_information(*wide))
            expected = (ends[0] - ends[1]) / 2e-6
            assert float(gradient[place]) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_many_clusters_cost_few_passes_over_the_joint():
    # At k = 2,000 each pass over [S, k, k] takes as long as a seventh of the matrix product.
    probs = tf.ones((4, 2, 30)) / 30

    @tf.function
    def step(one, two):
        with tf.GradientTape() as tape:
            tape.watch([one, two])
            value = tf.reduce_sum(losses.mutual_information(one, two))
        return tape.gradient(value, [one, two])

    graph = step.get_concrete_function(probs, probs).graph
    passes = [op for op in graph.get_operations() for out in op.outputs if out.shape == (2, 30, 30)]
    assert len(passes) < 20, [op.type for op in passes]


def slow_in_batch(probs, labels):
    result = np.zeros(probs.shape[:2])
    for i in range(len(probs)):
        others = [j for j in range(len(probs)) if labels[j] >= 0 and labels[j] != labels[i]]
        if labels[i] >= 0 and others:
            result[i] = np.mean([slow_inverse(probs[i], probs[j]) for j in others], axis=0)
    return result


@pytest.mark.parametrize("seed", range(20))
def test_in_batch_negatives_are_the_mean_over_all_rows_of_other_classes(seed):
    rng = np.random.default_rng(seed)
    probs, labels = softmax(rng, 17, 3, 6), rng.integers(-1, 4, 17)
    fast = losses.in_batch_inverse_cross_entropy(probs, labels, 4)
    close(fast, slow_in_batch(probs.astype(float), labels))


def test_in_batch_without_a_second_class_is_zero():
    probs = softmax(np.random.default_rng(0), 5, 2, 4)
    assert not np.any(losses.in_batch_inverse_cross_entropy(probs, np.zeros(5, int), 3))


def test_cross_entropy_is_zero_for_unlabelled_rows():
    probs = np.float32([[[0.25, 0.75]], [[0.5, 0.5]]])
    # -ln .75 for the labelled row
    np.testing.assert_allclose(
        losses.cross_entropy(probs, np.array([1, -1])), [[-math.log(0.75)], [0.0]], rtol=1e-6
    )


probabilities = st.integers(0, 2**31).map(lambda s: softmax(np.random.default_rng(s), 12, 2, 5))


@settings(max_examples=30, deadline=None)
@given(probabilities, probabilities, st.permutations(range(5)), st.permutations(range(12)))
def test_information_is_symmetric_bounded_and_blind_to_names_and_order(a, b, names, order):
    value = losses.mutual_information(a, b).numpy()
    assert (value >= -1e-6).all()
    assert (value <= math.log(5) + 1e-6).all()
    np.testing.assert_allclose(losses.mutual_information(b, a), value, atol=2e-6)
    renamed = losses.mutual_information(a[..., names], b[..., names])
    np.testing.assert_allclose(renamed, value, atol=2e-6)
    np.testing.assert_allclose(losses.mutual_information(a[order], b[order]), value, atol=2e-6)


@settings(max_examples=30, deadline=None)
@given(probabilities, probabilities)
def test_inverse_cross_entropy_is_not_negative_and_works_on_any_rank(p, q):
    value = losses.inverse_cross_entropy(p, q).numpy()
    assert (value >= 0).all()
    np.testing.assert_allclose(
        losses.inverse_cross_entropy(p[:, 0], q[:, 0]), value[:, 0], rtol=1e-6
    )


def test_shapes_that_differ_are_named():
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(2, 4\)"):
        losses.mutual_information(np.zeros((2, 3)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match="p and q"):
        losses.inverse_cross_entropy(np.zeros((2, 3)), np.zeros((2, 4)))


def test_half_precision_input_is_computed_in_float32():
    a = tf.cast(softmax(np.random.default_rng(0), 8, 4), tf.bfloat16)
    assert losses.mutual_information(a, a).dtype == tf.float32
    assert losses.inverse_cross_entropy(a, a).dtype == tf.float32


def test_keras_losses_agree_with_the_functions():
    a, b = (softmax(np.random.default_rng(s), 8, 4) for s in (1, 2))
    assert float(losses.MutualInformation()(a, b)) == pytest.approx(
        -float(losses.mutual_information(a, b)), rel=1e-5
    )
    assert float(losses.InverseCrossEntropy()(a, b)) == pytest.approx(
        float(tf.reduce_mean(losses.inverse_cross_entropy(b, a))), rel=1e-5
    )


def _value_and_gradient(logits, labels):
    """What the train step does: mean over the replica's rows, divided by the replicas."""
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    with tf.GradientTape() as tape:
        tape.watch(logits)
        probs = tf.nn.softmax(logits)
        value = -tf.reduce_mean(losses.mutual_information(probs[:, 0], probs[:, 1]))
        value += tf.reduce_mean(losses.in_batch_inverse_cross_entropy(probs[:, 0], labels, 3))
        value += tf.reduce_mean(losses.cross_entropy(probs[:, 1], labels))
        scaled = value / replicas
    return scaled, tape.gradient(scaled, logits)


def test_information_of_labelled_rows_is_that_of_the_global_batch(two_replicas):
    """All labelled rows on one replica; each half by its own share of them had 0.38 for 0.07."""
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(3), (2, 12, 4)).astype(np.float32)
    labels = np.int32([0, 1, 2, 0, 1, 2, -1, -1, -1, -1, -1, -1])
    model = tiny_model("foc", normal_mi_rows="labeled")
    wanted = losses.mutual_information(probs[0, :6], probs[1, :6])

    def information(replica=None):
        own = slice(None) if replica is None else slice(6 * replica, 6 * replica + 6)
        return model._normal_information([tf.constant(p[own]) for p in probs], labels[own])

    np.testing.assert_allclose(information(), np.mean(wanted), rtol=1e-4)

    def one_of_two():
        first = tf.distribute.get_replica_context().replica_id_in_sync_group == 0
        return information(0) if first else information(1)

    both = two_replicas.experimental_local_results(two_replicas.run(one_of_two))
    np.testing.assert_allclose([float(value) for value in both], np.mean(wanted), rtol=1e-4)


def test_two_replicas_equal_one(two_replicas):
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((12, 2, 3, 6)).astype(np.float32)
    labels = rng.integers(-1, 3, 12)
    value, gradient = _value_and_gradient(tf.constant(logits), tf.constant(labels))

    def part(x):
        return two_replicas.experimental_distribute_values_from_function(
            lambda c: tf.constant(np.split(x, 2)[c.replica_id_in_sync_group])
        )

    values, gradients = two_replicas.run(
        tf.function(_value_and_gradient), args=(part(logits), part(labels))
    )
    total = sum(float(v) for v in two_replicas.experimental_local_results(values))
    both = np.concatenate([g.numpy() for g in two_replicas.experimental_local_results(gradients)])
    np.testing.assert_allclose(total, float(value), rtol=1e-5)
    np.testing.assert_allclose(both, gradient.numpy(), rtol=1e-5, atol=1e-7)
