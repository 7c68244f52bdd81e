"""Clusters -> classes: by hand, and against brute force over every possible mapping."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foc_tf import mapping

NUM_CLUSTERS, NUM_CLASSES = 4, 3


@st.composite
def scored(draw, num_clusters=NUM_CLUSTERS, lowest=-1):
    """Clusters [N] and labels [N] of the same images."""
    pairs = st.tuples(st.integers(0, num_clusters - 1), st.integers(lowest, NUM_CLASSES - 1))
    found = draw(st.lists(pairs, max_size=30))
    return np.array(found, int).reshape(-1, 2).T


def hits(candidate, clusters, labels):
    return sum(candidate[c] == y for c, y in zip(clusters, labels) if y >= 0)


def test_majority_by_hand():
    # Cluster 0: classes 2, 2, 1 -> 2. Cluster 1: 2 and 1 tie -> 1. 2: only -1. 3: no image.
    clusters = [0, 0, 0, 1, 1, 2]
    labels = [2, 2, 1, 2, 1, -1]
    found = mapping.majority(clusters, labels, 4, 3)
    assert found.tolist() == [2, 1, -1, -1]
    assert found.dtype == np.int64


@given(scored())
def test_majority_is_the_best_many_to_one_mapping(ids):
    clusters, labels = ids
    found = mapping.majority(clusters, labels, NUM_CLUSTERS, NUM_CLASSES)
    candidates = itertools.product(range(NUM_CLASSES), repeat=NUM_CLUSTERS)
    best = max(hits(c, clusters, labels) for c in candidates)
    assert hits(found, clusters, labels) == best
    for cluster in range(NUM_CLUSTERS):
        votes = [int(y) for c, y in zip(clusters, labels) if c == cluster and y >= 0]
        expected = max(range(NUM_CLASSES), key=votes.count) if votes else -1
        assert found[cluster] == expected  # `max` keeps the first, so the lower class id


@given(scored(), st.randoms(use_true_random=False))
def test_majority_ignores_order_and_follows_cluster_names(ids, random):
    clusters, labels = ids
    found = mapping.majority(clusters, labels, NUM_CLUSTERS, NUM_CLASSES)
    order, names = list(range(len(labels))), list(range(NUM_CLUSTERS))
    random.shuffle(order)
    random.shuffle(names)
    renamed = np.array(names, int)[clusters[order]]
    again = mapping.majority(renamed, labels[order], NUM_CLUSTERS, NUM_CLASSES)
    assert again[names].tolist() == found.tolist()


def test_hungarian_by_hand():
    # Counts cluster x class: [[3, 2], [2, 0]]. 0->0, 1->1 matches 3; 0->1, 1->0 matches 4.
    clusters = [0, 0, 0, 0, 0, 1, 1]
    labels = [0, 0, 0, 1, 1, 0, 0]
    assert mapping.hungarian(clusters, labels, 2).tolist() == [1, 0]
    # Majority may give class 0 to both clusters.
    assert mapping.majority(clusters, labels, 2, 2).tolist() == [0, 0]


@given(scored(num_clusters=NUM_CLASSES))
def test_hungarian_is_the_best_permutation(ids):
    clusters, labels = ids
    found = mapping.hungarian(clusters, labels, NUM_CLASSES)
    assert sorted(found.tolist()) == list(range(NUM_CLASSES))
    candidates = itertools.permutations(range(NUM_CLASSES))
    assert hits(found, clusters, labels) == max(hits(c, clusters, labels) for c in candidates)


def test_hungarian_finds_a_shuffle_of_many_classes():
    rng = np.random.default_rng(0)
    labels, truth = rng.integers(0, 50, 3000), rng.permutation(50)
    clusters = np.argsort(truth)[labels]
    assert mapping.hungarian(clusters, labels, 50).tolist() == truth.tolist()


def test_apply_leaves_clusters_without_a_class_at_minus_one():
    found = mapping.apply([2, -1, 0], [1, 0, 2, 1])
    assert found.tolist() == [-1, 2, 0, -1]
    assert found.dtype == np.int64


def test_crossfit_by_hand():
    # Two images, two folds: each takes the other's class, so both are wrong.
    assert mapping.crossfit([0, 0], [0, 1], 1, 2, folds=2).tolist() == [1, 0]
    # As many folds as images = leave one out. Cluster 0: 2 : 1 for class 0; the odd image still
    # gets 0, either of the others faces a tie 1 : 1 -> 0. The lone image of cluster 1 gets none.
    found = mapping.crossfit([0, 0, 0, 1], [0, 0, 1, 1], 2, 2, folds=100)
    assert found.tolist() == [0, 0, 0, -1]


@given(scored(), st.integers(2, 40), st.integers(0, 5))
def test_crossfit_never_uses_the_image_it_scores(ids, folds, seed):
    clusters, labels = ids
    found = mapping.crossfit(clusters, labels, NUM_CLUSTERS, NUM_CLASSES, folds, seed)
    for i in range(len(labels)):
        changed = labels.copy()
        changed[i] = (labels[i] + 2) % (NUM_CLASSES + 1) - 1
        again = mapping.crossfit(clusters, changed, NUM_CLUSTERS, NUM_CLASSES, folds, seed)
        assert again[i] == found[i]


@pytest.mark.parametrize(("count", "folds"), [(10, 5), (13, 5), (3, 5), (7, 2)])
def test_crossfit_folds_are_even(count, folds):
    # All in one cluster with distinct labels: whoever shares image i's fold does not change i.
    clusters, own = np.zeros(count, int), np.arange(count)
    sizes = []
    for i in range(count):
        # Only image i votes: everyone outside its fold takes its class, its own fold has none.
        labels = np.where(own == i, i, -1)
        sizes.append(int((mapping.crossfit(clusters, labels, 1, count, folds) == -1).sum()))
    parts = min(folds, count)
    assert set(sizes) <= {count // parts, -(-count // parts)}
    assert sum(1 / size for size in sizes) == pytest.approx(parts)  # each fold adds up to one


def test_crossfit_depends_on_the_seed_only():
    rng = np.random.default_rng(1)
    clusters, labels = rng.integers(0, 40, 200), rng.integers(0, 5, 200)
    first, second, other = (mapping.crossfit(clusters, labels, 40, 5, seed=s) for s in (3, 3, 4))
    assert first.tolist() == second.tolist()
    assert first.tolist() != other.tolist()


def test_oracle_flatters_where_crossfit_does_not():
    # Labels are noise, 975 images in 60 clusters of 10 classes (method.md, Evaluation).
    rng = np.random.default_rng(0)
    clusters, labels = rng.integers(0, 60, 975), rng.integers(0, 10, 975)
    oracle = mapping.apply(mapping.majority(clusters, labels, 60, 10), clusters)
    crossfit = mapping.crossfit(clusters, labels, 60, 10)
    assert (oracle == labels).mean() > 0.2
    assert (crossfit == labels).mean() < 0.14


def test_nothing_to_map():
    empty = np.zeros(0, int)
    assert mapping.majority(empty, empty, 2, 3).tolist() == [-1, -1]
    assert sorted(mapping.hungarian(empty, empty, 3)) == [0, 1, 2]
    assert mapping.apply([0, 1], []).tolist() == []
    assert mapping.crossfit([], [], 2, 3).tolist() == []
    assert mapping.crossfit([0], [0], 1, 1).tolist() == [-1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mapping.majority([4], [0], 4, 3), "clusters: expected 0 to 3, found 4 to 4"),
        (lambda: mapping.majority([-1], [0], 4, 3), "clusters: expected 0 to 3, found -1"),
        (lambda: mapping.majority([0], [3], 4, 3), "labels: expected -1 to 2, found 3"),
        (lambda: mapping.majority([0.5], [0], 4, 3), "clusters: .*integers, found float64"),
        (lambda: mapping.majority([[0]], [0], 4, 3), r"clusters: .*\(1, 1\)"),
        (lambda: mapping.majority([0, 1], [0], 4, 3), "found 2 and 1"),
        (lambda: mapping.majority([], [], 0, 3), "num_clusters: expected at least 1, found 0"),
        (lambda: mapping.majority([], [], 4, 0), "num_classes: expected at least 1, found 0"),
        (lambda: mapping.hungarian([3], [0], 3), "clusters: expected 0 to 2, found 3"),
        (lambda: mapping.apply([0, 1], [2]), "clusters: expected 0 to 1, found 2"),
        (lambda: mapping.apply([0, -2], [1]), "mapping: expected -1"),
        (lambda: mapping.apply([[0]], [0]), "mapping: .*integers"),
        (lambda: mapping.crossfit([0], [0], 4, 3, folds=1), "folds: .*at least 2, found 1"),
        (lambda: mapping.crossfit([0], [0], 4, 3, folds=2.5), "folds: .*found 2.5"),
        (lambda: mapping.crossfit([0, 1], [0], 4, 3), "found 2 and 1"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
