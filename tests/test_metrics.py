"""Scores: by hand, against slow float64 definitions and scikit-learn, and their properties."""

import itertools
import math

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from foc_tf import metrics

NUM_CLASSES = 4
seeds = st.integers(0, 2**31)


@st.composite
def predicted(draw, lowest=-1):
    """Labels [N] and predictions or clusters [N], N >= 1."""
    pairs = st.tuples(st.integers(0, NUM_CLASSES - 1), st.integers(lowest, NUM_CLASSES - 1))
    return np.array(draw(st.lists(pairs, min_size=1, max_size=30)), int).T


def random_case(seed, images=12):
    """Clusters, votes (some images without any) and probabilities."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.full(3, 0.3), images)
    return rng.integers(0, 4, images), rng.integers(0, 4, (images, 3)), probs


def slow_f1(labels, predictions, name):
    """Precision, recall and F1 of one class by counting."""
    hit = sum(y == p == name for y, p in zip(labels, predictions))
    guessed, actual = list(predictions).count(name), list(labels).count(name)
    precision = hit / guessed if guessed else None
    recall = hit / actual if actual else None
    f1 = 2 * hit / (guessed + actual) if guessed + actual else None
    return precision, recall, f1


def slow_nmi(labels, clusters):
    """2 I / (H + H) from the joint shares."""
    n = len(labels)
    joint = {}
    for pair in zip(labels, clusters):
        joint[pair] = joint.get(pair, 0) + 1 / n
    a = {y: sum(v for (i, _), v in joint.items() if i == y) for y in set(labels)}
    b = {c: sum(v for (_, j), v in joint.items() if j == c) for c in set(clusters)}
    information = sum(v * math.log(v / (a[i] * b[j])) for (i, j), v in joint.items())
    entropy = -sum(v * math.log(v) for d in (a, b) for v in d.values())
    return 2 * information / entropy if entropy > 1e-12 else 1.0


def slow_vote_consistency(clusters, votes):
    values = []
    for i, j in itertools.combinations(range(len(clusters)), 2):
        if clusters[i] == clusters[j] and votes[i].sum() and votes[j].sum():
            # Every annotator of i with every annotator of j.
            same = sum(int(a) * int(b) for a, b in zip(votes[i], votes[j]))
            values.append(same / (int(votes[i].sum()) * int(votes[j].sum())))
    return sum(values) / len(values) if values else float("nan")


def slow_kl(votes, probs):
    values = []
    for row, p in zip(votes, probs):
        q = [v / row.sum() for v in row] if row.sum() else None
        if q:
            values.append(sum(a * math.log(a / max(b, 1e-7)) for a, b in zip(q, p) if a))
    return sum(values) / len(values)


def slow_brier(votes, probs):
    values = [
        sum((v / row.sum() - b) ** 2 for v, b in zip(row, p))
        for row, p in zip(votes, probs)
        if row.sum()
    ]
    return sum(values) / len(values)


def test_classification_by_hand():
    labels, predictions = [0, 0, 0, 1, 1, 3], [0, 0, 1, 1, -1, 2]
    assert metrics.accuracy(labels, predictions) == 3 / 6
    # F1 = 2 hits / (guessed + actual). 0: 4 / (2 + 3); 1: 2 / (2 + 2); 3: 0. Class 2 has no label.
    expected = (0.8 + 0.5 + 0.0) / 3
    assert metrics.macro_f1(labels, predictions, 4) == pytest.approx(expected, rel=1e-15)
    assert metrics.per_class(labels, predictions, ["a", "b", "c", "d", "e"]) == {
        "a": {"count": 3, "precision": 1.0, "recall": 2 / 3, "f1": 0.8},
        "b": {"count": 2, "precision": 0.5, "recall": 0.5, "f1": 0.5},
        "c": {"count": 0, "precision": 0.0, "recall": None, "f1": 0.0},
        "d": {"count": 1, "precision": None, "recall": 0.0, "f1": 0.0},
        "e": {"count": 0, "precision": None, "recall": None, "f1": None},
    }


@given(predicted())
def test_classification_equals_counting_and_sklearn(ids):
    labels, predictions = ids
    hits = sum(y == p for y, p in zip(labels, predictions))
    assert metrics.accuracy(labels, predictions) == pytest.approx(hits / len(labels))
    found = metrics.macro_f1(labels, predictions, NUM_CLASSES)
    present = np.unique(labels)
    slow = np.mean([slow_f1(labels, predictions, c)[2] for c in present])
    library = sklearn.metrics.f1_score(
        labels, predictions, labels=present, average="macro", zero_division=0
    )
    assert found == pytest.approx(slow, rel=1e-12)
    assert found == pytest.approx(library, rel=1e-12)
    for name, row in metrics.per_class(labels, predictions, range(NUM_CLASSES)).items():
        assert row.pop("count") == list(labels).count(name)
        assert tuple(row.values()) == slow_f1(labels, predictions, name)


def test_clustering_by_hand():
    # Cluster 0 holds 1, 1, 0 and cluster 1 holds 2: (2 + 1) / 4.
    assert metrics.purity([0, 0, 0, 1], [1, 1, 0, 2]) == 0.75
    assert metrics.nmi([0, 0, 1, 1], [2, 2, 0, 0]) == pytest.approx(1)
    assert metrics.nmi([0, 1, 0, 1], [0, 0, 1, 1]) == pytest.approx(0, abs=1e-12)
    # Four clusters of one image, two classes: I = ln 2, H = ln 4 and ln 2: 2 / (2 + 1).
    assert metrics.nmi([0, 1, 2, 3], [0, 0, 1, 1]) == pytest.approx(2 / 3)


@given(predicted(lowest=0))
def test_clustering_equals_its_definition(ids):
    labels, clusters = ids
    found = metrics.nmi(clusters, labels)
    assert found == pytest.approx(slow_nmi(labels.tolist(), clusters.tolist()), abs=1e-9)
    best = 0
    for cluster in set(clusters.tolist()):
        inside = [int(y) for y, c in zip(labels, clusters) if c == cluster]
        best += max(inside.count(y) for y in inside)
    assert metrics.purity(clusters, labels) == pytest.approx(best / len(labels), rel=1e-15)
    assert -1e-12 <= found <= 1 + 1e-12


def test_vote_consistency_by_hand():
    # Cluster 0: (1, 0), (1/2, 1/2), (0, 1): pairs 1/2, 0, 1/2. Cluster 1: twice (3/4, 1/4):
    # 9/16 + 1/16 = 10/16. Pooled over the four pairs: (1/2 + 0 + 1/2 + 5/8) / 4 = 13/32.
    votes = [[4, 0], [1, 1], [0, 2], [3, 1], [6, 2], [9, 9], [0, 0]]
    clusters = [0, 0, 0, 1, 1, 2, 1]  # one image alone, one without votes
    assert metrics.vote_consistency(clusters, votes) == pytest.approx(13 / 32, rel=1e-15)
    assert metrics.vote_consistency([5, 5], [[0, 7], [0, 1]]) == 1
    assert metrics.vote_consistency([5, 5], [[7, 0], [0, 1]]) == 0


def test_distribution_scores_by_hand():
    # KL((1/2, 1/2) || (1/4, 3/4)) = 1/2 ln 2 + 1/2 ln 2/3; Brier = 1/16 + 1/16. No votes: left out.
    votes, probs = [[3, 3], [0, 0]], [[0.25, 0.75], [1, 0]]
    expected = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    assert metrics.kl_divergence(votes, probs) == pytest.approx(expected, rel=1e-14)
    assert metrics.brier(votes, probs) == pytest.approx(1 / 8, rel=1e-15)
    # All wrong: -ln 1e-7 by the clip, and 1 + 1.
    assert metrics.kl_divergence([[2, 0]], [[0, 1]]) == pytest.approx(7 * math.log(10))
    assert metrics.brier([[2, 0]], [[0, 1]]) == 2
    assert metrics.kl_divergence([[2, 0]], [[1, 0]]) == metrics.brier([[2, 0]], [[1, 0]]) == 0


@settings(deadline=None)
@given(seeds)
def test_vote_scores_equal_their_definitions_and_bounds(seed):
    clusters, votes, probs = random_case(seed)
    consistency = metrics.vote_consistency(clusters, votes)
    np.testing.assert_allclose(consistency, slow_vote_consistency(clusters, votes), atol=1e-12)
    assert math.isnan(consistency) or 0 <= consistency <= 1
    kl, brier = metrics.kl_divergence(votes, probs), metrics.brier(votes, probs)
    assert kl == pytest.approx(slow_kl(votes, probs), rel=1e-10)
    assert brier == pytest.approx(slow_brier(votes, probs), rel=1e-10)
    # The clip adds at most C * 1e-7 to a row of probabilities.
    assert kl >= -1e-6
    assert 0 <= brier <= 2


@settings(deadline=None)
@given(seeds)
def test_order_of_images_and_names_of_clusters_do_not_matter(seed):
    clusters, votes, probs = random_case(seed)
    rng = np.random.default_rng(seed)
    order, names = rng.permutation(len(clusters)), rng.permutation(4) * 7
    labels, renamed = votes.argmax(1), names[clusters][order]
    pairs = [
        (metrics.accuracy(labels, clusters), metrics.accuracy(labels[order], clusters[order])),
        (
            metrics.macro_f1(labels, clusters, 4),
            metrics.macro_f1(labels[order], clusters[order], 4),
        ),
        (metrics.nmi(clusters, labels), metrics.nmi(renamed, labels[order])),
        (metrics.purity(clusters, labels), metrics.purity(renamed, labels[order])),
        (
            metrics.vote_consistency(clusters, votes),
            metrics.vote_consistency(renamed, votes[order]),
        ),
        (metrics.kl_divergence(votes, probs), metrics.kl_divergence(votes[order], probs[order])),
        (metrics.brier(votes, probs), metrics.brier(votes[order], probs[order])),
    ]
    for before, after in pairs:
        assert type(before) is float
        np.testing.assert_allclose(before, after, rtol=1e-9, atol=1e-12)


def test_the_votes_own_distribution_is_a_perfect_prediction():
    votes = np.random.default_rng(0).integers(1, 9, (20, 5))
    shares = votes / votes.sum(axis=1, keepdims=True)
    assert metrics.kl_divergence(votes, shares) == pytest.approx(0, abs=1e-12)
    assert metrics.brier(votes, shares) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("empty", [[], np.zeros(0, int)])
def test_nothing_gives_nan(empty):
    table = np.zeros((0, 3))
    values = [metrics.accuracy(empty, empty), metrics.macro_f1(empty, empty, 3)]
    values += [metrics.nmi(empty, empty), metrics.purity(empty, empty)]
    values += [metrics.vote_consistency(empty, v) for v in (empty, table)]
    values += [metrics.vote_consistency([0, 1], [[1, 0], [1, 0]])]  # no two share a cluster
    for score in (metrics.kl_divergence, metrics.brier):
        values += [score(empty, empty), score(table, table), score([[0, 0]], [[1, 0]])]
    assert all(type(value) is float and math.isnan(value) for value in values)
    assert metrics.per_class(empty, empty, ["a"])["a"]["count"] == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        # A missing reference and a missing prediction must not count as a hit.
        (lambda: metrics.accuracy([-1], [-1]), "labels: expected 0 or more, found -1"),
        # numpy would compare one prediction with all labels.
        (lambda: metrics.accuracy([1, 2], [1]), "labels and predictions: found 2 and 1"),
        (lambda: metrics.accuracy([1], [-2]), "predictions: expected -1 or more, found -2"),
        (lambda: metrics.accuracy([0.5], [0]), "labels: .*integers, found float64"),
        (lambda: metrics.macro_f1([3], [0], 3), "labels: expected 0 to 2, found 3"),
        (lambda: metrics.macro_f1([0], [3], 3), "predictions: expected -1 to 2, found 3"),
        (lambda: metrics.nmi([0, 1], [0]), "labels and clusters: found 1 and 2"),
        (lambda: metrics.purity([0, 0], [-1, 1]), "labels: expected 0 or more"),
        (lambda: metrics.vote_consistency([0], [[1, 2], [3, 4]]), "found 2 and 1"),
        (lambda: metrics.vote_consistency([0, 0], [[1, -1], [2, 3]]), "votes: .*negative"),
        (lambda: metrics.vote_consistency([0, 0], [1, 2]), r"votes: .*shape \(2,\)"),
        (lambda: metrics.kl_divergence([[1, 2]], [[0.5, 0.5], [1, 0]]), "found 1 and 2"),
        # [N, 1] against [N, C] would broadcast to a plausible number.
        (lambda: metrics.brier([[1, 2]], [[0.5]]), r"shapes \(1, 2\) and \(1, 1\)"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
