"""The tf.Module that becomes the SavedModel: images or encoded bytes of any size -> outputs."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from foc_tf import keras_compat
from foc_tf.augment import AUGMENTATIONS
from foc_tf.data import decoding
from foc_tf.serving import image_header

if TYPE_CHECKING:
    from foc_tf.model import SemiSupervisedModel

# As in foc_tf.evaluate: more images than this pass the network one part after the other, so that
# memory is bounded whatever a request holds.
ROWS_AT_ONCE = 128
DECODED_AT_ONCE = 4
MAX_PIXELS = 100_000_000  # what foc_tf.prepare takes by default
_GOOD, _NO_IMAGE, _TOO_LARGE = 0, 1, 2


class Served(tf.Module):
    """The served program: images or encoded bytes of any size -> classes, clusters and features.

    Args:
      model: a `model.SemiSupervisedModel`.
      best: {"normal": sub-head, "over": sub-head}.
      cluster_classes: [K] int class of each cluster, -1 = none.
      load_size: side in pixels after the resize.
      image_size: side in pixels of the centre crop.
      channels: 1 or 3.
      all_heads: the outputs of all sub-heads too: `all_class_probs` [N, S, C] and
        `all_cluster_probs` [N, S, K].
    """

    def __init__(
        self,
        model: "SemiSupervisedModel",
        best: dict[str, int],
        cluster_classes: np.ndarray,
        load_size: int,
        image_size: int,
        channels: int,
        all_heads: bool = False,
    ) -> None:
        """See the class."""
        super().__init__()
        # Keras 3 (3.15) stores the variables that are found through a model as copies; TensorFlow
        # Lite, the C API and sessions then look for the originals in vain.
        self.weights = keras_compat.tensorflow_variables(model)
        self._network = functools.partial(model, training=False)  # type: ignore[misc]
        self.best, self.all_heads = dict(best), all_heads
        self.cluster_classes = np.asarray(cluster_classes, np.int32)
        self.load_size, self.image_size, self.channels = load_size, image_size, channels

    def predict_loaded(self, loaded: tf.Tensor) -> dict[str, tf.Tensor]:
        """[N, load_size, load_size, channels] uint8 to the outputs, in one pass."""
        images = AUGMENTATIONS["center_crop"](
            loaded, tf.constant([0, 0], tf.int64), self.image_size
        )
        outputs = self._network(images)
        result = {
            "class_probs": outputs["normal_probs"][:, self.best["normal"]],
            "features": outputs["features"],
        }
        if "over" in self.best:
            over = outputs["over_probs"][:, self.best["over"]]
            cluster = tf.argmax(over, axis=1, output_type=tf.int32)
            result |= {
                "cluster": cluster,
                "cluster_probs": over,
                "cluster_class": tf.gather(self.cluster_classes, cluster),
            }
        if self.all_heads:
            names = {"normal_probs": "all_class_probs", "over_probs": "all_cluster_probs"}
            result |= {names[key]: outputs[key] for key in names if key in outputs}
        return result

    def predict_pixels(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        """[N, H, W, 3] float in 0..255 to the outputs, in one pass and unchecked."""
        return self.predict_loaded(decoding.resize(image, self.load_size, self.channels))

    def from_pixels(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        """`serving_default`: [N, H, W, 3] float in 0..255."""
        with tf.control_dependencies(_checks(image)):
            image = tf.identity(image)
        return in_parts(self.predict_pixels, image)

    def from_bytes(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """`image_bytes`: [N] string, PNG / JPEG / GIF / BMP."""
        return in_parts(self.predict_loaded, decoded(image_bytes, self.load_size, self.channels))


def _no_row(bad, message):
    """Fails with INVALID_ARGUMENT and the numbers of the bad rows.

    Args:
      bad: [N] bool.
      message: what is wrong with them.
    """
    rows = tf.where(bad)[:, 0]
    return tf.debugging.Assert(tf.equal(tf.size(rows), 0), [f"{message}; row, from 0:", rows], 10)


def _checks(image):
    # The signature's shape is a promise that a server need not hold callers to.
    shape = tf.shape(tf.compat.v1.placeholder_with_default(image, None), tf.int64)
    right = tf.debugging.Assert(
        tf.equal(tf.size(shape), 4) & tf.equal(shape[-1], 3),
        ["image: expected the shape [N, height, width, 3], found", shape],
    )
    with tf.control_dependencies([right]):
        image, pixels = tf.identity(image), tf.reduce_prod(shape[1:3])
    size = tf.debugging.Assert(
        (pixels <= MAX_PIXELS) & (pixels > 0),
        [
            f"image: expected 1 to {MAX_PIXELS:,} pixels an image, found height and width",
            shape[1:3],
        ],
    )
    finite = tf.reduce_all(tf.math.is_finite(image), axis=(1, 2, 3))
    return [size, _no_row(~finite, "image: a value is not a finite number")]


def decoded(image_bytes: tf.Tensor, load_size: int, channels: int) -> tf.Tensor:
    """Encoded images as evaluation reads them.

    tf.data is the one place in TensorFlow where an operation may fail and the others go on: what
    the decoder refuses is left out, and the rows that are missing at the end can be named.

    Args:
      image_bytes: [N] string.
      load_size: side in pixels.
      channels: 1 or 3.

    Returns:
      [N, load_size, load_size, channels] uint8; INVALID_ARGUMENT that names the rows if an image
      is damaged or has more than `MAX_PIXELS`.
    """
    shape = (load_size, load_size, channels)

    @tf.autograph.experimental.do_not_convert
    def read(row, encoded):
        count = image_header.pixels(encoded)
        problem = tf.where(count > MAX_PIXELS, _TOO_LARGE, tf.where(count < 1, _NO_IMAGE, _GOOD))
        loaded = tf.cond(
            tf.equal(problem, _GOOD),
            lambda: tf.ensure_shape(decoding.decode(encoded, load_size, channels), shape),
            lambda: tf.zeros(shape, tf.uint8),
        )
        return row, loaded, problem

    count = tf.size(image_bytes)
    # A batch is never empty, nor are all its rows bad.
    spare = tf.io.encode_png(tf.zeros((1, 1, 3), tf.uint8))
    encoded = tf.concat([image_bytes, [spare]], axis=0)
    images = tf.data.Dataset.from_tensor_slices((tf.range(count + 1), encoded))
    images = images.map(read, num_parallel_calls=DECODED_AT_ONCE, deterministic=True)
    images = images.ignore_errors().batch(tf.cast(count + 1, tf.int64))
    rows, loaded, problems = images.with_options(_options()).get_single_element()
    with tf.control_dependencies(_image_checks(count, rows, problems)):
        return tf.identity(loaded[:-1])


def _image_checks(count, rows, problems):
    good = tf.scatter_nd(rows[:, None], tf.cast(problems != _NO_IMAGE, tf.int32), [count + 1])
    large = tf.scatter_nd(rows[:, None], tf.cast(problems == _TOO_LARGE, tf.int32), [count + 1])
    return [
        _no_row(
            tf.equal(good, 0), "image_bytes: not a PNG, JPEG, GIF or BMP image, or a damaged one"
        ),
        _no_row(large > 0, f"image_bytes: more than {MAX_PIXELS:,} pixels, frames counted"),
    ]


def _options():
    # A request's pipeline lives for milliseconds: rewriting it and tuning it cost more than that.
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    options.autotune.enabled = False
    return options


def in_parts(
    function: Callable[[tf.Tensor], dict[str, tf.Tensor]], rows: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Applies a function to at most `ROWS_AT_ONCE` rows at a time.

    Args:
      function: [n, ...] tensor to a dict of [n, ...] tensors, row by row.
      rows: [N, ...] tensor.

    Returns:
      Dict of [N, ...] tensors.
    """
    count = tf.shape(rows)[0]
    size = tf.clip_by_value(count, 1, ROWS_AT_ONCE)
    parts = tf.maximum((count + size - 1) // size, 1)
    # One row in place of none: some kernels refuse empty tensors.
    filling = tf.zeros(tf.concat([[parts * size - count], tf.shape(rows)[1:]], 0), rows.dtype)
    filled = tf.concat([rows, filling], axis=0)
    filled.set_shape((None, *rows.shape[1:]))
    split = tf.reshape(filled, tf.concat([[parts, size], tf.shape(rows)[1:]], 0))
    split.set_shape((None, None, *rows.shape[1:]))
    specs = (
        tf.function(function)
        .get_concrete_function(tf.TensorSpec((None, *rows.shape[1:]), rows.dtype))
        .structured_outputs
    )
    specs = {key: tf.TensorSpec(value.shape, value.dtype) for key, value in specs.items()}
    outputs = tf.map_fn(function, split, fn_output_signature=specs, parallel_iterations=1)
    return {
        key: tf.reshape(value, tf.concat([[parts * size], tf.shape(value)[2:]], 0))[:count]
        for key, value in outputs.items()
    }
