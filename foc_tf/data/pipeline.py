"""From image indices to pixels: decode once per distinct image of a batch, augment per view.

Batch t is a pure function of (seed, t): a run that is stopped and started again at step t gets the
batches it would have got.
"""

import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from foc_tf.augment import AUGMENTATIONS
from foc_tf.data import caching, decoding
from foc_tf.data.batches import BatchSampler
from foc_tf.data.decoding import Loader
from foc_tf.views import View


def make_loader(
    sources: Sequence[str | bytes] | np.ndarray,
    load_size: int,
    channels: int,
    cache: str = "auto",
    cache_gigabytes: float = 2.0,
    cache_dir: str | pathlib.Path | None = None,
    fast_jpeg: bool = False,
    log: Callable[[str], object] | None = None,
) -> Loader:
    """Function from [U] image indices to [U, load_size, load_size, channels] uint8, for `tf.data`.

    Args:
      sources: [N] paths, members of shards or encoded bytes.
      load_size: side in pixels to which all images are resized.
      channels: 1 or 3.
      cache: "memory" or "disk" decode every image once, "none" when a batch needs it; "auto" takes
        the first that has room. All give the same pixels.
      cache_gigabytes: decoded images that memory may hold, in 2**30 bytes.
      cache_dir: folder of the decoded images on disk, or None.
      fast_jpeg: reads large JPEGs at reduced size (`decoding.decode_fast`).
      log: function of a line of text that is told what takes long, or None.

    Raises:
      ValueError: if `cache` is unknown or asks for what there is no room for, or an image cannot
        be decoded.
    """
    decoder = decoding.Decoder(sources, load_size, channels, fast_jpeg)
    path, free = None, 0
    small = caching.bytes_needed(decoder) <= cache_gigabytes * 2**30
    # A million files take a while to be asked for their times.
    if cache_dir is not None and (cache == "disk" or (cache == "auto" and not small)):
        path = pathlib.Path(cache_dir) / caching.file_name(decoder)
        free = caching.free_bytes(cache_dir)
    kind = caching.choose(cache, decoder, cache_gigabytes, path, free)
    if kind == "memory":
        return caching.memory(decoder, log)
    return caching.disk(decoder, path, log) if kind == "disk" and path else decoder


def training_batches(
    sampler: BatchSampler,
    views: Sequence[View],
    loader: Loader,
    image_size: int,
    start_step: int = 0,
    part: tuple[int, int] = (0, 1),
    augment_on: str = "host",
) -> tf.data.Dataset:
    """Endless dataset of batch dicts from `start_step` on.

    Args:
      sampler: `batches.BatchSampler`.
      views: `views.View`s to build.
      loader: of `make_loader`.
      image_size: side of the views in pixels.
      start_step: t of the first batch.
      part: (index, number of parts): only that part of a batch's rows is built, the same pixels as
        in the whole batch.
      augment_on: "host", or "device": images come as they are loaded, for `augmented` to work on
        where the model runs.

    Returns:
      tf.data.Dataset of {view name: [B, image_size, image_size, C] float32 in 0..255,
      "label": [B] int32, -1 = unlabelled}; B / parts rows of them, and of a view with `each_draw`
      one image for each repetition of a draw. With "device" {view name: [B, L, L, C] uint8,
      "label", "row": [B] int64 place in the global batch, "step": [B] int64}.

    Raises:
      ValueError: if a view has one image a draw and a replica's rows do not hold whole draws.
    """
    count = sampler.batch_size // part[1]
    first = part[0] * count
    _check_whole_draws(sampler, views)
    every = [sampler.repetitions if view.each_draw else 1 for view in views]
    sizes = [count // step for step in every]

    def draw(step):
        batch = sampler.batch(int(step))
        cut = slice(first, first + count)
        rows = [batch[view.partner][cut][::each] for view, each in zip(views, every)]
        distinct, inverse = np.unique(np.concatenate(rows), return_inverse=True)
        return distinct, inverse, batch["label"][cut]

    def build(step):
        distinct, inverse, label = tf.numpy_function(
            draw, [step], (tf.int64, tf.int64, tf.int32), stateful=False
        )
        distinct.set_shape((None,))
        images = loader(distinct)
        result = {
            "label": tf.ensure_shape(label, (count,)),
            "row": tf.range(first, first + count, dtype=tf.int64),
            "step": tf.fill([count], step),
        }
        for view, places in zip(views, tf.split(tf.ensure_shape(inverse, (sum(sizes),)), sizes)):
            result[view.name] = tf.gather(images, places)
        if augment_on == "device":
            return result
        return augmented(result, views, sampler.seed, image_size)

    steps = tf.data.Dataset.range(start_step, np.iinfo(np.int64).max)
    return steps.map(build, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(2)


def augmented(
    batch: dict[str, tf.Tensor], views: Sequence[View], seed: int, image_size: int
) -> dict[str, tf.Tensor]:
    """The views of a batch as it was loaded, the same wherever and in whatever parts it is done.

    Args:
      batch: {view name: [b, L, L, C] uint8, "label", "row", "step"}, b consecutive rows of it.
      views: `views.View`s, as for `training_batches`.
      seed: of the sampler.
      image_size: side of the views in pixels.

    Returns:
      {view name: [b, image_size, image_size, C] float32 in 0..255, "label": [b] int32}.
    """
    step, first = batch["step"][0], tf.cast(batch["row"][0], tf.int32)
    rows = batch["label"].shape[0]
    result = {"label": batch["label"]}
    for index, view in enumerate(views):
        images = batch[view.name]
        count = images.shape[0]
        own_seed = tf.stack([tf.constant(seed * 16 + index, tf.int64), step])
        recipe = AUGMENTATIONS[view.augmentation]
        made = recipe(images, own_seed, image_size, first * count // rows)
        result[view.name] = tf.ensure_shape(made, [count, None, None, None])
    return result


def _check_whole_draws(sampler, views):
    rows, each = sampler.batch_size // sampler.replicas, sampler.repetitions
    if rows % each and any(view.each_draw for view in views):
        raise ValueError(
            f"batch_size: {sampler.batch_size} rows on {sampler.replicas} replicas are {rows} "
            f"each, no multiple of repetitions ({each}), which share an image of another class. "
            f"Give a multiple of {each * sampler.replicas}."
        )


def evaluation_batches(
    loader: Loader,
    indices: Sequence[int] | np.ndarray,
    image_size: int,
    batch_size: int = 128,
) -> tf.data.Dataset:
    """Dataset of [<=B, image_size, image_size, C] float32 centre crops of some images, in order."""
    crop = AUGMENTATIONS["center_crop"]
    steps = tf.data.Dataset.from_tensor_slices(np.asarray(indices, np.int64)).batch(batch_size)

    def build(indices):
        return crop(loader(indices), tf.constant([0, 0], tf.int64), image_size)

    return steps.map(build, num_parallel_calls=2, deterministic=True).prefetch(1)
