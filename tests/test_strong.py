"""The strong augmentation: each operation against PIL, how often each occurs, what stays equal."""

import math

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from foc_tf.augment import AUGMENTATIONS
from foc_tf.augment import operations as values
from foc_tf.augment.draws import uniform_draws
from foc_tf.augment.rand_augment import OPERATIONS, RandAugment, _chosen, _strengths
from tests.test_augment import bilinear, move, noise, run, seeded

ENHANCERS = {
    "brightness": ImageEnhance.Brightness,
    "colour": ImageEnhance.Color,
    "contrast": ImageEnhance.Contrast,
    "sharpness": ImageEnhance.Sharpness,
}
SHARES = (0.05, 0.5, 0.95)


def photographs(count=4, side=40, channels=3, low=30, high=200):
    """uint8, smooth, not of the full range: autocontrast and equalize have something to do."""
    coarse = np.random.default_rng(1).uniform(low, high, (count, 5, 5, channels))
    return tf.cast(tf.image.resize(coarse, (side, side)), tf.uint8).numpy()


def alone(name, low=None, high=None, **more):
    """The recipe of one operation between two strengths (one if only one is given), no square."""
    bounds = OPERATIONS[name] if low is None else (low, low if high is None else high)
    more = {"cutout": None, "flip": 0.0, **more}
    return RandAugment(number=1, operations={name: bounds}, **more)


def by_pil(name, image, strength):
    pil = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    done = {
        "identity": lambda: pil,
        "autocontrast": lambda: ImageOps.autocontrast(pil),
        "equalize": lambda: ImageOps.equalize(pil),
        "posterize": lambda: ImageOps.posterize(pil, int(strength)),
        "solarize": lambda: ImageOps.solarize(pil, strength),
        **{k: lambda e=e: e(pil).enhance(strength) for k, e in ENHANCERS.items()},
    }[name]()
    return np.asarray(done).reshape(image.shape).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("name", "strength", "atol"),
    [
        # Tables and whole values: exactly PIL's.
        *[("identity", None, 0), ("equalize", None, 0)],
        *[("posterize", bits, 0) for bits in (1.0, 4.0, 5.0, 7.9, 8.0)],
        *[("solarize", threshold, 0) for threshold in (0.0, 90.0, 128.0, 256.0)],
        # PIL cuts the result to a whole value: less than 1.
        *[("autocontrast", None, 1.001), *[("brightness", share, 1.001) for share in SHARES]],
        # PIL also rounds what it blends with (luma, its mean, the smoothed image): .5 more.
        *[(k, share, 1.501) for k in ("colour", "contrast", "sharpness") for share in SHARES],
    ],
)
def test_values_are_those_of_pil(name, strength, atol, channels):
    images = np.concatenate([photographs(channels=channels), noise(2, 40, 40, channels)])
    found = run(alone(name, strength), images, 40)
    expected = np.stack([by_pil(name, image, strength) for image in images])
    np.testing.assert_allclose(found, expected, atol=atol)
    same = name == "identity" or strength in (8.0, 256.0) or (name, channels) == ("colour", 1)
    assert (np.abs(expected - images).max() == 0) == same


def test_equalize_by_hand():
    # 1021 pixels: 511 of 10, 255 of 20, 254 of 30, 1 of 40. step = (1021 - 1) // 255 = 4;
    # tables: (2 + 0) // 4 = 0, (2 + 511) // 4 = 128, (2 + 766) // 4 = 192, (2 + 1020) // 4 = 255
    row = np.repeat([10.0, 20.0, 30.0, 40.0], [511, 255, 254, 1]).astype(np.float32)
    found = values.equalized(tf.constant(row[None, None, :, None])).numpy().ravel()
    np.testing.assert_array_equal(found, np.repeat([0, 128, 192, 255], [511, 255, 254, 1]))


def test_linear_operations_by_hand():
    # Two pixels of one channel, 100 and 200. Autocontrast: 0 and 255; brightness .8: 0 and 204;
    # contrast .5 about the mean 102: 51 and 153. Colour does nothing to grey.
    images = tf.constant([100.0, 200.0])[None, None, :, None]
    one = tf.ones([1])
    found = values.blended(images, one > 0, 0.8 * one, 0.3 * one, 0.5 * one).numpy()
    np.testing.assert_allclose(found.ravel(), [51.0, 153.0], atol=1e-3)


