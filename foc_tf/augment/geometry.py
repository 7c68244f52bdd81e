"""Where the pixels of an augmented image come from: crop, flip, one resampling, cutout.

`draws` is always a function (stream's name, low = 0, high = 1) -> [N] uniform float32.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from foc_tf.keras_compat import affine_transform, compose_transforms

_DEGREE = math.pi / 180.0


def checked(images: tf.Tensor, size: int) -> tf.Tensor:
    """The images as a tensor, once they are known to be images that hold a crop of `size` px.

    Args:
      images: [N, H, W, C] uint8 or float32.
      size: side of the crop in pixels.

    Returns:
      The same [N, H, W, C].

    Raises:
      ValueError: if the rank is not 4, C not 1 or 3, or H or W smaller than `size`.
    """
    images = tf.convert_to_tensor(images)
    if images.shape.rank != 4:
        raise ValueError(f"images: expected [N, H, W, C], found {images.shape}.")
    if images.shape[-1] not in (1, 3):
        raise ValueError(f"images: expected 1 or 3 channels, found {images.shape[-1]}.")
    height, width = images.shape[1:3]
    if any(side is not None and side < size for side in (height, width)):
        raise ValueError(f"size: a crop of {size} px does not fit images of {height} x {width} px.")
    if height is None or width is None:
        # Only the graph sees the sides; without this, indices would run into the next image.
        sides = tf.shape(images)[1:3]
        fits = tf.debugging.assert_greater_equal(sides, size, "size: larger than images")
        # An assertion that nothing waits for races against the failure it would explain.
        with tf.control_dependencies([fits] if fits is not None else []):
            images = tf.identity(images)
    return images


def _whole(share, choices):
    """[N] int32, uniform in 0..choices - 1, of draws in [0, 1)."""
    # float32 may round share * choices up to choices.
    product = share * tf.cast(choices, tf.float32)
    return tf.minimum(tf.cast(product, tf.int32), choices - 1)


def _offsets(draws, images, size):
    """[N] int32 left and top margins of the random crop."""
    height, width = tf.unstack(tf.shape(images)[1:3])
    return (
        _whole(draws("crop_x"), width - size + 1),
        _whole(draws("crop_y"), height - size + 1),
    )


def affine_or_crop(
    recipe: Any, draws: Callable[..., tf.Tensor], images: tf.Tensor, size: int
) -> tf.Tensor:
    """Random crop, shift, flip, rotation and shear of a recipe, in one step.

    Args:
      recipe: `Recipe`.
      draws: function, see above.
      images: [N, H, W, C] uint8 or float32.
      size: side of the result in pixels.

    Returns:
      [N, size, size, C] float32: the images' own pixels without shift, rotation and shear; else
      bilinear and zero outside.
    """
    if recipe.shift or recipe.rotate or recipe.shear:
        maps = projective_maps(recipe, draws, images, size)
        result = affine_transform(images, maps, size)
    else:
        result = crop_and_flip(recipe, draws, images, size)
    return tf.ensure_shape(result, [None, size, size, images.shape[-1]])


def crop_and_flip(
    recipe: Any, draws: Callable[..., tf.Tensor], images: tf.Tensor, size: int
) -> tf.Tensor:
    """[N, size, size, C] float32 of whole pixels, mirrored or not."""
    # One gather of whole pixels: a sixth of the time of a projective resampling.
    count, height, width, channels = tf.unstack(tf.shape(images))
    left, top = _offsets(draws, images, size)
    along = tf.range(size)[None]
    x = tf.where(draws("flip")[:, None] < recipe.flip, along[:, ::-1], along) + left[:, None]
    y = along + top[:, None] + height * tf.range(count)[:, None]
    pixels = tf.reshape(images, [-1, channels])
    return tf.cast(tf.gather(pixels, width * y[:, :, None] + x[:, None, :]), tf.float32)


def projective_maps(
    recipe: Any, draws: Callable[..., tf.Tensor], images: tf.Tensor, size: int
) -> tf.Tensor:
    """[N, 8] maps from output to input pixels: shear, rotate, flip about the centre; then crop."""
    centre = (size - 1) / 2.0
    offsets = [tf.cast(offset, tf.float32) for offset in _offsets(draws, images, size)]
    reach = recipe.shift * size
    moves = [draws("shift_x", -reach, reach), draws("shift_y", -reach, reach)]
    x, y = (centre + offset + move for offset, move in zip(offsets, moves))
    mirror = tf.where(draws("flip") < recipe.flip, -1.0, 1.0)
    angle = draws("rotate", -recipe.rotate, recipe.rotate) * _DEGREE
    slant = tf.tan(draws("shear", -recipe.shear, recipe.shear) * _DEGREE)
    cos, sin = tf.cos(angle), tf.sin(angle)
    one, zero = tf.ones_like(x), tf.zeros_like(x)
    back = -centre * one
    steps = [
        [one, zero, x, zero, one, y],
        [mirror, zero, zero, zero, one, zero],
        [cos, -sin, zero, sin, cos, zero],
        [one, slant, zero, zero, one, zero],
        [one, zero, back, zero, one, back],
    ]
    return compose_transforms([tf.stack([*step, zero, zero], axis=1) for step in steps])


def cut_out(
    recipe: Any, draws: Callable[..., tf.Tensor], images: tf.Tensor, size: int
) -> tf.Tensor:
    """One black square of whole pixels in each image.

    Args:
      recipe: `Recipe` with a `cutout`.
      draws: function, see above.
      images: [N, size, size, C] float32.
      size: side of the images in pixels.

    Returns:
      [N, size, size, C] float32; the square lies wholly inside, its side within `cutout * size`.
    """
    least = max(1, math.ceil(recipe.cutout[0] * size))
    most = max(least, math.floor(recipe.cutout[1] * size))
    side = least + _whole(draws("cutout"), most - least + 1)
    channels = images.shape[-1]

    def outside(name, places):
        start = _whole(draws(name), size - side + 1)[:, None]
        return tf.cast((places < start) | (places >= start + side[:, None]), tf.float32)

    # Columns are repeated per channel first: a mask of one channel broadcasts three times slower.
    columns = outside("cutout_x", np.repeat(np.arange(size, dtype=np.int32), channels)[None])
    rows = outside("cutout_y", np.arange(size, dtype=np.int32)[None])
    keep = tf.maximum(rows[:, :, None], columns[:, None, :])
    return images * tf.reshape(keep, [-1, size, size, channels])
