"""A frozen backbone's features, computed once: its stage then trains heads on kept arrays.

A backbone that is frozen and in inference mode gives an augmented image the same features whenever
it passes. So a few augmented versions of every image pass once, when the stage begins, and every
batch takes its rows from them. A run that goes on makes the same table again.

Differs from the paper: augmentations are drawn among the kept versions, not anew in every step.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from foc_tf.augment import AUGMENTATIONS, center_crop
from foc_tf.data.batches import BatchSampler
from foc_tf.data.decoding import Loader
from foc_tf.views import View

_BLOCK = 128
# Seeds of `pipeline.augmented` have the places of views there.
_FIRST_SEED = 8


def versions_of(recipe: str, versions: int) -> int:
    """How many versions of an image are kept: one where nothing is random."""
    return 1 if AUGMENTATIONS[recipe] is center_crop else versions


def bytes_needed(views: Sequence[View], versions: int, num_images: int, width: int) -> int:
    """Bytes of the `tables` of a stage.

    Args:
      views: `views.View`s of the stage.
      versions: kept augmented versions of an image.
      num_images: N.
      width: F.
    """
    recipes = {view.augmentation for view in views}
    return 4 * num_images * width * sum(versions_of(recipe, versions) for recipe in recipes)


def tables(
    extract: Callable[[tf.Tensor], tf.Tensor],
    loader: Loader,
    images: np.ndarray,
    views: Sequence[View],
    image_size: int,
    versions: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Features of every image under every recipe of the views.

    Args:
      extract: function [b, H, W, C] float32 -> [b, F] float32, the frozen backbone.
      loader: of `pipeline.make_loader`.
      images: [N] int64 indices.
      views: `views.View`s of the stage.
      image_size: side of the views in pixels.
      versions: V, augmented versions of an image.
      seed: of their draws.

    Returns:
      {name of a recipe: [V, N, F] float32}; V is 1 where the recipe draws nothing.
    """
    result = {}
    for number, name in enumerate(sorted({view.augmentation for view in views})):
        own = seed * 16 + _FIRST_SEED + number
        kept = range(versions_of(name, versions))
        passes = [_features(extract, loader, images, name, image_size, [own, v]) for v in kept]
        result[name] = np.stack(passes)
    return result


def _features(extract, loader, images, name, image_size, seed):
    """[N, F] features of the images in one version of a recipe."""
    recipe, images = AUGMENTATIONS[name], np.asarray(images, np.int64)
    seed = np.asarray(seed, np.int64)

    def block(start, indices):
        return recipe(loader(indices), seed, image_size, tf.cast(start, tf.int32))

    starts = tf.data.Dataset.range(0, len(images), _BLOCK)
    indices = tf.data.Dataset.from_tensor_slices(images).batch(_BLOCK)
    blocks = tf.data.Dataset.zip((starts, indices)).map(block, num_parallel_calls=2).prefetch(1)
    return np.concatenate([extract(pixels).numpy() for pixels in blocks])


def feature_batches(
    sampler: BatchSampler,
    views: Sequence[View],
    kept: dict[str, np.ndarray],
    images: np.ndarray,
    start_step: int = 0,
    part: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Endless dataset of batch dicts of features, in place of `pipeline.training_batches`.

    Args:
      sampler: `batches.BatchSampler`.
      views: `views.View`s of the stage. Two views of one image under one recipe are never the same
        version of it where there are two.
      kept: of `tables`.
      images: [N] int64, those of the tables, sorted.
      start_step: t of the first batch.
      part: (index, number of parts) of a batch's rows.

    Returns:
      tf.data.Dataset of {view name: [B, F] float32, "label": [B] int32, -1 = unlabelled}; of a view
      with `each_draw` one row for each repetition of a draw.
    """
    count = sampler.batch_size // part[1]
    cut = slice(part[0] * count, (part[0] + 1) * count)
    every = [sampler.repetitions if view.each_draw else 1 for view in views]

    def draw(step):
        batch, values = sampler.batch(int(step)), []
        for place, (view, each) in enumerate(zip(views, every)):
            table = kept[view.augmentation]
            version = (sampler.versions(int(step), len(table)) + place) % len(table)
            rows = np.searchsorted(images, batch[view.partner][cut][::each])
            values.append(table[version[cut][::each], rows])
        return [*values, batch["label"][cut]]

    types = [tf.float32] * len(views) + [tf.int32]

    def build(step):
        *values, label = tf.numpy_function(draw, [step], types, stateful=False)
        result = {"label": tf.ensure_shape(label, (count,))}
        for view, each, value in zip(views, every, values):
            width = kept[view.augmentation].shape[-1]
            result[view.name] = tf.ensure_shape(value, (count // each, width))
        return result

    steps = tf.data.Dataset.range(start_step, np.iinfo(np.int64).max)
    return steps.map(build, num_parallel_calls=2, deterministic=True).prefetch(2)