@pytest.mark.parametrize("name", ["autocontrast", "equalize"])
def test_images_of_one_value_stay(name):
    # Values between whole ones that differ in the last digits only, as after a resampling.
    images = np.full((2, 20, 20, 3), 77.0, np.float32)
    images[:, ::2] = np.nextafter(np.float32(77.0), np.float32(78.0))
    np.testing.assert_allclose(run(alone(name), images, 20), images, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "strength", "matrix"),
    [
        ("rotate", 30.0, None),
        ("shear_x", 0.3, np.array([[1, 0.3, 0], [0, 1, 0], [0, 0, 1]])),
        ("shear_y", -0.3, np.array([[1, 0, 0], [-0.3, 1, 0], [0, 0, 1]])),
        # 30 % of 9 px
        ("translate_x", 0.3, move(2.7, 0)),
        ("translate_y", -0.3, move(0, -2.7)),
    ],
)
def test_places_are_those_of_slow_resampling_with_grey_outside(name, strength, matrix):
    if matrix is None:
        cos, sin = math.cos(math.radians(30)), math.sin(math.radians(30))
        matrix = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    image = noise(count=1, height=9, width=9)
    found = run(alone(name, strength), image, 9)[0]
    about_centre = move(4, 4) @ matrix @ move(-4, -4)
    expected = bilinear(image[0] - 127.5, about_centre, 9) + 127.5
    np.testing.assert_allclose(found, expected, atol=5e-3)
    assert (np.abs(found - 127.5) < 1e-3).all(-1).any(), "nothing from outside: a weak test"


def test_all_geometry_together_is_one_resampling():
    names = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
    strengths = (20.0, 0.2, -0.1, 0.1, -0.2)
    operations = {name: (s, s) for name, s in zip(names, strengths)}
    image = noise(count=1, height=9, width=9)
    recipe = RandAugment(number=5, operations=operations, cutout=None, flip=1.0)
    cos, sin = math.cos(math.radians(20)), math.sin(math.radians(20))
    steps = [
        move(4 + 0.9, 4 - 1.8),
        np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]),
        np.array([[1, 0.2, 0], [0, 1, 0], [0, 0, 1]]),
        np.array([[1, 0, 0], [-0.1, 1, 0], [0, 0, 1]]),
        move(-4, -4),
    ]
    expected = bilinear(image[0, :, ::-1] - 127.5, np.linalg.multi_dot(steps), 9) + 127.5
    np.testing.assert_allclose(run(recipe, image, 9)[0], expected, atol=5e-3)


def drawn(recipe, count):
    """(chosen, strengths) of `count` images, [count, operations] each."""
    draws = uniform_draws(("choice", "strength"), [11, 12], count, 0)
    chosen = _chosen(recipe, draws)
    return chosen.numpy(), _strengths(recipe, draws, chosen).numpy()


@pytest.mark.parametrize("number", [1, 2, 3, 14])
def test_distinct_operations_each_with_its_share(number):
    table, _ = drawn(RandAugment(number=number), 4000)
    assert (table.sum(axis=1) == number).all()
    share = number / 14
    # 5 standard deviations of a share of 4000 images.
    margin = 5 * math.sqrt(share * (1 - share) / 4000) + 1e-9
    np.testing.assert_allclose(table.mean(axis=0), share, atol=margin)


def test_strengths_fill_their_ranges_and_only_where_chosen():
    chosen, strengths = drawn(RandAugment(), 4000)
    for column, (name, bounds) in enumerate(OPERATIONS.items()):
        of_chosen = strengths[chosen[:, column], column]
        low, high = bounds or (0.0, 0.0)
        assert low <= of_chosen.min() <= low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) <= of_chosen.max() <= high
        unchanged = 1.0 if name in ("brightness", "colour", "contrast") else 0.0
        assert (strengths[~chosen[:, column], column] == unchanged).all()


