"""A small residual network for images of 8 to 32 pixels."""

import pathlib

import keras

from foc_tf.backbones.blocks import batch_norm, conv
from foc_tf.backbones.resnet50v2 import load_h5, weights_source

_FILTERS = (32, 64, 128)
_BLOCKS = 2


def small_resnet(
    input_shape: tuple[int, int, int], weights: str | pathlib.Path | None = None
) -> keras.Model:
    """A pre-activation residual network of 0.7 million parameters.

    Blocks after He et al. (2016), Identity Mappings in Deep Residual Networks: a 3x3 stem, then 3
    groups of 2 blocks with 32, 64 and 128 filters, the last two groups at half the resolution of
    the one before. Pixels are rescaled to -1..1 (x / 127.5 - 1) inside.

    Args:
      input_shape: (H, W, C), any C.
      weights: None or "none" (random), or a .weights.h5 file of this model.

    Returns:
      keras.Model, float images in 0..255 [B, H, W, C] to features [B, 128].

    Raises:
      ValueError: if the weights are a word, missing or do not fit.
    """
    source = weights_source(weights)
    inputs = keras.Input(input_shape, name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="rescale")(inputs)
    x = conv(x, _FILTERS[0], 3, 1, "stem")
    for group, filters in enumerate(_FILTERS):
        for index in range(_BLOCKS):
            stride = 2 if group > 0 and index == 0 else 1
            x = _block(x, filters, stride, f"group{group + 1}_block{index + 1}")
    x = _bn_relu(x, "post")
    x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
    model = keras.Model(inputs, x, name="small_resnet")
    if source is not None:
        load_h5(model, source)
    return model


def _block(x, filters, stride, name):
    shortcut = x
    x = _bn_relu(x, f"{name}_pre")
    if stride != 1 or shortcut.shape[-1] != filters:
        shortcut = conv(x, filters, 1, stride, f"{name}_shortcut")
    x = conv(x, filters, 3, stride, f"{name}_conv1")
    x = _bn_relu(x, f"{name}_mid")
    x = conv(x, filters, 3, 1, f"{name}_conv2")
    return keras.layers.Add(name=f"{name}_add")([shortcut, x])


def _bn_relu(x, name):
    x = batch_norm(x, name)
    return keras.layers.ReLU(name=f"{name}_relu")(x)
