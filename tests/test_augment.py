"""Augmentation: recipes keep their promises; geometry and colour against slow, obvious numbers."""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from foc_tf.augment import AUGMENTATIONS, Recipe, center_crop
from foc_tf.keras_compat import affine_transform, compose_transforms

NAMES = sorted(AUGMENTATIONS)
RANDOM = [name for name in NAMES if name != "center_crop"]


def noise(count=6, height=24, width=20, channels=3, seed=0):
    """uint8 noise in 1..255, so that a zero in a result was put there."""
    draw = np.random.default_rng(seed)
    return draw.integers(1, 256, (count, height, width, channels), dtype=np.uint8)


def seeded(number):
    return tf.constant([7, number], tf.int64)


def run(recipe, images, size, seed=0):
    return recipe(images, seeded(seed), size).numpy()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_shape_range_and_dtype(name, channels, dtype):
    result = run(AUGMENTATIONS[name], noise(channels=channels).astype(dtype), 16)
    assert result.shape == (6, 16, 16, channels)
    assert result.dtype == np.float32
    assert np.isfinite(result).all()
    assert result.min() >= 0.0
    assert result.max() <= 255.0


@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize("name", NAMES)
def test_black_and_white_stay_finite_and_in_range(name, value):
    result = run(AUGMENTATIONS[name], np.full((8, 20, 20, 3), value, np.uint8), 16)
    assert np.isfinite(result).all()
    assert result.min() >= 0.0
    # The strong recipe's square, and what it moves in from outside, is grey.
    assert result.max() <= max(value, 127.5 if name == "strong" else 0.0)


