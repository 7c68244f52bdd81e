"""Five convolutions, for quick comparisons on images of 8 to 32 pixels."""

import pathlib

import keras

from foc_tf.backbones.blocks import batch_norm, conv
from foc_tf.backbones.resnet50v2 import load_h5, weights_source

_FILTERS = (16, 16, 32, 32, 64)
_STRIDES = (1, 2, 1, 2, 1)


def small_cnn(
    input_shape: tuple[int, int, int], weights: str | pathlib.Path | None = None
) -> keras.Model:
    """A plain convolutional network of 35 thousand parameters.

    Five times a 3x3 convolution, batch normalisation and ReLU, with 16, 16, 32, 32 and 64 filters;
    the second and the fourth halve the resolution. Pixels are rescaled to -1..1 (x / 127.5 - 1)
    inside.

    Args:
      input_shape: (H, W, C), any C.
      weights: None or "none" (random), or a .weights.h5 file of this model.

    Returns:
      keras.Model, float images in 0..255 [B, H, W, C] to features [B, 64].

    Raises:
      ValueError: if the weights are a word, missing or do not fit.
    """
    source = weights_source(weights)
    inputs = keras.Input(input_shape, name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="rescale")(inputs)
    for number, (filters, stride) in enumerate(zip(_FILTERS, _STRIDES), start=1):
        x = conv(x, filters, 3, stride, f"conv{number}")
        x = batch_norm(x, f"conv{number}")
        x = keras.layers.ReLU(name=f"conv{number}_relu")(x)
    x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
    model = keras.Model(inputs, x, name="small_cnn")
    if source is not None:
        load_h5(model, source)
    return model
