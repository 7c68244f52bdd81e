"""Use of clusters: by hand, its bounds, and the advice that follows."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from foc_tf.cluster_use import advice, usage


def test_by_hand():
    # Clusters 0, 0, 1 of 4: two used, half are empty; entropy of (2/3, 1/3) over ln 4.
    probs = np.array([[0.75, 0.05, 0.1, 0.1], [0.95, 0.05, 0, 0], [0.2, 0.55, 0.15, 0.1]])
    found = usage(probs)
    assert (found["used"], found["empty_share"]) == (2, 0.5)
    expected = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3)) / math.log(4)
    assert found["entropy"] == pytest.approx(expected)
    assert found["confidence"] == pytest.approx((0.75 + 0.95 + 0.55) / 3)
    assert found["confidence_histogram"] == [0, 0, 0, 0, 0, 1, 0, 1, 0, 1]


@given(
    hnp.arrays(
        np.float64,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=12),
        elements=st.floats(0.01, 1),
    )
)
@settings(max_examples=100, deadline=None)
def test_bounds_and_order_of_clusters(values):
    probs = values / values.sum(axis=1, keepdims=True)
    found = usage(probs)
    assert 1 <= found["used"] <= probs.shape[1]
    assert 0 <= found["entropy"] <= 1
    assert sum(found["confidence_histogram"]) == len(probs)
    images = usage(probs[::-1])
    assert images["used"] == found["used"]
    assert images["entropy"] == pytest.approx(found["entropy"])


def test_one_cluster_and_no_image():
    assert usage(np.eye(3)[[1, 1]])["entropy"] == 0
    assert usage(np.eye(3))["entropy"] == pytest.approx(1)
    assert usage(np.zeros((0, 3)))["used"] is None


@pytest.mark.parametrize(
    ("used", "clusters", "classes", "words"),
    [
        # 1.25 x 11 = 13.75
        (11, 50, 10, "only 11 of 50.*--k=14"),
        (2, 50, 10, "--k=11"),
        (25, 50, 10, None),
        (50, 50, 10, None),
        (20, 20, 10, "all 20.*--k=60"),
        (19, 20, 10, None),
        (None, 20, 10, None),
    ],
)
def test_advice(used, clusters, classes, words):
    import re

    found = advice(used, clusters, classes)
    assert (found is None) == (words is None)
    assert words is None or re.search(words, found)
