"""ResNet50V2, the backbone of the paper."""

import pathlib
from collections.abc import Sequence
from typing import Any

import keras

from foc_tf import weights_file

_FILE = "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5"


def resnet50v2(
    input_shape: tuple[int, int, int], weights: str | pathlib.Path | None = None
) -> keras.Model:
    """ResNet50V2 of keras.applications without its classifier, 23,564,800 parameters.

    After He et al. (2016), Identity Mappings in Deep Residual Networks. Pixels are rescaled to
    -1..1 (x / 127.5 - 1) inside.

    Args:
      input_shape: (H, W, C); H and W at least 32.
      weights: None or "none" (random), "imagenet" (Keras downloads it once) or a .h5 file: Keras'
        own without top, or this model's save_weights.

    Returns:
      keras.Model, float images in 0..255 [B, H, W, C] to features [B, 2048].

    Raises:
      ValueError: if an image is too small, pretrained weights meet other than 3 channels, the
        download fails, or the file is missing or does not fit.
    """
    source = weights_source(weights, words=("imagenet",))
    check_pretrained_channels(source, input_shape)
    inputs = keras.Input(input_shape, name="image")
    pixels = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="rescale")(inputs)
    # input_tensor keeps the layers flat, so Keras' own file and a file of this model both fit.
    options = {"include_top": False, "pooling": "avg", "input_shape": tuple(input_shape)}
    if source == "imagenet":
        return _pretrained(input_tensor=pixels, **options)
    model = keras.applications.ResNet50V2(weights=None, input_tensor=pixels, **options)
    if source is not None:
        load_h5(model, source)
    return model


def _pretrained(**options):
    try:
        return keras.applications.ResNet50V2(weights="imagenet", **options)
    except ValueError:
        raise  # an argument, not the network
    except Exception as error:  # Keras' downloader raises a bare Exception
        raise ValueError(
            f"Downloading the ImageNet weights of resnet50v2 failed: {error}. Fetch {_FILE} on a"
            f" machine with network and put it in ~/.keras/models/ (KERAS_HOME moves it), or give"
            f" --backbone_weights=<file>."
        ) from error


def weights_source(weights: str | pathlib.Path | None, words: Sequence[str] = ()) -> Any:
    """What a backbone's `weights` argument asks for.

    Args:
      weights: None, "none", one of `words`, or a path.
      words: what the backbone knows besides.

    Returns:
      None (random), the word, or a pathlib.Path that is a file.

    Raises:
      ValueError: if it is neither a word nor a file; names it.
    """
    if weights is None or weights == "none":
        return None
    if weights in words:
        return weights
    path = pathlib.Path(weights)
    if not path.is_file():
        known = ", ".join(("none", *words))
        raise ValueError(f"Weights must be {known} or a file; no such file: {str(weights)!r}.")
    return path


def check_pretrained_channels(
    source: str | pathlib.Path | None, input_shape: Sequence[int]
) -> None:
    """Raises ValueError if pretrained weights (`source` not None) meet other than 3 channels."""
    if source is not None and input_shape[-1] != 3:
        raise ValueError(f"Pretrained weights need 3 channels, found {input_shape[-1]} ({source}).")


def load_h5(model: keras.Model, path: pathlib.Path) -> None:
    """Loads a weights-only .h5 file into a model.

    Args:
      model: keras.Model, built.
      path: pathlib.Path.

    Raises:
      ValueError: if it is not .h5, holds more than weights or does not fit; names the file.
    """
    if path.suffix != ".h5":
        raise ValueError(f"{model.name} takes weights from .h5, found {path}.")
    weights_file.check(path)
    try:
        model.load_weights(str(path))
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"{path} does not fit {model.name}: {error}") from error
