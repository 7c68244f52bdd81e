"""Bootstrap over images: counts by hand, known answers, coverage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foc_tf import bootstrap, metrics


def case(seed, images, accuracies, shared=0.0):
    """Labels [N] of 3 classes and predictions [P, N] that are right with these probabilities.

    With `shared` of the images, all predictions are right or wrong for the same luck.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, images)
    common, own = rng.random(images), rng.random((len(accuracies), images))
    luck = np.where(rng.random(images) < shared, common, own)
    wrong = (labels + rng.integers(1, 3, (len(accuracies), images))) % 3
    return labels, np.where(luck < np.array(accuracies)[:, None], labels, wrong)


def test_confusions_by_hand():
    labels, predictions = np.array([0, 1, 1]), np.array([0, 0, -1])
    # The second resample has image 1 twice and image 2 once.
    drawn = np.array([[0, 1, 2], [1, 1, 2]])
    counts = bootstrap.confusions(labels, predictions, drawn, 2)
    assert counts.tolist() == [[[1, 0, 0], [1, 0, 1]], [[0, 0, 0], [2, 0, 1]]]
    assert bootstrap.accuracy(counts).tolist() == [1 / 3, 0]
    # First: F1 of 0 is 2 / (2 + 1), of 1 it is 0. Second: class 0 was not drawn, class 1 has 0.
    assert bootstrap.macro_f1(counts).tolist() == pytest.approx([(2 / 3 + 0) / 2, 0])


@given(st.integers(0, 2**31), st.sampled_from(list(bootstrap.SCORES)))
@settings(max_examples=50, deadline=None)
def test_every_resample_is_the_metric_on_its_images(seed, score):
    rng = np.random.default_rng(seed)
    labels, predictions = rng.integers(0, 4, 25), rng.integers(-1, 4, (2, 25))
    values = bootstrap.resampled(labels, predictions, 4, score, resamples=6, seed=seed)
    drawn = bootstrap.draws(25, 0, 6, seed)
    one = {"accuracy": metrics.accuracy, "macro_f1": lambda y, p: metrics.macro_f1(y, p, 4)}[score]
    for r, images in enumerate(drawn):
        for p, predicted in enumerate(predictions):
            assert values[r, p] == pytest.approx(one(labels[images], predicted[images]), abs=1e-12)
    own = [one(labels, predicted) for predicted in predictions]
    assert bootstrap.point(labels, predictions, 4, score) == pytest.approx(own, abs=1e-12)


def test_resamples_do_not_depend_on_how_many_are_drawn_at_once(monkeypatch):
    labels, predictions = case(0, 40, (0.7,))
    whole = bootstrap.resampled(labels, predictions, 3, resamples=30)
    monkeypatch.setattr(bootstrap, "_CHUNK", 40 * 7)
    np.testing.assert_array_equal(bootstrap.resampled(labels, predictions, 3, resamples=30), whole)
    other = bootstrap.resampled(labels, predictions, 3, resamples=30, seed=1)
    assert np.abs(other - whole).max() > 0


def test_equal_predictions_have_an_interval_of_zero():
    labels, predictions = case(1, 60, (0.6,))
    both = bootstrap.resampled(labels, np.repeat(predictions, 2, axis=0), 3)
    assert bootstrap.interval(both[:, 0] - both[:, 1]) == (0, 0)
    low, high = bootstrap.interval(both[:, 0])
    assert low < bootstrap.point(labels, predictions, 3)[0] < high


def test_percentiles_by_hand():
    # Of 0 .. 100 the middle 90 % lie between 5 and 95.
    assert bootstrap.interval(np.arange(101), 0.9) == pytest.approx((5, 95))


def test_the_standard_error_is_the_binomial_one():
    labels, predictions = case(2, 400, (0.7,))
    share = (labels == predictions[0]).mean()
    spread = bootstrap.resampled(labels, predictions, 3, "accuracy", 4000).std()
    # Of 4,000 resamples the standard deviation is known to 1.1 %.
    assert spread == pytest.approx(np.sqrt(share * (1 - share) / 400), rel=0.05)


def test_intervals_of_differences_cover_the_truth_and_pairing_narrows_them():
    accuracies, shared = (0.72, 0.65), 0.7
    labels, predictions = case(10**6, 400_000, accuracies, shared)
    truth = -np.diff(bootstrap.point(labels, predictions, 3))[0]
    covered, paired, apart = 0, [], []
    for seed in range(200):
        labels, predictions = case(seed, 250, accuracies, shared)
        values = bootstrap.resampled(labels, predictions, 3, resamples=400, seed=seed)
        low, high = bootstrap.interval(values[:, 0] - values[:, 1])
        covered += low <= truth <= high
        paired.append(high - low)
        # Independent resamples of the second prediction.
        other = bootstrap.resampled(labels, predictions[1:], 3, resamples=400, seed=seed + 1000)
        low, high = bootstrap.interval(values[:, 0] - other[:, 0])
        apart.append(high - low)
    # 190 of 200 on average; a binomial of 0.95 has 3.1 as standard deviation.
    assert 180 <= covered <= 198
    # 70 % of the luck is common: the variance of the difference falls by about that share.
    assert np.mean(paired) < 0.7 * np.mean(apart)


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        ([0, 1], [[0]], r"predictions: expected \[P, 2\].*\(1, 1\)"),
        ([0, 1], [0, 1], "predictions: expected"),
        ([], np.zeros((1, 0), int), "labels: no image"),
        ([0, 3], [[0, 1]], "labels: expected 0 to 2, found 0 to 3"),
        ([0, 2], [[-2, 1]], "predictions: expected -1 to 2"),
    ],
)
def test_wrong_arguments_are_named(labels, predictions, message):
    with pytest.raises(ValueError, match=message):
        bootstrap.resampled(labels, predictions, 3)
