"""Operations on the values of images as PIL defines them, over a batch and without rounding.

All take and give [N, H, W, C] float32 in 0..255, C 1 or 3, with one [N] strength per image. PIL
cuts each result to whole numbers; here a result may lie up to 1 beside PIL's.
"""

import numpy as np
import tensorflow as tf

# ITU-R 601, PIL's conversion to grey.
_LUMA = (0.299, 0.587, 0.114)
# What PIL's ImageFilter.SMOOTH (5 of 13 for the pixel, 1 for each around it) changes.
_SMOOTHING = np.array([[1, 1, 1], [1, -8, 1], [1, 1, 1]], np.float32)[:, :, None, None] / 13.0


def equalized(images: tf.Tensor) -> tf.Tensor:
    """Each channel's histogram made as flat as one table of whole values can (ImageOps.equalize).

    Args:
      images: [N, H, W, C] float32 in 0..255; rounded first.

    Returns:
      [N, H, W, C] float32; of one value only, or of fewer than 256 pixels beside those of the
      channel's greatest value, only rounded.
    """
    count, channels = tf.shape(images)[0], images.shape[-1]
    planes = count * channels
    # One histogram for all: plane n * C + c has the bins from 256 (n * C + c) on.
    starts = 256.0 * tf.cast(tf.reshape(tf.range(planes), [count, channels]), tf.float32)
    flat = tf.reshape(tf.cast(_plus(tf.round(images), starts), tf.int32), [-1])
    length = 256 * planes
    counts = tf.math.bincount(flat, minlength=length, maxlength=length)
    table = tf.reshape(_equalizing_tables(tf.reshape(counts, [-1, 256])), [-1])
    return tf.reshape(tf.gather(tf.cast(table, tf.float32), flat), tf.shape(images))


def _equalizing_tables(counts):
    """[P, 256] int32 new values of the old ones, of [P, 256] int32 counts of each."""
    steps = tf.range(256)
    greatest = tf.reduce_max(tf.where(counts > 0, steps, 0), axis=1, keepdims=True)
    of_greatest = tf.gather(counts, greatest, batch_dims=1)
    step = (tf.reduce_sum(counts, axis=1, keepdims=True) - of_greatest) // 255
    below = tf.cumsum(counts, axis=1, exclusive=True)
    table = (step // 2 + below) // tf.maximum(step, 1)
    return tf.where(step > 0, tf.minimum(table, 255), steps)


def posterized(images: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    """Only the upper bits of each value, rounded first (ImageOps.posterize).

    Args:
      images: [N, H, W, C] float32.
      bits: [N] float32; cut to whole bits.

    Returns:
      [N, H, W, C] float32.
    """
    step = _per_image(2.0 ** (8.0 - tf.floor(bits)))
    return tf.floor(tf.round(images) / step) * step


def solarized(images: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
    """Values from a threshold on are inverted (ImageOps.solarize).

    Args:
      images: [N, H, W, C] float32.
      threshold: [N] float32 in 0..256; 256 = nothing changes.

    Returns:
      [N, H, W, C] float32.
    """
    # A product: tf.where takes four times as long on a CPU.
    inverted = tf.cast(images >= _per_image(threshold), tf.float32)
    return images + inverted * (255.0 - 2.0 * images)


def sharpened(images: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Between smoothed (0) and unchanged (1); the outermost pixels stay (ImageEnhance.Sharpness).

    Args:
      images: [N, H, W, C] float32.
      factor: [N] float32.

    Returns:
      [N, H, W, C] float32.
    """
    kernel = tf.tile(_SMOOTHING, [1, 1, images.shape[-1], 1])
    # Not VALID: of no images at all its result has the wrong shape.
    change = tf.nn.depthwise_conv2d(images, kernel, [1, 1, 1, 1], "SAME")
    change = _per_image(1.0 - factor) * change[:, 1:-1, 1:-1]
    return images + tf.pad(change, [[0, 0], [1, 1], [1, 1], [0, 0]])


def blended(
    images: tf.Tensor,
    stretched: tf.Tensor,
    brightness: tf.Tensor,
    colour: tf.Tensor,
    contrast: tf.Tensor,
) -> tf.Tensor:
    """Autocontrast, then brightness, colour and contrast of ImageEnhance, as one linear map.

    Args:
      images: [N, H, W, C] float32.
      stretched: [N] bool, autocontrast: each channel's values stretched to 0..255.
      brightness: [N] float32 in 0..1, share of the image, the rest is black; 1 = unchanged.
      colour: [N] float32 in 0..1, share of the image, the rest is its luma.
      contrast: [N] float32 in 0..1, share of the image, the rest is its mean luma.

    Returns:
      [N, H, W, C] float32; shares of at most 1 never leave 0..255, so nothing is clipped between.
    """
    channels = images.shape[-1]
    luma = tf.constant(_LUMA if channels == 3 else (1.0,))[None]
    scale, offset = _stretching(images, stretched)
    brightness, colour, contrast = (each[:, None] for each in (brightness, colour, contrast))
    # What this part does to a [N, C, ...] colour: x -> brightness (colour x + (1 - colour) luma x)
    mix = colour[:, None] * tf.eye(channels) + (1.0 - colour[:, None]) * luma
    mix *= brightness[:, None]
    matrix, offset = mix * scale[:, None], tf.linalg.matvec(mix, offset)
    mean = tf.linalg.matvec(matrix, _over_pixels(tf.reduce_mean, images)) + offset
    grey = tf.reduce_sum(luma * mean, axis=1, keepdims=True)
    return _mapped(images, contrast[:, None] * matrix, contrast * offset + (1.0 - contrast) * grey)


def _stretching(images, stretched):
    """[N, C] scales and offsets that take each channel to 0..255 where `stretched`."""
    low, high = (_over_pixels(extreme, images) for extreme in (tf.reduce_min, tf.reduce_max))
    # An image of one value stays, also where resampling made it uneven in the last digits.
    wide = stretched[:, None] & (high - low >= 1.0)
    scale = tf.where(wide, 255.0 / tf.maximum(high - low, 1.0), 1.0)
    return scale, tf.where(wide, -low * scale, 0.0)


def _over_pixels(reduce, images):
    """[N, C] of each channel's pixels."""
    # Rows first, whole: over both axes at once it takes three times as long.
    count, height, width, channels = tf.unstack(tf.shape(images))
    rows = reduce(tf.reshape(images, [count, height, width * channels]), axis=1)
    return reduce(tf.reshape(rows, [count, width, images.shape[-1]]), axis=1)


def _mapped(images, matrices, offsets):
    """[N, H, W, C] of matrix times colour plus offset; [N, C, C], [N, C]."""
    shape = tf.shape(images)
    flat = tf.reshape(images, [shape[0], shape[1] * shape[2], images.shape[-1]])
    flat = tf.matmul(flat, matrices, transpose_b=True)
    return tf.ensure_shape(_plus(tf.reshape(flat, shape), offsets), images.shape)


def _plus(images, offsets):
    """[N, H, W, C] plus [N, C]."""
    # Offsets are repeated along a row first: of one pixel's length they broadcast slowly.
    count, height, width, channels = tf.unstack(tf.shape(images))
    rows = tf.reshape(images, [count, height, width * channels])
    return tf.reshape(rows + tf.tile(offsets, [1, width])[:, None], tf.shape(images))


def _per_image(strength):
    return strength[:, None, None, None]
