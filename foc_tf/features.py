"""A trained network's features for scikit-learn, k-NN and other people's code."""

import pathlib
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from foc_tf import build
from foc_tf.augment import AUGMENTATIONS
from foc_tf.data import decoding


@keras.utils.register_keras_serializable("foc_tf")
class EvaluationView(keras.layers.Layer):
    """What evaluation shows the network of an image: resized, then its centre.

    [B, H, W, 3] images in 0..255 of any size to [B, image_size, image_size, channels] float32.

    Args:
      load_size: side in pixels after the resize.
      image_size: side in pixels of the centre crop.
      channels: 3, or 1 for grey.

    Raises:
      ValueError: if `channels` is another number.
    """

    def __init__(self, load_size: int, image_size: int, channels: int = 3, **kwargs: Any) -> None:
        """See the class."""
        super().__init__(**kwargs)
        if channels not in (1, 3):
            raise ValueError(f"channels: expected 1 or 3, found {channels}.")
        self.load_size, self.image_size, self.channels = load_size, image_size, channels

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Images to the network's input."""
        loaded = decoding.resize(images, self.load_size, self.channels)
        return AUGMENTATIONS["center_crop"](loaded, tf.constant([0, 0], tf.int64), self.image_size)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple:
        """[B, image_size, image_size, channels]."""
        return (input_shape[0], self.image_size, self.image_size, self.channels)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return super().get_config() | {
            "load_size": self.load_size,
            "image_size": self.image_size,
            "channels": self.channels,
        }


def feature_extractor(model: keras.Model | str | pathlib.Path) -> keras.Model:
    """A plain keras.Model from images in 0..255 to a trained network's features.

    It shares the weights of `model`; `predict`, `save("features.keras")` and further layers on its
    output work as with any Keras model.

    Args:
      model: of `build_model` or `load`, or the workdir of a run. Of a run the result takes colour
        images of any size and resizes and crops them as evaluation does; of a model that was
        built by hand, images of the size and channels that its backbone takes.

    Returns:
      keras.Model, [B, H, W, C] float or uint8 to [B, F] float32.

    Raises:
      ValueError: if `model` is neither; a SavedModel has its features in its outputs already.
    """
    if isinstance(model, (str, pathlib.Path)):
        model = build.load(model)
    if not hasattr(model, "backbone"):
        raise ValueError(
            "model: expected a model of foc_tf.build_model or foc_tf.load, or a workdir, found "
            f"{type(model).__name__}. A SavedModel's features are in its output: "
            "loaded.signatures['serving_default'](image=images)['features']."
        )
    details = getattr(model, "details", None)
    if not details:
        image = keras.Input(model.backbone.input_shape[1:], name="image")
        seen = image
    else:
        image = keras.Input((None, None, 3), name="image")
        sizes = (details["load_size"], details["image_size"], model.recipe["channels"])
        seen = EvaluationView(*sizes, name="evaluation_view", dtype="float32")(image)
    features = keras.layers.Activation("linear", dtype="float32", name="features")(
        model.served_backbone(seen, training=False)
    )
    return keras.Model(image, features, name="feature_extractor")