@pytest.mark.parametrize("dtype", [tf.int32, tf.int64])
@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_result(name, dtype):
    images, seed = noise(), tf.constant([3, 4], dtype)
    first, second = (AUGMENTATIONS[name](images, seed, 16).numpy() for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", RANDOM)
def test_seeds_and_rows_of_a_batch_differ(name):
    images = np.repeat(noise(count=1), 8, axis=0)
    result = run(AUGMENTATIONS[name], images, 16)
    # Of 8 images two may have the same crop, where that is all that is drawn.
    assert len({row.tobytes() for row in result}) >= 6
    assert not np.array_equal(result, run(AUGMENTATIONS[name], images, 16, seed=1))


@pytest.mark.parametrize("name", NAMES)
def test_a_part_of_a_batch_is_drawn_as_in_the_whole(name):
    images = noise(count=9)
    seed = tf.constant([3, 5], tf.int64)
    whole = AUGMENTATIONS[name](images, seed, 16).numpy()
    for part in (slice(0, 3), slice(3, 6), slice(6, 9)):
        found = AUGMENTATIONS[name](images[part], seed, 16, part.start).numpy()
        np.testing.assert_allclose(found, whole[part], atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_grey_stays_grey(name):
    grey = np.repeat(noise(count=32, channels=1), 3, axis=3)
    result = run(AUGMENTATIONS[name], grey, 16)
    assert np.ptp(result, axis=3).max() < 1e-2
    single = run(AUGMENTATIONS[name], grey[..., :1], 16)
    np.testing.assert_allclose(single, result[..., :1], atol=1e-2)


@pytest.mark.parametrize("name", NAMES)
def test_inside_a_dataset_with_unknown_batch_size(name):
    images = noise(count=5)
    recipe = AUGMENTATIONS[name]
    dataset = tf.data.Dataset.from_tensor_slices(images).batch(3)
    assert dataset.element_spec.shape[0] is None
    dataset = dataset.map(lambda batch: recipe(batch, seeded(0), 16))
    assert dataset.element_spec.shape.as_list() == [None, 16, 16, 3]
    first, last = dataset.as_numpy_iterator()
    assert (len(first), len(last)) == (3, 2)
    np.testing.assert_allclose(first, run(recipe, images[:3], 16), atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_errors(name):
    recipe = AUGMENTATIONS[name]
    with pytest.raises(ValueError, match="21 px.*24 x 20 px"):
        run(recipe, noise(), 21)
    with pytest.raises(ValueError, match="25 px.*24 x 30 px"):
        run(recipe, noise(width=30), 25)
    with pytest.raises(ValueError, match="1 or 3 channels, found 4"):
        run(recipe, noise(channels=4), 16)
    with pytest.raises(ValueError, match="found .24, 20, 3."):
        run(recipe, noise()[0], 16)


@pytest.mark.parametrize("name", NAMES)
def test_sides_that_only_the_graph_knows(name):
    spec = tf.TensorSpec([None, None, None, 3], tf.uint8)
    traced = tf.function(
        lambda images: AUGMENTATIONS[name](images, seeded(0), 16), input_signature=[spec]
    )
    np.testing.assert_allclose(traced(noise()), run(AUGMENTATIONS[name], noise(), 16), atol=1e-3)
    with pytest.raises(tf.errors.InvalidArgumentError, match="larger than images"):
        traced(noise(width=15))


def test_center_crop_by_hand():
    images = noise(height=24, width=21)
    # Margins: (24 - 16) / 2 = 4 above, floor((21 - 16) / 2) = 2 left.
    np.testing.assert_array_equal(run(center_crop, images, 16), images[:, 4:20, 2:18])
    np.testing.assert_array_equal(run(center_crop, images, 21), images[:, 1:22])


def find_crop(image, crop):
    """(top, left, mirrored) of every place where `crop` stands pixel for pixel in `image`."""
    size = len(crop)
    return [
        (top, left, mirrored)
        for top in range(image.shape[0] - size + 1)
        for left in range(image.shape[1] - size + 1)
        for mirrored, part in enumerate([crop, crop[:, ::-1]])
        if np.array_equal(image[top : top + size, left : left + size], part)
    ]


# A rotation of 1e-30 degrees is none in float32, but takes the way of the resampling.
@pytest.mark.parametrize("rotate", [0.0, 1e-30], ids=["gather", "resampling"])
def test_crop_and_flip_are_exact_pixels(rotate):
    images = noise(count=200, height=12, width=10)
    crops = run(Recipe(rotate=rotate), images, 8)
    places = [find_crop(image, crop) for image, crop in zip(images, crops)]
    assert all(len(found) == 1 for found in places)
    tops, lefts, mirrored = np.array([found[0] for found in places]).T
    # Every offset occurs: 5 tops, 3 lefts; of 200 flips with p = .5, 60 to 140 is 5.6 sigma.
    assert set(tops) == set(range(5))
    assert set(lefts) == set(range(3))
    assert 60 <= mirrored.sum() <= 140
    np.testing.assert_array_equal(crops, run(Recipe(), images, 8))


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_full_size_crop_is_the_image_or_its_mirror(flip):
    images = noise(height=16, width=16)
    expected = images[:, :, ::-1] if flip else images
    np.testing.assert_array_equal(run(Recipe(flip=flip), images, 16), expected)


def bilinear(image, matrix, size):
    """Obvious float64 resampling: matrix maps (x, y, 1) of the result into the image; zero fill."""
    result = np.zeros((size, size, image.shape[-1]))

    def pixel(x, y):
        inside = 0 <= x < image.shape[1] and 0 <= y < image.shape[0]
        return image[y, x].astype(np.float64) if inside else 0.0

    for row in range(size):
        for column in range(size):
            x, y, k = matrix @ (column, row, 1.0)
            x, y = x / k, y / k
            left, top = math.floor(x), math.floor(y)
            u, v = x - left, y - top
            upper = (1 - u) * pixel(left, top) + u * pixel(left + 1, top)
            lower = (1 - u) * pixel(left, top + 1) + u * pixel(left + 1, top + 1)
            result[row, column] = (1 - v) * upper + v * lower
    return result


def move(x, y):
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)


def flat(matrix):
    return tf.constant((matrix / matrix[2, 2]).ravel()[None, :8], tf.float32)


@settings(max_examples=20, deadline=None)
@given(
    degrees=st.floats(-20, 20),
    slant=st.floats(-10, 10),
    mirror=st.sampled_from([-1.0, 1.0]),
    left=st.integers(0, 3),
    top=st.integers(0, 3),
)
def test_composed_transform_equals_slow_resampling(degrees, slant, mirror, left, top):
    image, size = noise(count=1, height=12, width=12, channels=1), 9
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    steps = [
        move(left + 4, top + 4),
        np.diag([mirror, 1.0, 1.0]),
        np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]),
        np.array([[1, math.tan(math.radians(slant)), 0], [0, 1, 0], [0, 0, 1]]),
        move(-4, -4),
    ]
    composed = compose_transforms([flat(step) for step in steps])
    result = affine_transform(image, composed, size).numpy()[0]
    expected = bilinear(image[0], np.linalg.multi_dot(steps), size)
    # float32 coordinates near 10 are off by 1e-6, values by 255 times that, some times over.
    np.testing.assert_allclose(result, expected, atol=5e-3)


def test_rotation_and_shear_of_a_recipe_against_slow_resampling(monkeypatch):
    image, recipe = noise(count=1, height=9, width=9), Recipe(flip=0.0, rotate=20.0, shear=10.0)
    fixed = {"rotate": 15.0, "shear": -6.0}
    monkeypatch.setattr(
        "foc_tf.augment._draws",
        lambda seed, count, first: (
            lambda name, low=0.0, high=1.0: tf.fill([count], fixed.get(name, low))
        ),
    )
    cos, sin = math.cos(math.radians(15)), math.sin(math.radians(15))
    rotation = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    shear = np.array([[1, math.tan(math.radians(-6)), 0], [0, 1, 0], [0, 0, 1]])
    # The image is as large as the crop, so the centre of both is pixel (4, 4).
    expected = bilinear(image[0], move(4, 4) @ rotation @ shear @ move(-4, -4), 9)
    result = run(recipe, image, 9)[0]
    np.testing.assert_allclose(result, expected, atol=5e-3)
    np.testing.assert_allclose(result[4, 4], image[0, 4, 4], atol=5e-3)