def test_only_what_is_offered_is_chosen():
    table, _ = drawn(RandAugment(number=2, operations={"rotate": (1, 2), "colour": (0, 1)}), 50)
    assert [name for name, column in zip(OPERATIONS, table.T) if column.all()] == [
        "colour",
        "rotate",
    ]
    assert table.sum() == 100


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "identity"])
def test_beside_identity_each_operation_changes_half_of_the_images(name):
    images = np.repeat(photographs(count=1), 700, axis=0)
    # No threshold above all values of the images.
    bounds = (0.0, 150.0) if name == "solarize" else OPERATIONS[name]
    both = {"identity": None, name: bounds}
    recipe = RandAugment(number=1, operations=both, cutout=None, flip=0.0)
    changed = np.abs(run(recipe, images, 40) - images).max(axis=(1, 2, 3)) > 0.02
    # Half of 700: 5 standard deviations are .095.
    assert 0.4 < changed.mean() < 0.6


def test_the_square_is_grey_and_at_most_half_a_side():
    # Values far from grey, so that each grey pixel is the square's.
    recipe = RandAugment(number=1, operations={"identity": None})
    images = np.full((300, 21, 21, 3), 250, np.uint8)
    grey = (run(recipe, images, 21) == 127.5).all(axis=-1)
    sides = []
    for each in grey:
        rows, columns = np.flatnonzero(each.any(1)), np.flatnonzero(each.any(0))
        assert len(rows) == len(columns) == np.ptp(rows) + 1 == np.ptp(columns) + 1
        assert each.sum() == len(rows) * len(columns)
        sides.append(len(rows))
    # Half of 21 px is 10.5: whole squares of 1 to 10 px.
    assert set(sides) == set(range(1, 11))


def test_grey_images_stay_grey_through_every_operation():
    grey = np.repeat(photographs(count=200, channels=1), 3, axis=3)
    for seed in range(3):
        assert np.ptp(run(AUGMENTATIONS["strong"], grey, 32, seed), axis=3).max() < 1e-2


def test_a_part_of_a_large_batch_is_drawn_as_in_the_whole():
    images, seed = photographs(count=97), tf.constant([3, 5], tf.int64)
    whole = AUGMENTATIONS["strong"](images, seed, 32).numpy()
    for first in (0, 1, 50, 96):
        found = AUGMENTATIONS["strong"](images[first : first + 7], seed, 32, first).numpy()
        np.testing.assert_allclose(found, whole[first : first + 7], atol=1e-3)


def test_a_recipe_can_be_an_argument_of_a_function():
    traced = tf.function(lambda images, recipe: recipe(images, seeded(0), 16))
    images, recipe = noise(), AUGMENTATIONS["strong"]
    np.testing.assert_allclose(traced(images, recipe), run(recipe, images, 16), atol=1e-3)


def test_no_images():
    assert run(AUGMENTATIONS["strong"], noise(0), 16).shape == (0, 16, 16, 3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"operations": {"blur": None}, "number": 1}, "operations.*sharpness.*found blur"),
        ({"number": 15}, "number: expected 1 to 14.*found 15"),
        ({"number": 0}, "number: expected 1 to 14.*found 0"),
    ],
)
def test_wrong_recipes(wrong, message):
    with pytest.raises(ValueError, match=message):
        RandAugment(**wrong)


# Means of images 0, 4 and 8 of the batch below; all but the last from before it was added.
PINNED = {
    "affine_cutout": (40.786, 63.986, 79.049),
    "iic": (112.850, 130.482, 126.463),
    "crop": (122.952, 124.809, 123.165),
    "iic_transformed": (49.349, 63.879, 74.285),
    "center_crop": (125.598, 126.589, 124.883),
    "weak": (108.028, 104.361, 112.215),
    "digit": (108.250, 101.741, 104.648),
    "strong": (115.781, 124.719, 75.082),
}


@pytest.mark.parametrize("name", PINNED)
def test_the_draws_of_a_recipe_never_change(name):
    images = np.random.default_rng(0).integers(0, 256, (9, 24, 20, 3), dtype=np.uint8)
    found = run(AUGMENTATIONS[name], images, 16, seed=3)[[0, 4, 8]].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(found, PINNED[name], atol=2e-3)
