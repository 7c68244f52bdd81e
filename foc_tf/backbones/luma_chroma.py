"""Brightness and colour of an image, seen apart by one backbone: the two views of CMC."""

import keras
import tensorflow as tf

from foc_tf.backbones.sobel import Sobel

_LUMA = (0.299, 0.587, 0.114)  # of ITU-R BT.601, as in YIQ and YUV


@keras.utils.register_keras_serializable("foc_tf")
class LumaAndChroma(keras.layers.Layer):
    """[B, H, W, 3] images in 0..255 to [2 B, H, W, 3]: all their lumas, then all their chromas.

    The luma stands in all three channels. The chroma image is half of what the luma leaves of each
    channel, about the middle: (x - luma) / 2 + 127.5, so nothing is clipped and its own luma is
    127.5 everywhere.
    """

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Images to the two kinds of image."""
        images = tf.cast(images, tf.float32)
        luma = tf.tensordot(images, tf.constant(_LUMA), axes=1)[..., None]
        return tf.concat([luma + tf.zeros_like(images), (images - luma) / 2 + 127.5], axis=0)


@keras.utils.register_keras_serializable("foc_tf")
class SideBySide(keras.layers.Layer):
    """[2 B, F] features, first and second half of the rows, to [B, 2 F]."""

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """Features of two images to those of a pair."""
        return tf.concat(tf.split(features, 2), axis=1)


def of_luma_and_chroma(backbone: keras.Model) -> keras.Model:
    """A backbone that sees luma and chroma apart, in one pass and with the same weights.

    Args:
      backbone: keras.Model [B, H, W, 3] -> [B, F]; its variables are the result's.

    Returns:
      keras.Model [B, H, W, 3] in 0..255 -> [B, 2 F]: features of the luma, features of the chroma.

    Raises:
      ValueError: if the backbone does not see colours.
    """
    channels = backbone.input_shape[-1]
    if channels != 3 or any(isinstance(layer, Sobel) for layer in backbone.layers):
        found = "edges" if channels == 3 else f"images of {channels} channel(s)"
        raise ValueError(
            f"input: cmc contrasts brightness with colour and needs colour images, found {found}; "
            "give --input=rgb."
        )
    image = keras.Input(backbone.input_shape[1:], name="image")
    apart = LumaAndChroma(name="luma_and_chroma", dtype="float32")(image)
    pairs = SideBySide(name="side_by_side")(backbone(apart))
    return keras.Model(image, pairs, name=f"luma_chroma_{backbone.name}")
