"""Augmented images a CPU-second, 96 -> 64 pixels, beside imgaug (where installed) and keras-cv."""

import contextlib
import io
import time

import numpy as np
import tensorflow as tf

from foc_tf.augment import AUGMENTATIONS
from foc_tf.benchmarks.timing import Row, interleaved, quartiles

_IMAGES, _FROM, _TO = 256, 96, 64
_NAMES = ("affine_cutout", "iic", "center_crop", "weak", "strong")
# Three times what imgaug 0.4 did for the same recipe on one core of the authors' kind of machine.
_TARGETS = {"affine_cutout": ">= 5,600 images/s", "iic": ">= 15,000 images/s"}


def augmentation(options):
    """Images a CPU-second of the recipes; ratio to the same in another library, in CPU seconds."""
    images = _photographs(_IMAGES, _FROM)
    functions = {}
    for name in _NAMES:
        recipe = AUGMENTATIONS[name]
        compiled = tf.function(lambda seed, recipe=recipe: recipe(images, seed, _TO))
        # One trace each; TensorFlow counts those of all recipes and warns.
        compiled = compiled.get_concrete_function(tf.TensorSpec([2], tf.int32))
        functions[name] = lambda f=compiled: f(tf.constant([1, time.perf_counter_ns() % 1000]))
    peers = dict.fromkeys(imgaug_recipes(), "imgaug")
    for name, sequence in imgaug_recipes().items():
        functions[f"imgaug {name}"] = lambda s=sequence: np.stack(s(images=list(images)))
    peers["strong"] = "keras-cv"
    functions["keras-cv strong"] = keras_cv_operations(images[:, :_TO, :_TO])
    times = interleaved(functions, options.rounds)
    rows = []
    for name in _NAMES:
        wall, cpu = times[name]
        rate = quartiles(_IMAGES / cpu)
        note = f"{rate[1]:,.0f} ({rate[0]:,.0f}-{rate[2]:,.0f}) images a CPU-second"
        ratio = None
        if name in peers:
            peer = times[f"{peers[name]} {name}"][1]
            ratio = quartiles(peer / cpu)
            note += f"; {peers[name]} {np.median(_IMAGES / peer):,.0f}"
        figure = f"augmentation: {name}, {_FROM} -> {_TO} px, times {peers.get(name, 'imgaug')}"
        # imgaug has one thread, TensorFlow as many as there are cores: only CPU seconds compare.
        rows.append(Row(figure, None, ratio, float(np.median(wall)), _TARGETS.get(name, ""), note))
    return rows


def _photographs(count, side):
    """[N, side, side, 3] uint8: smooth noise, so that neither library can take short cuts."""
    coarse = tf.random.stateless_uniform((count, 12, 12, 3), [1, 2], 0, 255)
    return tf.cast(tf.image.resize(coarse, (side, side), "bicubic"), tf.uint8).numpy()


def keras_cv_operations(images):
    """Function without arguments: keras-cv's RandAugment of [N, side, side, 3] uint8 images.

    As many operations an image as our "strong" has, of middling strength; nothing of the crop, the
    flip and the square, so that keras-cv has less to do.
    """
    # keras-cv says which Keras it found, on every import.
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        from keras_cv.layers import RandAugment
    # Its layers draw from a global generator, which deterministic TensorFlow does not make.
    tf.random.set_global_generator(tf.random.Generator.from_seed(0))
    number = AUGMENTATIONS["strong"].number
    layer = RandAugment((0, 255), augmentations_per_image=number, magnitude=0.5, rate=1.0)
    floats = tf.constant(images, tf.float32)
    return tf.function(lambda: layer(floats))


def imgaug_recipes():
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
