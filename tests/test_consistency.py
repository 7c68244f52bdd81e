"""Targets and distances of the methods that learn without labels, by hand."""

import numpy as np
import pytest
import tensorflow as tf

from foc_tf import alignment, consistency, labeled_loss, losses, mixup
from foc_tf.stages import Stage
from tests.test_model import tiny_model


def one_head(rows):
    return np.array(rows, np.float32)[:, None, :]


def test_sharpening_by_hand():
    # T = 0.5 squares: .25, .09, .04 of .38
    found = consistency.sharpen(one_head([[0.5, 0.3, 0.2]]), 0.5)
    np.testing.assert_allclose(found[0, 0], [0.25 / 0.38, 0.09 / 0.38, 0.04 / 0.38], rtol=1e-6)
    np.testing.assert_allclose(consistency.sharpen([[0.7, 0.3]], 1.0), [[0.7, 0.3]], rtol=1e-6)
    # Squares of these vanish in float32.
    np.testing.assert_allclose(consistency.sharpen([[1e-30, 1e-30]], 0.5), [[0.5, 0.5]], rtol=1e-6)


def test_pseudo_labels_are_masked_row_by_row():
    guess = one_head([[0.96, 0.04], [0.9, 0.1], [0.03, 0.97]])
    probs = one_head([[0.5, 0.5], [0.01, 0.99], [0.25, 0.75]])
    rows, confident = consistency.confident_cross_entropy(probs, guess, 0.95)
    # -ln .5, not confident, -ln .75. With a mask of [B, 1] the second row's -ln .01 would count.
    np.testing.assert_allclose(rows[:, 0], [0.693147, 0.0, 0.287682], rtol=1e-5)
    np.testing.assert_array_equal(confident[:, 0], [1, 0, 1])
    assert rows.shape == confident.shape == (3, 1)


def test_each_sub_head_has_its_own_pseudo_label():
    guess = np.array([[[0.99, 0.01], [0.01, 0.99]]], np.float32)
    probs = np.array([[[0.8, 0.2], [0.8, 0.2]]], np.float32)
    rows, _ = consistency.confident_cross_entropy(probs, guess, 0.95)
    np.testing.assert_allclose(rows, [[-np.log(0.8), -np.log(0.2)]], rtol=1e-5)


def test_squared_difference_is_a_mean_over_classes():
    # (.5^2 + .5^2) / 2 and (.1^2 + .1^2) / 2
    found = consistency.squared_difference(
        one_head([[0.5, 0.5], [0.6, 0.4]]), one_head([[1.0, 0.0], [0.5, 0.5]])
    )
    np.testing.assert_allclose(found[:, 0], [0.25, 0.01], rtol=1e-5)


@pytest.mark.parametrize("which", ["squared", "pseudo"])
def test_targets_have_no_gradient(which):
    probs, target = tf.Variable(one_head([[0.5, 0.5]])), tf.Variable(one_head([[0.99, 0.01]]))
    with tf.GradientTape() as tape:
        if which == "squared":
            loss = consistency.squared_difference(probs, target)
        else:
            loss, _ = consistency.confident_cross_entropy(probs, target, 0.9)
    own, of_target = tape.gradient(loss, [probs, target])
    assert np.abs(own).max() > 0
    assert of_target is None


def test_the_supervised_loss_is_a_mean_over_labelled_rows():
    labels = tf.constant([0, -1, -1, 1])
    rows = tf.constant([[1.0, 3.0], [9.0, 9.0], [9.0, 9.0], [4.0, 4.0]])
    # Rows 0 and 3, two sub-heads: (1 + 3 + 4 + 4) / 4
    assert float(labeled_loss.mean_over(rows, labels >= 0)) == pytest.approx(3.0)
    assert float(labeled_loss.mean_over(rows, labels > 7)) == 0.0


def test_class_weights_by_hand():
    weights = labeled_loss.class_weights("inverse", [0.5, 0.25, 0.25], 3)
    # 1 / (3 * .5) and 1 / (3 * .25); their mean over the images is .5 * 2/3 + .5 * 4/3 = 1.
    np.testing.assert_allclose(weights, [2 / 3, 4 / 3, 4 / 3])
    probs = one_head([[0.5, 0.3, 0.2]] * 3)
    found = losses.cross_entropy(probs, tf.constant([0, 2, -1]), weights)
    wanted = [-2 / 3 * np.log(0.5), -4 / 3 * np.log(0.2), 0.0]
    np.testing.assert_allclose(found[:, 0], wanted, rtol=1e-5)
    assert labeled_loss.class_weights("none", None, 3) is None


@pytest.mark.parametrize("shares", [None, [0.5, 0.5], [1.0, 0.0, 0.0], [0.5, 0.5, 0.5]])
def test_shares_that_do_not_fit_are_named(shares):
    with pytest.raises(ValueError, match="class_shares: expected 3 positive"):
        labeled_loss.class_weights("inverse", shares, 3)


