"""Reliability in bins against a slow count and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foc_tf.reviewing.calibration import reliability

PAIRS = st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=60)


def test_by_hand():
    # two bins: 0.4, 0.5 in the first (0.5 is its upper end), 0.9, 1.0 in the second
    counts, mean, accuracy, error = reliability([True, False, True, True], [0.4, 0.5, 0.9, 1.0], 2)
    assert counts.tolist() == [2, 2]
    np.testing.assert_allclose(mean, [0.45, 0.95])
    np.testing.assert_allclose(accuracy, [0.5, 1.0])
    assert error == pytest.approx((2 * 0.05 + 2 * 0.05) / 4)


@given(PAIRS, st.integers(1, 20))
def test_against_a_loop_over_bins(pairs, bins):
    correct, confidence = (np.array(v) for v in zip(*pairs))
    counts, mean, accuracy, error = reliability(correct, confidence, bins)
    total = 0.0
    for m in range(bins):
        inside = [
            i
            for i, p in enumerate(confidence)
            if min(max(int(np.ceil(p * bins)), 1), bins) == m + 1
        ]
        assert counts[m] == len(inside)
        if not inside:
            assert np.isnan(mean[m])
            assert np.isnan(accuracy[m])
            continue
        assert mean[m] == pytest.approx(np.mean(confidence[inside]))
        assert accuracy[m] == pytest.approx(np.mean(correct[inside]))
        total += (
            len(inside) / len(pairs) * abs(np.mean(correct[inside]) - np.mean(confidence[inside]))
        )
    assert error == pytest.approx(total, abs=1e-12)
    assert 0 <= error <= 1


def test_nothing_and_nonsense():
    counts, _, _, error = reliability([], [])
    assert error is None
    assert counts.sum() == 0
    with pytest.raises(ValueError, match="confidence"):
        reliability([True], [1.5])
    with pytest.raises(ValueError, match="correct and confidence"):
        reliability([True, False], [0.5])
