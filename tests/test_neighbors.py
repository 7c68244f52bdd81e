"""Nearest neighbours: by hand, ties, few rows, in bounded memory."""

import subprocess
import sys

import numpy as np
import pytest

from foc_tf import neighbors
from foc_tf.neighbors import nearest_neighbors


def test_a_table_made_by_hand():
    # Directions at 0, 10, 30, 100 and 180 degrees; lengths do not matter.
    angles = np.deg2rad([0, 10, 30, 100, 180])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1) * [[1], [9], [0.1], [2], [5]]
    # Distances of angle: from 30: 20 to the 10, 30 to the 0, 70 to the 100, 150 to the 180.
    wanted = [[1, 2, 3, 4], [0, 2, 3, 4], [1, 0, 3, 4], [2, 4, 1, 0], [3, 2, 1, 0]]
    assert nearest_neighbors(features, 4).tolist() == wanted
    assert nearest_neighbors(features, 2).tolist() == [row[:2] for row in wanted]


def test_of_equal_rows_the_lower_index_comes_first_and_none_is_its_own():
    assert nearest_neighbors(np.ones((4, 3)), 2).tolist() == [[1, 2], [0, 2], [0, 1], [0, 1]]


def test_a_row_of_zeros_has_neighbours():
    features = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert nearest_neighbors(features, 2)[0].tolist() == [1, 2]


def test_fewer_rows_than_neighbours():
    table = nearest_neighbors(np.eye(5), 20)
    assert table.shape == (5, 4)
    assert all(sorted(row) == sorted(set(range(5)) - {i}) for i, row in enumerate(table))


@pytest.mark.parametrize("count", [1, 7, 20])
def test_blocks_give_what_one_sort_gives(monkeypatch, count):
    features = np.random.default_rng(0).standard_normal((101, 6))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    wanted = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
    monkeypatch.setattr(neighbors, "_CELLS", 101 * 13)  # 13 rows at once, 10 in the last block
    np.testing.assert_array_equal(nearest_neighbors(features, count), wanted)


def test_memory_does_not_grow_with_the_square_of_the_images():
    """All similarities of 15,000 images would be 900 MB; 64 MB of them are kept at once."""
    script = (
        "import resource, numpy as np; from foc_tf.neighbors import nearest_neighbors as f; "
        "x = np.random.default_rng(0).standard_normal((15_000, 4)).astype('float32'); f(x[:99]); "
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; "
        "before = peak(); f(x); print((peak() - before) // 1024)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 300  # MB


@pytest.mark.parametrize(
    ("rows", "count", "message"), [(5, 0, "num_neighbors"), (1, 3, "two images, found 1")]
)
def test_numbers_out_of_range_are_named(rows, count, message):
    with pytest.raises(ValueError, match=message):
        nearest_neighbors(np.eye(rows), count)
