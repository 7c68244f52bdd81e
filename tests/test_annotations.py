"""Votes -> mean, certain mask, reference label: by hand, by definition, on real votes."""

import csv
import fractions
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from foc_tf import annotations

# Class: certain, fuzzy at 97 %; the table of cifar10h-small's README, by original class.
PUBLISHED = {
    "airplane": (177, 123),
    "automobile": (236, 64),
    "bird": (197, 103),
    "cat": (163, 137),
    "deer": (135, 165),
    "dog": (198, 102),
    "frog": (208, 92),
    "horse": (254, 46),
    "ship": (230, 70),
    "truck": (227, 73),
}

tables = hnp.arrays(
    np.int64, st.tuples(st.integers(0, 12), st.integers(1, 5)), elements=st.integers(0, 9)
)
percents = st.integers(51, 100)


def slow(votes, percent):
    """Row by row in whole numbers and fractions: no rounding anywhere."""
    means, certain, reference = [], [], []
    for row in votes.tolist():
        total = sum(row)
        means.append([fractions.Fraction(v, max(total, 1)) for v in row])
        certain.append(total > 0 and 100 * max(row) >= percent * total)
        reference.append(row.index(max(row)) if total else -1)
    return means, certain, reference


@given(tables, percents)
def test_equals_the_definition(votes, percent):
    found = annotations.from_votes(votes, percent / 100)
    means, certain, reference = slow(votes, percent)
    assert found.mean.dtype == np.float64
    assert found.certain.dtype == bool
    assert found.mean.shape == votes.shape
    assert found.mean.tolist() == [[float(x) for x in row] for row in means]
    assert found.certain.tolist() == certain
    assert found.reference.tolist() == reference


@given(tables, percents, st.randoms(use_true_random=False))
def test_order_of_images_does_not_matter(votes, percent, random):
    order = list(range(len(votes)))
    random.shuffle(order)
    found = annotations.from_votes(votes, percent / 100)
    shuffled = annotations.from_votes(votes[order], percent / 100)
    for a, b in zip(found, shuffled):
        np.testing.assert_array_equal(a[order], b)


@given(tables, percents, percents)
def test_a_higher_threshold_never_makes_an_image_certain(votes, a, b):
    loose = annotations.from_votes(votes, min(a, b) / 100).certain
    strict = annotations.from_votes(votes, max(a, b) / 100).certain
    assert not (strict & ~loose).any()


def test_every_share_that_equals_the_threshold_is_certain():
    # 0.55 * 100 is 55.00000000000001 in floats: a bare >= would call 55 of 100 fuzzy.
    for total, percent in itertools.product(range(1, 201), range(51, 101)):
        least = -(-percent * total // 100)
        votes = [[least, total - least], [least - 1, total - least + 1]]
        found = annotations.from_votes(votes, percent / 100).certain
        # One vote fewer is below the threshold, unless the other class then reaches it.
        other = 100 * (total - least + 1) >= percent * total
        assert found.tolist() == [True, other], (total, percent)


def test_by_hand():
    # 3 of 4 = 0.75; tie 2 : 2 -> class 0 at 0.5; all agree; tie of classes 1 and 2; no vote.
    votes = [[1, 3, 0], [2, 0, 2], [0, 0, 5], [0, 1, 1], [0, 0, 0]]
    mean, certain, reference = annotations.from_votes(votes, 0.75)
    assert mean.tolist() == [[0.25, 0.75, 0], [0.5, 0, 0.5], [0, 0, 1], [0, 0.5, 0.5], [0, 0, 0]]
    assert certain.tolist() == [True, False, True, False, False]
    assert reference.tolist() == [1, 0, 2, 1, -1]
    # The paper's rule is the default: one dissenting vote makes an image fuzzy.
    assert annotations.from_votes(votes).certain.tolist() == [False, False, True, False, False]


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32, np.float64])
def test_any_number_type_of_whole_counts(dtype):
    # 200 + 100 does not fit into uint8.
    found = annotations.from_votes(np.array([[200, 100]], dtype), 0.6)
    np.testing.assert_allclose(found.mean, [[2 / 3, 1 / 3]], rtol=1e-15)
    assert found.certain.tolist() == [True]


@pytest.mark.parametrize(
    ("votes", "message"),
    [
        ([1, 2], r"votes: .*shape \(2,\)"),
        (np.zeros((2, 3, 4), int), r"votes: .*shape \(2, 3, 4\)"),
        (np.zeros((2, 0), int), r"votes: .*shape \(2, 0\)"),
        ([[3, -2]], "votes: .*>= 0, found -2"),
        ([[0.5, 2]], "votes: .*found 0.5"),
        ([[float("nan"), 2]], "votes: .*found nan"),
        ([[float("inf"), 2]], "votes: .*found inf"),
        ([["cat", "dog"]], "votes: .*whole numbers"),
    ],
)
def test_wrong_votes_are_named(votes, message):
    with pytest.raises(ValueError, match=message):
        annotations.from_votes(votes)


@pytest.mark.parametrize("threshold", [0, 0.5, 1.0001, 97, -1, float("nan")])
def test_wrong_threshold_is_named(threshold):
    with pytest.raises(ValueError, match=f"certain_threshold: .*found {threshold}"):
        annotations.from_votes([[1, 2]], threshold)


@pytest.fixture(scope="module")
def crowd(shared):
    """cifar10h-small read with the csv module only: votes [N, C], original class of each image."""
    folder = shared / "data" / "cifar10h-small"
    if not (folder / "annotations.csv").is_file():
        pytest.skip(f"no real data: {folder} is absent")
    with open(folder / "original_labels.csv", newline="") as file:
        original = {row["image"]: row["class"] for row in csv.DictReader(file)}
    rows, columns = list(original), list(PUBLISHED)
    votes = np.zeros((len(rows), len(columns)), int)
    index = {image: i for i, image in enumerate(rows)}
    with open(folder / "annotations.csv", newline="") as file:
        for row in csv.DictReader(file):
            votes[index[row["image"]], columns.index(row["class"])] = int(row["votes"])
    return votes, np.array(list(original.values()))


@pytest.mark.parametrize(("threshold", "count"), [(0.97, 2025), (0.98, 1965), (1.0, 1340)])
def test_real_votes_give_the_published_counts(crowd, threshold, count):
    votes, _ = crowd
    assert annotations.from_votes(votes, threshold).certain.sum() == count


def test_real_votes_give_the_published_counts_per_class(crowd):
    votes, original = crowd
    certain = annotations.from_votes(votes, 0.97).certain
    found = {
        name: (int(certain[original == name].sum()), int((~certain)[original == name].sum()))
        for name in PUBLISHED
    }
    assert found == PUBLISHED


def test_real_reference_labels_differ_from_the_original_as_published(crowd):
    votes, original = crowd
    _, certain, reference = annotations.from_votes(votes, 0.97)
    differs = np.array(list(PUBLISHED))[reference] != original
    # README: 30 images differ, none of them certain; the median fuzzy share is 0.92.
    assert differs.sum() == 30
    assert not (differs & certain).any()
    share = votes.max(axis=1) / votes.sum(axis=1)
    assert round(float(np.median(share[~certain])), 2) == 0.92
