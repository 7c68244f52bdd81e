"""Principal components against the singular value decomposition and by hand."""

import numpy as np

from foc_tf.projection import principal_components


def test_principal_components_keep_distances():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((30, 4)) @ rng.standard_normal((4, 9))  # a plane of rank 4
    points, explained = principal_components(features, 4)

    def distances(x):
        return np.linalg.norm(x[:, None] - x[None], axis=-1)

    np.testing.assert_allclose(distances(points), distances(features), atol=1e-9)
    assert (np.diff(points.std(axis=0)) <= 1e-9).all()
    np.testing.assert_allclose(explained.sum(), 1)


def test_they_are_those_of_the_singular_value_decomposition(monkeypatch):
    monkeypatch.setattr("foc_tf.projection._ROWS", 7)  # blocks add up
    features = np.random.default_rng(1).standard_normal((40, 6)).astype(np.float32)
    points, explained = principal_components(features, 3)
    left, scale, directions = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)
    signs = np.sign(directions[np.arange(6), np.abs(directions).argmax(axis=1)])
    np.testing.assert_allclose(points, (left * scale * signs)[:, :3], atol=1e-4)
    np.testing.assert_allclose(explained, (scale**2 / (scale**2).sum())[:3], rtol=1e-5)
    assert points.dtype == np.float32


def test_a_line_by_hand():
    # mean (2, 4); direction (1, 2) / sqrt 5; from the mean -+ sqrt 5
    points, explained = principal_components(np.array([[1.0, 2.0], [3.0, 6.0]]), 5)
    assert points.shape == (2, 2)
    np.testing.assert_allclose(points, [[-(5**0.5), 0], [5**0.5, 0]], atol=1e-9)
    np.testing.assert_allclose(explained, [1, 0], atol=1e-12)
