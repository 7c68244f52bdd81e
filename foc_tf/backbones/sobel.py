"""Edges instead of colours: the input of networks that start from random weights."""

from typing import Any

import keras
import tensorflow as tf

INPUTS = ("pixels", "sobel", "sobel_rgb")


@keras.utils.register_keras_serializable("foc_tf")
class Sobel(keras.layers.Layer):
    """Images to the vertical and horizontal Sobel edges of their grey values.

    As in IIC (Ji et al. 2019): without colours a network that clusters cannot take the easy way of
    grouping by colour. [B, H, W, C] in 0..255 to [B, H, W, 2], or [B, H, W, C + 2] with the pixels
    first. Edges of grey values in 0..1 lie in -4..4; they leave as (edge + 1) * 127.5, which the
    backbones' own rescaling to -1..1 turns back. The frame is reflected, so it is no edge.

    Args:
      keep_pixels: whether the pixels stand before the edges.
    """

    def __init__(self, keep_pixels: bool = False, **kwargs: Any) -> None:
        """See the class."""
        super().__init__(**kwargs)
        self.keep_pixels = keep_pixels

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Images in 0..255 to edges."""
        grey = tf.image.rgb_to_grayscale(inputs) if inputs.shape[-1] == 3 else inputs
        edges = tf.image.sobel_edges(tf.cast(grey, tf.float32) / 255)[..., 0, :]
        edges = tf.cast((edges + 1) * 127.5, inputs.dtype)
        return tf.concat([inputs, edges], axis=-1) if self.keep_pixels else edges

    def get_config(self) -> dict:
        """The argument."""
        return {**super().get_config(), "keep_pixels": self.keep_pixels}


def channels_of(inputs: str, channels: int) -> int:
    """Channels that a backbone sees; ValueError if `inputs` is unknown."""
    if inputs not in INPUTS:
        raise ValueError(f"inputs: expected one of {', '.join(INPUTS)}, found {inputs!r}.")
    return {"pixels": channels, "sobel": 2, "sobel_rgb": channels + 2}[inputs]


def before(backbone: keras.Model, inputs: str, image_shape: tuple[int, int, int]) -> keras.Model:
    """The backbone with the filter that `inputs` asks for before it.

    Args:
      backbone: keras.Model on what `channels_of` says.
      inputs: a word of `INPUTS`.
      image_shape: (H, W, C).
    """
    if inputs == "pixels":
        return backbone
    image = keras.Input(image_shape, name="image")
    edges = Sobel(inputs == "sobel_rgb", name="sobel", dtype="float32")(image)
    return keras.Model(image, backbone(edges), name=f"{inputs}_{backbone.name}")
