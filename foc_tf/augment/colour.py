"""What happens to the values of an augmented image: one matrix, clip, gamma.

`draws` is a function (stream's name, low, high) -> [N] uniform float32.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

_TO_YIQ = np.array(
    [[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], np.float32
)
_FROM_YIQ = np.linalg.inv(_TO_YIQ)


def recoloured(recipe: Any, draws: Callable[..., tf.Tensor], images: tf.Tensor) -> tf.Tensor:
    """Hue, saturation and brightness of a recipe in one matrix, clip, gamma.

    Args:
      recipe: `Recipe`.
      draws: function, see above.
      images: [N, H, W, C] float32 in 0..255; of one channel, hue and saturation change nothing.

    Returns:
      [N, H, W, C] float32 in 0..255; unchanged if the recipe has no colour.
    """
    colour = images.shape[-1] == 3 and (recipe.hue or recipe.saturation)
    if not (colour or recipe.brightness or recipe.gamma):
        return images
    factor = draws("brightness", *(recipe.brightness or (1.0, 1.0)))[:, None, None]
    if colour:
        matrices = factor * _chroma_matrices(recipe, draws)
        shape = tf.shape(images)
        flat = tf.matmul(tf.reshape(images, [shape[0], -1, 3]), matrices, transpose_b=True)
        images = tf.ensure_shape(tf.reshape(flat, shape), images.shape)
    elif recipe.brightness:
        images *= factor[..., None]
    images = tf.maximum(images, 0.0)
    if recipe.gamma:
        exponent = draws("gamma", *recipe.gamma)[:, None, None, None]
        # 255 (x / 255)^e. tf.pow is seven times slower on a CPU; log 0 = -inf comes back as 0.
        images = tf.exp(exponent * tf.math.log(images) + (1.0 - exponent) * math.log(255.0))
    # Only now: too bright stays too bright under any exponent, and rounding may pass 255.
    return tf.minimum(images, 255.0)


def _chroma_matrices(recipe, draws):
    """[N, 3, 3] of RGB to RGB: the plane of I and Q turned and stretched, grey a fixed point."""
    angle = draws("hue", -recipe.hue, recipe.hue)
    stretch = draws("saturation", *(recipe.saturation or (1.0, 1.0)))
    cos, sin = stretch * tf.cos(angle), stretch * tf.sin(angle)
    one, zero = tf.ones_like(cos), tf.zeros_like(cos)
    turn = tf.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], axis=1)
    matrices = _FROM_YIQ @ tf.reshape(turn, [-1, 3, 3]) @ _TO_YIQ
    # The published coefficients are rounded and tint grey a little: make each row's sum exactly 1.
    return matrices + (1.0 - tf.reduce_sum(matrices, axis=2, keepdims=True)) * _TO_YIQ[0]
