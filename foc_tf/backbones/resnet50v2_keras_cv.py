"""ResNet50V2 as keras-cv builds it, with keras-cv's own ImageNet weights."""

import contextlib
import io
import pathlib

import keras

from foc_tf.backbones.resnet50v2 import check_pretrained_channels, load_h5, weights_source

_GROUPS = {
    "stackwise_filters": [64, 128, 256, 512],
    "stackwise_blocks": [3, 4, 6, 3],
    "stackwise_strides": [1, 2, 2, 2],
}
_PRESET = "resnet50_v2_imagenet"


def resnet50v2_keras_cv(
    input_shape: tuple[int, int, int], weights: str | pathlib.Path | None = None
) -> keras.Model:
    """keras-cv's `ResNetV2Backbone` with ResNet50's blocks, 23,564,800 parameters, and a pooling.

    As many weights as `resnet50v2`, but a group halves the resolution in its first block (Keras:
    in its last) and pixels are rescaled to 0..1 (x / 255) inside: the weights of one are of no use
    to the other.

    Args:
      input_shape: (H, W, C); H and W at least 32.
      weights: None or "none" (random), "imagenet" (keras-cv downloads its preset once), or a
        .weights.h5 file of this model.

    Returns:
      keras.Model, float images in 0..255 [B, H, W, C] to features [B, 2048].

    Raises:
      ValueError: if an image is too small, pretrained weights meet other than 3 channels, the
        download fails, or the file is missing or does not fit.
    """
    source = weights_source(weights, words=("imagenet",))
    check_pretrained_channels(source, input_shape)
    if min(input_shape[:2]) < 32:
        raise ValueError(f"image_size: resnet50v2_keras_cv needs 32 pixels, found {input_shape}.")
    # keras-cv says which Keras it found, on every import.
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        from keras_cv.models import ResNetV2Backbone
    options = {"include_rescaling": True, "input_shape": tuple(input_shape)}
    if source == "imagenet":
        backbone = _pretrained(ResNetV2Backbone, options["input_shape"])
    else:
        backbone = ResNetV2Backbone(**_GROUPS, **options)
    x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(backbone.output)
    model = keras.Model(backbone.input, x, name="resnet50v2_keras_cv")
    if source not in (None, "imagenet"):
        load_h5(model, source)
    return model


def _pretrained(cls, input_shape):
    try:
        return cls.from_preset(_PRESET, input_shape=input_shape)
    except Exception as error:  # whatever the downloader of the day raises
        raise ValueError(
            f"Downloading the ImageNet weights of resnet50v2_keras_cv ({_PRESET}) failed: {error}. "
            "Fetch them on a machine with network and copy ~/.cache/kagglehub, or take "
            "--backbone=resnet50v2, whose weights are one file."
        ) from error
