"""What is said of a cluster, against slow counting and by hand."""

import dataclasses

import numpy as np
import pytest

from foc_tf import mapping, metrics
from foc_tf.reviewing import clusters, run_data
from tests import review_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    scorer = review_run.scored(review_run.image_set())
    return run_data.read(review_run.write(tmp_path_factory.mktemp("run"), scorer))


def test_every_image_is_in_its_cluster_once_and_sorted_by_confidence(run):
    found = clusters.describe(run)
    assert list(found) == sorted(set(run.cluster.tolist()))
    everything = np.concatenate([c.members for c in found.values()])
    assert sorted(everything.tolist()) == list(range(60))
    for number, cluster in found.items():
        assert (run.cluster[cluster.members] == number).all()
        assert (np.diff(run.cluster_prob[cluster.members]) <= 0).all()
        assert cluster.size == (run.cluster == number).sum()
        assert cluster.fuzzy == sum(run.fuzzy[i] for i in cluster.members)


def test_classes_are_those_of_the_predictions_and_of_the_votes(run):
    for number, cluster in clusters.describe(run).items():
        assert (run.cluster_class[cluster.members] == cluster.trained_class).all()
        votes = run.votes[run.cluster == number]
        shares = [v / v.sum() for v in votes if v.sum()]
        np.testing.assert_allclose(cluster.vote_shares, np.mean(shares, axis=0))
        assert cluster.voted_class == np.mean(shares, axis=0).argmax()
        same = np.zeros(len(votes), int)
        assert cluster.consistency == pytest.approx(metrics.vote_consistency(same, votes))


def test_votes_by_hand():
    # shares (1, 0), (1/2, 1/2); mean (3/4, 1/4); the one pair agrees with 1 * 1/2 + 0 * 1/2
    found = clusters.of_votes(np.array([[4, 0], [1, 1], [0, 0]]))
    assert found["vote_shares"].tolist() == [0.75, 0.25]
    assert (found["voted_class"], found["consistency"]) == (0, 0.5)
    # one image of thirds and a tie: 0.1 + 0.2 must not beat 0.3
    assert clusters.of_votes(np.array([[3, 3], [1, 2], [2, 1]]))["voted_class"] == 0
    nothing = clusters.of_votes(np.zeros((3, 2), int))
    assert (nothing["voted_class"], nothing["consistency"]) == (-1, None)
    assert nothing["vote_shares"].tolist() == [0, 0]


def test_similar_clusters_by_hand():
    features = np.array([[1.0, 0], [3, 0], [0, 2], [-1, 0], [5, 5]])
    cosines = clusters.similarities(features, [[0, 1], [2], [3], [4]])
    # means (2, 0), (0, 2), (-1, 0), (5, 5)
    half = 0.5**0.5
    wanted = [[1, 0, -1, half], [0, 1, 0, half], [-1, 0, 1, -half], [half, half, -half, 1]]
    np.testing.assert_allclose(cosines, wanted, atol=1e-12)
    assert clusters.similarities(features, []).shape == (0, 0)


def test_similar_clusters_are_others_and_the_nearest_first(run):
    found = clusters.describe(run, similar=3)
    for number, cluster in found.items():
        assert number not in cluster.similar
        assert len(cluster.similar) == min(3, len(found) - 1)
        assert (np.diff(cluster.similarity) <= 0).all()


def test_the_three_most_voted_classes():
    assert clusters.top_votes(np.array([0, 3, 1, 3, 2])) == [(1, 3), (3, 3), (4, 2)]
    assert clusters.top_votes(np.array([0, 1, 0])) == [(1, 1)]
    assert clusters.top_votes(np.array([0, 0])) == []


def test_a_cluster_of_unlabelled_images_has_no_trained_class(run):
    hidden = dataclasses.replace(run, labels=np.full(60, -1))
    assert {c.trained_class for c in clusters.describe(hidden).values()} == {-1}
    assert mapping.majority([], [], 1, 1).tolist() == [-1]
