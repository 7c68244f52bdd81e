"""Scores of heads and of k-means in their place, on cases by hand."""

import numpy as np
import pytest

from foc_tf import kmeans, metrics, scoring

VOTES = np.array([[4, 0], [1, 1], [0, 2], [3, 1]])


def blobs(per_group, seed=0, width=8):
    """Features [4 n, 8] in four directions with random lengths, and which direction each has."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(4), per_group)
    noise = 0.02 * rng.normal(size=(len(group), width))
    lengths = rng.uniform(0.1, 50, (len(group), 1))
    return (np.eye(4, width)[group] + noise) * lengths, group


def test_classes_are_groups_for_vote_consistency():
    # Class 0 holds the first two images, (1, 0) . (1/2, 1/2) = 1/2; class 1 the others,
    # (0, 1) . (3/4, 1/4) = 1/4: the mean over the two pairs is 3/8.
    probs = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.1, 0.9]])
    found = scoring.score_normal(probs, np.array([0, 0, 1, 0]), VOTES)
    assert found["vote_consistency"] == pytest.approx(3 / 8, rel=1e-15)
    assert found["accuracy"] == 3 / 4
    assert "vote_consistency" not in scoring.score_normal(probs, np.array([0, 0, 1, 0]))
    alone = scoring.score_normal(probs[:1], np.array([0]), VOTES[:1])
    assert alone["vote_consistency"] is None
    assert "share a group" in alone["vote_consistency_reason"]


def test_kmeans_finds_directions_whatever_the_lengths():
    features, group = blobs(20)
    groups = kmeans.fit(features, 4)
    assert metrics.nmi(groups(features), group) == pytest.approx(1)
    others, other_group = blobs(5, seed=1)
    assert metrics.nmi(groups(others), other_group) == pytest.approx(1)
    assert groups(features[:0]).shape == (0,)


def test_kmeans_is_a_function_of_features_and_seed():
    features = np.random.default_rng(3).normal(size=(300, 16))
    one, same, other = (kmeans.fit(features, 20, seed)(features) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_many_images_are_grouped_in_mini_batches(monkeypatch):
    monkeypatch.setattr(kmeans, "MAX_EXACT", 100)
    features, group = blobs(100)
    assert metrics.nmi(kmeans.fit(features, 4)(features), group) == pytest.approx(1)


def test_scores_of_kmeans_are_those_of_clusters():
    # Two images a direction, two directions a class; one image of direction 3 is of class 0.
    features, group = blobs(2)
    labels, votes = group // 2, np.eye(2, dtype=int)[group // 2] * 3
    labels[-1], votes[-1] = 0, [2, 1]
    train, train_group = blobs(1, seed=1)
    found = scoring.score_kmeans(features, labels, train, train_group // 2, 4, 2, votes)
    assert (found["k"], found["clusters_used"]) == (4, 4)
    # Pairs of a group: 1, 1, 1 and (0, 1) . (2/3, 1/3) = 1/3.
    assert found["vote_consistency"] == pytest.approx((1 + 1 + 1 + 1 / 3) / 4)
    assert found["train"]["accuracy"] == 7 / 8
    # In a tie of direction 3 the lower class wins: again one error of eight.
    assert found["oracle"]["accuracy"] == 7 / 8
    assert set(found["crossfit"]) == {"accuracy", "macro_f1"}


def test_fewer_images_than_groups_have_a_reason():
    features, group = blobs(1)
    found = scoring.score_kmeans(features, group, features, group, 5, 4, np.eye(4, dtype=int))
    assert found == {"k": 5, "reason": "4 images are too few for 5 groups"}
    with pytest.raises(ValueError, match="k: expected 1 to the 4 images, found 5"):
        kmeans.fit(features, 5)


def test_equal_features_are_one_group_without_a_warning(recwarn):
    found = kmeans.fit(np.zeros((6, 3)), 2)(np.zeros((6, 3)))
    assert len(set(found)) == 1
    assert not recwarn.list