def test_compose_transforms_of_nothing():
    with pytest.raises(ValueError, match="at least one"):
        compose_transforms([])


def test_shift_reaches_its_bound_and_no_further():
    image = np.zeros((400, 41, 41, 1), np.uint8)
    image[:, 20, 20] = 200
    result = run(Recipe(flip=0.0, shift=0.1), image, 41)[..., 0]
    weight = result / result.sum(axis=(1, 2), keepdims=True)
    along = np.arange(41)
    moved = np.concatenate([(weight.sum(axis) * along).sum(1) - 20 for axis in (1, 2)])
    # 10 % of 41 px = 4.1 px either way; among 800 draws the furthest is near the bound.
    assert 4.0 < np.abs(moved).max() <= 4.1 + 1e-3


def test_cutout_share():
    # Noise without a zero, so each zero is the square's: 20 % to 70 % of a side is 4 % to 49 %.
    black = run(Recipe(cutout=(0.2, 0.7)), noise(count=300), 17)[..., 0] == 0
    share = black.mean(axis=(1, 2))
    assert share.min() >= 0.04
    assert share.max() <= 0.49
    assert np.ptp(share) > 0.35
    for each in black[:50]:
        rows, columns = np.flatnonzero(each.any(1)), np.flatnonzero(each.any(0))
        assert len(rows) == len(columns) == np.ptp(rows) + 1 == np.ptp(columns) + 1
        assert each.sum() == len(rows) * len(columns)


PIXEL = np.array([[[[200, 100, 50]]]], np.uint8)
# Luma of the pixel: .299 * 200 + .587 * 100 + .114 * 50 = 59.8 + 58.7 + 5.7 = 124.2


@pytest.mark.parametrize(
    ("recipe", "expected", "atol"),
    [
        # 1.2 * (200, 100, 50)
        (Recipe(brightness=(1.2, 1.2)), (240.0, 120.0, 60.0), 1e-3),
        # 1.4 * (200, 100, 50) = (280, 140, 70), clipped
        (Recipe(brightness=(1.4, 1.4)), (255.0, 140.0, 70.0), 1e-3),
        # 124.2 + .5 * (75.8, -24.2, -74.2); the published YIQ matrices are rounded to 4 digits
        (Recipe(saturation=(0.5, 0.5)), (162.1, 112.1, 87.1), 0.05),
        # luma alone
        (Recipe(saturation=(0.0, 0.0)), (124.2, 124.2, 124.2), 0.05),
        # 124.2 + 1.4 * (75.8, -24.2, -74.2) = (230.32, 90.32, 20.32)
        (Recipe(saturation=(1.4, 1.4)), (230.32, 90.32, 20.32), 0.05),
        # 255 * (200/255)^2 = 40000/255, 10000/255, 2500/255
        (Recipe(gamma=(2.0, 2.0)), (156.863, 39.216, 9.804), 1e-3),
        # 255 * sqrt(v/255) = sqrt(255 v): sqrt(51000), sqrt(25500), sqrt(12750)
        (Recipe(gamma=(0.5, 0.5)), (225.832, 159.687, 112.916), 1e-3),
        # first clipped to (255, 200, 100), then v^2 / 255: 255, 40000/255, 10000/255
        (Recipe(brightness=(2.0, 2.0), gamma=(2.0, 2.0)), (255.0, 156.863, 39.216), 1e-3),
    ],
)
def test_colour_by_hand(recipe, expected, atol):
    np.testing.assert_allclose(run(recipe, PIXEL, 1)[0, 0, 0], expected, atol=atol)


def test_hue_of_half_a_circle_mirrors_the_colour_at_its_luma(monkeypatch):
    monkeypatch.setattr(
        "foc_tf.augment._draws",
        lambda seed, count, first: lambda name, low=0.0, high=1.0: tf.fill([count], high),
    )
    # 124.2 - (75.8, -24.2, -74.2) = (48.4, 148.4, 198.4)
    result = run(Recipe(flip=0.0, hue=math.pi), PIXEL, 1)[0, 0, 0]
    np.testing.assert_allclose(result, (48.4, 148.4, 198.4), atol=0.05)


def test_hue_keeps_luma():
    # Mid colours, so nothing is clipped: luma must stay, the colour must not.
    images, weights = noise(count=20) // 8 + 100, (0.299, 0.587, 0.114)
    before, after = (run(Recipe(flip=0.0, hue=hue), images, 20) for hue in (0.0, 1.0))
    np.testing.assert_allclose(after @ weights, before @ weights, atol=0.05)
    assert np.abs(after - before).max() > 3.0
