"""From image indices to pixels: decode once per distinct image of a batch, augment per view.

Batch t is a pure function of (seed, t): a run that is stopped and started again at step t gets the
batches it would have got.
"""

import numpy as np
import tensorflow as tf

from foc_tf.augment import AUGMENTATIONS

# Decoded images up to this size are kept in memory.
MEMORY_LIMIT_BYTES = 2 * 2**30


def decode(encoded, load_size, channels):
    """One encoded image to [load_size, load_size, channels] uint8, also in evaluation and export.

    Args:
      encoded: scalar string, PNG, JPEG, GIF (first frame) or BMP.
      load_size: side in pixels after a plain (not aspect-preserving) antialiased resize.
      channels: 1 or 3; grey images become three equal channels and colour becomes grey as asked.
    """
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    image.set_shape((None, None, 3))
    return resize(image[None], load_size, channels)[0]


def resize(images, load_size, channels):
    """[N, H, W, 3] uint8 or float in 0..255 to [N, load_size, load_size, channels] uint8."""
    images = tf.cast(images, tf.float32)
    if channels == 1:
        images = tf.image.rgb_to_grayscale(images)
    images = tf.image.resize(images, (load_size, load_size), antialias=True)
    return tf.cast(tf.round(tf.clip_by_value(images, 0.0, 255.0)), tf.uint8)


def _read(source, load_size, channels):
    encoded = tf.io.read_file(source) if isinstance(source, str) else source
    return decode(encoded, load_size, channels)


def unreadable(sources, max_share=0.01):
    """Finds the images that cannot be decoded.

    Args:
      sources: sequence of paths or encoded bytes.
      max_share: more than this share is an error of the data set.

    Returns:
      (indices [M] int64, M reasons).

    Raises:
      ValueError: if more than `max_share` of all images are unreadable.
    """
    bad, reasons = [], []
    for index, source in enumerate(sources):
        try:
            _read(source, 8, 3)
        except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError, OSError) as error:
            bad.append(index)
            reasons.append(str(getattr(error, "message", error)).strip().splitlines()[0][:200])
    if len(bad) > max_share * len(sources):
        named = [s if isinstance(s, str) else "<bytes>" for s in (sources[i] for i in bad[:3])]
        raise ValueError(
            f"{len(bad)} of {len(sources)} images cannot be read (limit {max_share:.0%}), first: "
            f"{', '.join(named)} ({reasons[0]}). Repair or remove them."
        )
    return np.asarray(bad, np.int64), reasons


def make_loader(sources, load_size, channels):
    """Function from [U] image indices to [U, load_size, load_size, channels] uint8, for `tf.data`.

    Small data sets are decoded once and stay in memory; of larger ones each batch decodes the
    images it needs.
    """
    if len(sources) * load_size * load_size * channels <= MEMORY_LIMIT_BYTES:
        pixels = np.stack([_read(s, load_size, channels).numpy() for s in sources])
        table = tf.constant(pixels)
        return lambda indices: tf.gather(table, indices)
    table = tf.constant(list(sources))
    read_file = tf.io.read_file if isinstance(sources[0], str) else tf.identity
    return lambda indices: tf.map_fn(
        lambda i: decode(read_file(table[i]), load_size, channels),
        indices,
        fn_output_signature=tf.TensorSpec((load_size, load_size, channels), tf.uint8),
        parallel_iterations=16,
    )


def training_batches(sampler, views, loader, image_size, start_step=0, part=(0, 1)):
    """Endless dataset of batch dicts from `start_step` on.

    Args:
      sampler: `batches.BatchSampler`.
      views: `views.View`s to build.
      loader: of `make_loader`.
      image_size: side of the views in pixels.
      start_step: t of the first batch.
      part: (index, number of parts): only that part of a batch's rows is built, the same pixels as
        in the whole batch.

    Returns:
      tf.data.Dataset of {view name: [B, image_size, image_size, C] float32 in 0..255,
      "label": [B] int32, -1 = unlabelled}; B / parts rows of them.
    """
    keys = [view.partner for view in views]
    count = sampler.batch_size // part[1]
    first = part[0] * count

    def draw(step):
        batch = sampler.batch(int(step))
        rows = np.stack([batch[key] for key in keys])[:, first : first + count]
        distinct, inverse = np.unique(rows, return_inverse=True)
        return distinct, inverse.reshape(rows.shape), batch["label"][first : first + count]

    def build(step):
        distinct, inverse, label = tf.numpy_function(
            draw, [step], (tf.int64, tf.int64, tf.int32), stateful=False
        )
        distinct.set_shape((None,))
        inverse.set_shape((len(views), count))
        label.set_shape((count,))
        images = loader(distinct)
        result = {"label": label}
        for index, view in enumerate(views):
            seed = tf.stack([tf.constant(sampler.seed * 16 + index, tf.int64), step])
            picked = tf.gather(images, inverse[index])
            augment = AUGMENTATIONS[view.augmentation]
            result[view.name] = augment(picked, seed, image_size, first)
        return result

    steps = tf.data.Dataset.range(start_step, np.iinfo(np.int64).max)
    return steps.map(build, num_parallel_calls=2, deterministic=True).prefetch(2)


def evaluation_batches(loader, indices, image_size, batch_size=128):
    """Dataset of [<=B, image_size, image_size, C] float32 centre crops of some images, in order."""
    crop = AUGMENTATIONS["center_crop"]
    steps = tf.data.Dataset.from_tensor_slices(np.asarray(indices, np.int64)).batch(batch_size)
    return steps.map(
        lambda i: crop(loader(i), tf.constant([0, 0], tf.int64), image_size),
        num_parallel_calls=2,
        deterministic=True,
    ).prefetch(1)