def test_distribution_alignment_by_hand():
    layer = alignment.make(True, [0.75, 0.25], 2, 1)
    first = one_head([[0.6, 0.4], [0.4, 0.6]])
    # Untrained it changes nothing.
    np.testing.assert_allclose(layer(first, training=False), first, rtol=1e-6)
    # The first mean is the batch's, (.5, .5): times 1.5 and .5, (.9, .2) / 1.1 and (.6, .3) / .9.
    found = layer(first, training=True)
    np.testing.assert_allclose(found[:, 0], [[0.9 / 1.1, 0.2 / 1.1], [2 / 3, 1 / 3]], rtol=1e-5)
    # The second batch counts as much as the first: (.5 + .9) / 2 = .7.
    layer(one_head([[0.9, 0.1], [0.9, 0.1]]), training=True)
    np.testing.assert_allclose(layer.running_mean, [[0.7, 0.3]], rtol=1e-5)
    # Evaluation leaves the mean alone: (.6 * .75/.7, .4 * .25/.3) = (.642857, .333333)
    found = layer(first, training=False)[0, 0]
    total = 0.642857 + 0.333333
    np.testing.assert_allclose(found, [0.642857 / total, 0.333333 / total], rtol=1e-4)
    np.testing.assert_allclose(layer.running_mean, [[0.7, 0.3]], rtol=1e-5)


def test_the_running_mean_has_a_longest_memory():
    layer = alignment.DistributionAlignment([0.5, 0.5], decay=0.75)
    for step in range(6):
        layer(one_head([[float(step), 0.0]]), training=True)
    mean = 0.0
    for step in range(6):  # decays 0, 1/2, 2/3, then 3/4
        decay = min(1 - 1 / (step + 1), 0.75)
        mean = decay * mean + (1 - decay) * step
    np.testing.assert_allclose(layer.running_mean[0, 0], mean, rtol=1e-5)


def test_without_alignment_only_the_gradient_is_stopped():
    probs = one_head([[0.6, 0.4]])
    np.testing.assert_array_equal(alignment.make(False, None, 2, 1)(probs, True), probs)


def test_mixing_equals_the_formula():
    rng = np.random.default_rng(0)
    mix = mixup.Mix([3, 4], 0.75, 2, 5)
    weights, partners = mix.weights.numpy(), mix.partners.numpy()
    assert sorted(partners.ravel()) == list(range(10))
    assert (weights >= 0.5).all()
    assert (weights <= 1).all()
    for shape in ((5, 4, 4, 1), (5, 2, 3)):
        views = [rng.uniform(size=shape).astype(np.float32) for _ in range(2)]
        every = np.concatenate(views)
        for v, found in enumerate(mix([tf.constant(view) for view in views])):
            for i in range(5):
                w = weights[v, i]
                wanted = w * views[v][i] + (1 - w) * every[partners[v, i]]
                np.testing.assert_allclose(found[i], wanted, rtol=1e-5)


def test_mixing_is_a_function_of_the_seed():
    one, two, other = (mixup.Mix(seed, 0.75, 2, 50) for seed in ([1, 1], [1, 1], [1, 2]))
    np.testing.assert_array_equal(one.weights, two.weights)
    assert np.abs(one.weights - other.weights).max() > 0.01


@pytest.mark.parametrize("alpha", [0.5, 0.75, 4.0])
def test_weights_are_beta(alpha):
    found = mixup.Mix([5, 6], alpha, 1, 20_000).weights.numpy()
    draws = np.random.default_rng(0).beta(alpha, alpha, 200_000)
    wanted = np.maximum(draws, 1 - draws)
    # The standard error of the mean is below .2 / sqrt(20,000) = .0014.
    assert found.mean() == pytest.approx(wanted.mean(), abs=0.006)
    assert found.std() == pytest.approx(wanted.std(), abs=0.006)


def test_weights_ramp_up_linearly():
    model = tiny_model("pi_model")
    model.set_stage(Stage("fine_tune", 1, 1e-2), steps=10)
    found = []
    for step in (0, 1, 2, 4, 9):  # over the first 4 of 10 steps
        model.optimizer.iterations.assign(step)
        found.append(float(model.ramped(0.4)))
    np.testing.assert_allclose(found, [0, 0.25, 0.5, 1, 1], rtol=1e-6)
    assert model.ramped(0.0) == 1.0
    model.set_stage(Stage("fine_tune", 1, 1e-2))
    assert model.ramped(0.4) == 1.0


def test_a_stage_of_another_length_has_another_step():
    model = tiny_model("pi_model")
    stage = Stage("fine_tune", 1, 1e-2)
    keys = set()
    for steps in (10, 20):
        model.set_stage(stage, steps=steps)
        keys.add(model._stage_key())
    assert len(keys) == 2
