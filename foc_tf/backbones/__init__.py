"""Backbones: functions `(input_shape, weights=None) -> keras.Model` from pixels to pooled features.

Each model maps float images in 0..255 [B, H, W, C] to [B, F]; the range its weights want is its own
first layer. A new backbone is one such function and one line of `BACKBONES`.
"""

import pathlib

import keras

from foc_tf.backbones import sobel
from foc_tf.backbones.efficientnet_lite0 import efficientnet_lite0
from foc_tf.backbones.resnet34_iic import resnet34_iic
from foc_tf.backbones.resnet50v2 import resnet50v2
from foc_tf.backbones.resnet50v2_keras_cv import resnet50v2_keras_cv
from foc_tf.backbones.small_cnn import small_cnn
from foc_tf.backbones.small_resnet import small_resnet
from foc_tf.backbones.wide_resnet28_2 import wide_resnet28_2

BACKBONES = {
    "resnet50v2": resnet50v2,
    "resnet50v2_keras_cv": resnet50v2_keras_cv,
    "resnet34_iic": resnet34_iic,
    "wide_resnet28_2": wide_resnet28_2,
    "efficientnet_lite0": efficientnet_lite0,
    "small_resnet": small_resnet,
    "small_cnn": small_cnn,
}


def build(
    name: str,
    image_size: int | tuple[int, int],
    channels: int = 3,
    weights: str | pathlib.Path | None = None,
    inputs: str = "pixels",
) -> keras.Model:
    """A backbone by its name.

    Args:
      name: a name of `BACKBONES`.
      image_size: side of a square image in pixels, or (H, W).
      channels: C.
      inputs: "pixels"; "sobel": 2 channels of edges; "sobel_rgb": edges beside the pixels.
      weights: None or "none" (random), "imagenet" where the backbone has it, or a file.

    Returns:
      keras.Model, float images in 0..255 [B, H, W, C] to features [B, F].

    Raises:
      ValueError: if the name is unknown (lists the known ones), or the backbone refuses the size,
        the channels or the weights.
    """
    if name not in BACKBONES:
        raise ValueError(f"Unknown backbone {name!r}; known: {', '.join(sorted(BACKBONES))}.")
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    seen = sobel.channels_of(inputs, channels)
    backbone = BACKBONES[name]((height, width, seen), weights=weights)
    return sobel.before(backbone, inputs, (height, width, channels))
