"""From encoded images to pixels of one size, in many threads."""

import concurrent.futures
import os
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from foc_tf import records

_BLOCK = 256
# From [U] image indices to [U, H, W, C] uint8.
Loader = Callable[[tf.Tensor], tf.Tensor]


def decode(encoded: tf.Tensor, load_size: int, channels: int) -> tf.Tensor:
    """One encoded image to [load_size, load_size, channels] uint8, also in evaluation and export.

    Args:
      encoded: scalar string, PNG, JPEG, GIF (first frame) or BMP.
      load_size: side in pixels after a plain (not aspect-preserving) antialiased resize.
      channels: 1 or 3; grey images become three equal channels and colour becomes grey as asked.
    """
    return resize(_exact(encoded)[None], load_size, channels)[0]


def resize(images: tf.Tensor, load_size: int, channels: int) -> tf.Tensor:
    """[N, H, W, 3] uint8 or float in 0..255 to [N, load_size, load_size, channels] uint8."""
    if channels == 1:
        images = tf.image.rgb_to_grayscale(tf.cast(images, tf.float32))
    # uint8 goes in as it is: the same result as from floats without their fourfold memory.
    images = tf.image.resize(images, (load_size, load_size), antialias=True)
    return tf.cast(tf.round(tf.clip_by_value(images, 0.0, 255.0)), tf.uint8)


def _exact(encoded):
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    return tf.ensure_shape(image, (None, None, 3))


def decode_fast(encoded: tf.Tensor, load_size: int, channels: int) -> tf.Tensor:
    """As `decode`, but a JPEG far larger than `load_size` is read at 1/2, 1/4 or 1/8 of its size.

    The smaller image is still at least twice `load_size`, so its pixels differ a little from those
    of `decode`. Other images are the same.

    Args:
      encoded: as in `decode`.
      load_size: as in `decode`.
      channels: as in `decode`.
    """

    def power():
        side = tf.reduce_min(tf.io.extract_jpeg_shape(encoded)[:2])
        return tf.reduce_sum(tf.cast(side >= 2 * load_size * np.array([2, 4, 8]), tf.int32))

    is_jpeg = tf.strings.substr(encoded, 0, 2) == b"\xff\xd8"
    branches: list[Callable] = [lambda: _exact(encoded)]
    for ratio in (2, 4, 8):
        branches.append(lambda ratio=ratio: tf.io.decode_jpeg(encoded, channels=3, ratio=ratio))
    image = tf.switch_case(tf.cond(is_jpeg, power, lambda: tf.constant(0)), branches)
    image = tf.ensure_shape(image, (None, None, 3))
    return resize(image[None], load_size, channels)[0]


class Decoder:
    """Decodes images of a set by index, inside `tf.data`.

    Args:
      sources: [N] paths, members of shards (`records`) or encoded bytes.
      load_size: side of the results in pixels.
      channels: 1 or 3.
      fast_jpeg: `decode_fast` in place of `decode`.
    """

    def __init__(
        self,
        sources: Sequence[str | bytes] | np.ndarray,
        load_size: int,
        channels: int,
        fast_jpeg: bool = False,
    ) -> None:
        """See the class."""
        self.sources, self.fast_jpeg = sources, fast_jpeg
        self.shape = (load_size, load_size, channels)
        self._decode = decode_fast if fast_jpeg else decode
        self._gather, self._encoded = _reading(sources)

    def __call__(self, indices: tf.Tensor) -> tf.Tensor:
        """[U] int64 to [U, load_size, load_size, channels] uint8."""
        return tf.map_fn(
            self._one,
            self._gather(indices),
            fn_output_signature=tf.TensorSpec(self.shape, tf.uint8),
            parallel_iterations=16,
        )

    @tf.autograph.experimental.do_not_convert
    def _one(self, found):
        return self._decode(self._encoded(found), self.shape[0], self.shape[2])

    def blocks(self) -> Iterator[np.ndarray]:
        """All images in order, in arrays of at most 256.

        Raises:
          ValueError: if an image cannot be decoded; names it.
        """
        indices = tf.data.Dataset.range(len(self.sources)).batch(_BLOCK)
        images = indices.map(self._gather, num_parallel_calls=2).unbatch()
        images = images.map(self._one, num_parallel_calls=tf.data.AUTOTUNE).batch(_BLOCK)
        done = 0
        try:
            for block in images.prefetch(1).as_numpy_iterator():
                yield block
                done += len(block)
        except tf.errors.OpError:
            for start in range(done, len(self.sources), _BLOCK):
                unreadable(self.sources[start : start + _BLOCK], max_share=0)
            raise


def _reading(sources):
    """(function [U] indices -> [U] string, function of one such string -> encoded image)."""
    if isinstance(sources[0], bytes):
        # Not on a GPU, whose memory is for the model.
        with tf.device("CPU:0"):
            table = tf.constant(list(sources))
        return lambda indices: tf.gather(table, indices), tf.identity
    if any(records.ENDING + "#" in source for source in sources):
        names = np.asarray(sources, object)

        def read(indices):
            return np.asarray(records.read(names[indices]), object)

        def members(indices):
            found = tf.numpy_function(read, [indices], tf.string, stateful=False)
            return tf.ensure_shape(found, (None,))

        return members, tf.identity
    paths = [os.fsencode(source) for source in sources]
    start = os.path.commonprefix(paths)
    with tf.device("CPU:0"):
        # A string of more than 22 bytes costs a block of memory of its own.
        table = tf.constant([path[len(start) :] for path in paths])
    return lambda indices: start + tf.gather(table, indices), tf.io.read_file


def unreadable(
    sources: Sequence[str | bytes] | np.ndarray, max_share: float = 0.01
) -> tuple[np.ndarray, list[str]]:
    """Finds the images that cannot be decoded.

    Args:
      sources: sequence of paths, members of shards or encoded bytes.
      max_share: more than this share is an error of the data set.

    Returns:
      (indices [M] int64, M reasons).

    Raises:
      ValueError: if more than `max_share` of all images are unreadable.
    """
    bad, reasons = [], []
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for start in range(0, len(sources), _BLOCK):
            faults = pool.map(_fault, sources[start : start + _BLOCK])
            for index, reason in enumerate(faults, start):
                if reason is not None:
                    bad.append(index)
                    reasons.append(reason)
    if len(bad) > max_share * len(sources):
        named = [s if isinstance(s, str) else "<bytes>" for s in (sources[i] for i in bad[:3])]
        raise ValueError(
            f"{len(bad)} of {len(sources)} images cannot be read (limit {max_share:.0%}), first: "
            f"{', '.join(named)} ({reasons[0]}). Repair or remove them."
        )
    return np.asarray(bad, np.int64), reasons


def _fault(source):
    """Why an image cannot be decoded, or None."""
    try:
        if isinstance(source, str):
            member = records.place_of(source)
            source = records.read([source])[0] if member else tf.io.read_file(source)
        _exact(source)
    except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError, OSError, ValueError) as error:
        return str(getattr(error, "message", error)).strip().splitlines()[0][:200]
    return None
