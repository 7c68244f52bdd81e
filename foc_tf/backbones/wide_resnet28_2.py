"""Wide-ResNet-28-2, the backbone of MixMatch, FixMatch and their peers."""

import pathlib

import keras

from foc_tf.backbones.blocks import batch_norm, conv
from foc_tf.backbones.resnet50v2 import load_h5, weights_source

_FILTERS = (32, 64, 128)
_BLOCKS = 4
_SLOPE = 0.1


def wide_resnet28_2(
    input_shape: tuple[int, int, int], weights: str | pathlib.Path | None = None
) -> keras.Model:
    """Wide-ResNet of depth 28 and width 2, 1,466,320 trainable parameters with 3 channels.

    Zagoruyko and Komodakis (2016), Wide Residual Networks, with the leaky ReLU (slope 0.1) of
    Oliver et al. (2018), Realistic Evaluation of Deep Semi-Supervised Learning Algorithms, which
    the peers took over; a group's first block activates before it branches. Pixels are rescaled to
    -1..1 (x / 127.5 - 1) inside.

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
    x = conv(x, 16, 3, 1, "stem")
    for group, filters in enumerate(_FILTERS):
        for index in range(_BLOCKS):
            stride = 2 if group > 0 and index == 0 else 1
            x = _block(x, filters, stride, f"group{group + 1}_block{index + 1}")
    x = _bn_relu(x, "post")
    x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
    model = keras.Model(inputs, x, name="wide_resnet28_2")
    if source is not None:
        load_h5(model, source)
    return model


def _block(x, filters, stride, name):
    shortcut, activated = x, _bn_relu(x, f"{name}_pre")
    if x.shape[-1] != filters or stride != 1:
        shortcut = conv(activated, filters, 1, stride, f"{name}_shortcut")
    x = conv(activated, filters, 3, stride, f"{name}_conv1")
    x = conv(_bn_relu(x, f"{name}_mid"), filters, 3, 1, f"{name}_conv2")
    return keras.layers.Add(name=f"{name}_add")([shortcut, x])


def _bn_relu(x, name):
    x = batch_norm(x, name)
    return keras.layers.LeakyReLU(_SLOPE, name=f"{name}_relu")(x)
