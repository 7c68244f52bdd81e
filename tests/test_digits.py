"""The embedded digits: real images, simulated votes."""

import importlib.resources
import time

import numpy as np
import pytest
import tensorflow as tf
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits

from foc_tf.data import DATASETS, digits


@pytest.fixture(scope="module")
def image_set():
    return digits.read()


def test_png_bytes_decode_to_the_grey_levels(image_set):
    expected = np.round(load_digits().images * (255 / 16)).astype(np.uint8)
    for index in range(0, 1797, 100):
        decoded = tf.io.decode_png(image_set.sources[index]).numpy()
        np.testing.assert_array_equal(decoded[..., 0], expected[index])


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (20, 2)])
def test_png_of_any_size(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    decoded = tf.io.decode_png(digits.encode_png(pixels)).numpy()
    np.testing.assert_array_equal(decoded, pixels[..., None])


def test_share_of_fuzzy_images(image_set):
    assert len(image_set.ids) == 1797
    assert (image_set.votes.sum(axis=1) == digits.ANNOTATORS).all()
    assert 0.15 <= 1 - image_set.annotations.certain.mean() <= 0.30


def test_the_same_for_every_seed_and_fast(image_set):
    start = time.perf_counter()
    again = DATASETS["digits"](None, seed=5)
    # Measured 0.2 s alone; the tests share the processor with others.
    assert time.perf_counter() - start < 5
    np.testing.assert_array_equal(again.votes, image_set.votes)
    np.testing.assert_array_equal(again.splits, image_set.splits)


def test_shares_agree_with_the_plain_formula():
    images, labels = load_digits(return_X_y=True)
    shares = digits.class_shares(images, labels)
    for i in (0, 500, 1796):
        distances = np.linalg.norm(images - images[i], axis=1)
        distances[i] = np.inf
        nearest = np.array([np.sort(distances[labels == c])[:12].mean() for c in range(10)])
        expected = np.exp(-0.37 * nearest)
        np.testing.assert_allclose(shares[i], expected / expected.sum(), rtol=1e-9)


def test_fuzzy_images_are_nearer_to_another_class(image_set):
    """Distance to the nearest image of another class less that to the own: small between two."""
    images, labels = load_digits(return_X_y=True)
    distances = cdist(images, images)
    np.fill_diagonal(distances, np.inf)
    own = labels[:, None] == labels[None]
    margin = np.where(own, np.inf, distances).min(1) - np.where(own, distances, np.inf).min(1)
    certain = image_set.annotations.certain
    assert margin[~certain].mean() < 0.7 * margin[certain].mean()
    middle = np.median(margin)
    assert (~certain)[margin < middle].mean() > 2 * (~certain)[margin >= middle].mean()


def test_votes_say_nearly_what_was_written(image_set):
    right = image_set.annotations.reference == image_set.original
    assert right[image_set.annotations.certain].mean() > 0.99
    assert right.mean() > 0.95
    np.testing.assert_array_equal(image_set.original, load_digits().target)


def test_split_is_stratified(image_set):
    known = image_set.annotations
    is_val = image_set.splits == "val"
    for c in range(10):
        of_class = known.certain & (known.reference == c)
        assert abs(is_val[of_class].mean() - 0.2) < 0.01


def test_threshold_is_passed_on_and_zero_is_not_swallowed(image_set):
    looser = digits.read(certain_threshold=0.8)
    assert looser.annotations.certain.sum() > image_set.annotations.certain.sum()
    with pytest.raises(ValueError, match="certain_threshold"):
        digits.read(certain_threshold=0).roles()


def test_card_is_beside_the_reader_and_says_simulated():
    card = importlib.resources.files("foc_tf.data").joinpath("digits_card.md").read_text()
    assert "simulated" in card
    assert "CC BY 4.0" in card
    assert str(digits.ANNOTATORS) in card or "five" in card
