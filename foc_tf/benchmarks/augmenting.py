"""Augmented images a CPU-second, 96 -> 64 px, beside imgaug (where installed) and Keras's own."""

import contextlib
import io
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from foc_tf.augment import AUGMENTATIONS
from foc_tf.benchmarks.timing import Options, Row, interleaved, quartiles
from foc_tf.keras_compat import KERAS_3

_IMAGES, _FROM, _TO = 256, 96, 64
_NAMES = ("affine_cutout", "iic", "center_crop", "weak", "strong")
# Three times what imgaug 0.4 did for the same recipe on one core of the authors' kind of machine.
_TARGETS = {"affine_cutout": ">= 5,600 images/s", "iic": ">= 15,000 images/s"}


def augmentation(options: Options) -> list[Row]:
    """Images a CPU-second of the recipes; ratio to the same in another library, in CPU seconds."""
    images = _photographs(_IMAGES, _FROM)
    functions: dict[str, Any] = {}
    for name in _NAMES:
        recipe = AUGMENTATIONS[name]
        compiled = tf.function(lambda seed, recipe=recipe: recipe(images, seed, _TO))
        # One trace each; TensorFlow counts those of all recipes and warns.
        compiled = compiled.get_concrete_function(tf.TensorSpec([2], tf.int32))
        functions[name] = lambda f=compiled: f(tf.constant([1, time.perf_counter_ns() % 1000]))
    peers = [(name, "imgaug") for name in _NAMES if name != "strong"]
    for name, sequence in imgaug_recipes().items():
        functions[f"imgaug {name}"] = lambda s=sequence: np.stack(s(images=list(images)))
    for library, make in rand_augments().items():
        peers.append(("strong", library))
        functions[f"{library} strong"] = make(images[:, :_TO, :_TO])
    times = interleaved(functions, options.rounds)
    return [_row(name, library, times) for name, library in peers]


def _row(name, library, times):
    wall, cpu = times[name]
    rate = quartiles(_IMAGES / cpu)
    note = f"{rate[1]:,.0f} ({rate[0]:,.0f}-{rate[2]:,.0f}) images a CPU-second"
    ratio = None
    if f"{library} {name}" in times:
        peer = times[f"{library} {name}"][1]
        ratio = quartiles(peer / cpu)
        note += f"; {library} {np.median(_IMAGES / peer):,.0f}"
    figure = f"augmentation: {name}, {_FROM} -> {_TO} px, times {library}"
    # imgaug has one thread, TensorFlow as many as there are cores: only CPU seconds compare.
    return Row(figure, None, ratio, float(np.median(wall)), _TARGETS.get(name, ""), note)


def _photographs(count, side):
    """[N, side, side, 3] uint8: smooth noise, so that neither library can take short cuts."""
    coarse = tf.random.stateless_uniform((count, 12, 12, 3), [1, 2], 0, 255)
    return tf.cast(tf.image.resize(coarse, (side, side), "bicubic"), tf.uint8).numpy()


def rand_augments() -> dict[str, Callable[[np.ndarray], Callable[[], tf.Tensor]]]:
    """{library: function of images} of the peers of "strong" in this generation of Keras.

    As many operations an image as "strong" has, of middling strength; nothing of the crop, the
    flip and the square, so that the peers have less to do.
    """
    core = {"Keras core": keras_core_operations} if KERAS_3 else {}
    return core | {"keras-cv": keras_cv_operations}


def keras_core_operations(images: np.ndarray) -> Callable[[], tf.Tensor]:
    """Function without arguments: Keras 3's own RandAugment of [N, side, side, 3] uint8 images."""
    number = AUGMENTATIONS["strong"].number  # type: ignore[attr-defined]
    layer = keras.layers.RandAugment((0, 255), number, factor=0.5)
    floats = tf.constant(images, tf.float32)
    return tf.function(lambda: layer(floats, training=True))


def keras_cv_operations(images: np.ndarray) -> Callable[[], tf.Tensor]:
    """Function without arguments: keras-cv's RandAugment of [N, side, side, 3] uint8 images."""
    # keras-cv says which Keras it found, on every import.
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        from keras_cv.layers import RandAugment
    # Its layers draw from a global generator, which deterministic TensorFlow does not make.
    tf.random.set_global_generator(tf.random.Generator.from_seed(0))
    number = AUGMENTATIONS["strong"].number  # type: ignore[attr-defined]
    layer = RandAugment((0, 255), augmentations_per_image=number, magnitude=0.5, rate=1.0)
    floats = tf.constant(images, tf.float32)
    return tf.function(lambda: layer(floats))


def imgaug_recipes() -> dict[str, Any]:
    """The authors' x1 and x2 in imgaug; empty where it is not installed (extra [bench])."""
    try:
        from imgaug import augmenters as iaa
    except (ImportError, AttributeError):  # it reads names that newer numpy does not have
        return {}
    crop, flip = iaa.CropToFixedSize(_TO, _TO), iaa.Fliplr(0.5)
    return {
        "affine_cutout": iaa.Sequential(
            [
                crop,
                flip,
                iaa.MultiplyHue((0.875, 1.125)),
                iaa.MultiplySaturation((0.6, 1.4)),
                iaa.MultiplyBrightness((0.6, 1.4)),
                iaa.GammaContrast((0.6, 1.4)),
                iaa.Cutout(1, size=(0.2, 0.7), fill_mode="constant", cval=0),
                iaa.Affine(rotate=(-20, 20), shear=(-10, 10), order=1),
            ]
        ),
        "iic": iaa.Sequential(
            [
                crop,
                flip,
                iaa.AddToHue((-30, 30)),
                iaa.AddToSaturation((-100, 100)),
                iaa.GammaContrast((0.6, 1.4)),
            ]
        ),
    }
