"""The variant of ResNet34 that IIC uses, the paper's backbone on STL-10."""

import pathlib

import keras

from foc_tf.backbones.blocks import batch_norm, conv
from foc_tf.backbones.resnet50v2 import load_h5, weights_source

_BLOCKS = (3, 4, 6, 3)
_FILTERS = (64, 128, 256, 512)


def resnet34_iic(
    input_shape: tuple[int, int, int], weights: str | pathlib.Path | None = None
) -> keras.Model:
    """ResNet34 for small images, 21,276,992 trainable parameters with 3 channels.

    After Ji et al. (2019), Invariant Information Clustering: the blocks of He et al. (2016), Deep
    Residual Learning, behind a 3x3 stem of stride 1 and a 2x2 max-pool that pads by one pixel. 64
    pixels end as 5 x 5. Pixels are rescaled to -1..1 (x / 127.5 - 1) inside.

    Args:
      input_shape: (H, W, C), any C.
      weights: None or "none" (random), or a .weights.h5 file of this model.

    Returns:
      keras.Model, float images in 0..255 [B, H, W, C] to features [B, 512].

    Raises:
      ValueError: if the weights are a word, missing or do not fit.
    """
    source = weights_source(weights)
    inputs = keras.Input(input_shape, name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="rescale")(inputs)
    x = _relu(_conv_bn(x, _FILTERS[0], 3, 1, "stem"), "stem")
    # Zeros and -infinity are the same for a maximum of values after ReLU.
    x = keras.layers.ZeroPadding2D(1, name="pad")(x)
    x = keras.layers.MaxPooling2D(2, name="pool")(x)
    for group, (filters, blocks) in enumerate(zip(_FILTERS, _BLOCKS)):
        for index in range(blocks):
            stride = 2 if group > 0 and index == 0 else 1
            x = _block(x, filters, stride, f"group{group + 1}_block{index + 1}")
    x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
    model = keras.Model(inputs, x, name="resnet34_iic")
    if source is not None:
        load_h5(model, source)
    return model


def _block(x, filters, stride, name):
    shortcut = x
    if stride != 1 or x.shape[-1] != filters:
        shortcut = _conv_bn(x, filters, 1, stride, f"{name}_shortcut")
    x = _relu(_conv_bn(x, filters, 3, stride, f"{name}_1"), f"{name}_1")
    x = _conv_bn(x, filters, 3, 1, f"{name}_2")
    return _relu(keras.layers.Add(name=f"{name}_add")([shortcut, x]), f"{name}_out")


def _conv_bn(x, filters, kernel, stride, name):
    if kernel == 3:
        # On both sides, as PyTorch pads; "same" with stride 2 pads on the right only.
        x = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
    x = conv(x, filters, kernel, stride, f"{name}_conv", padding="valid")
    return batch_norm(x, name)


def _relu(x, name):
    return keras.layers.ReLU(name=f"{name}_relu")(x)
