"""Layers that the residual backbones share."""

from typing import Any

import keras


def conv(x: Any, filters: int, kernel: int, stride: int, name: str, padding: str = "same") -> Any:
    """A convolution without bias, He's initial weights."""
    return keras.layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding=padding,
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)


def batch_norm(x: Any, name: str) -> Any:
    """Batch normalisation with a short memory."""
    # 0.9: small data sets have few steps an epoch; 0.99 would long remember the random start.
    return keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
