"""Where the batches of each stage come from: pixels, or kept features of a frozen backbone."""

from collections.abc import Callable, Iterable, Sequence

import keras
import numpy as np
import tensorflow as tf

from foc_tf.data import frozen, pipeline
from foc_tf.data.batches import BatchSampler
from foc_tf.distribution import distribute
from foc_tf.stages import Block, Stage
from foc_tf.views import View, stage_views


class Feed:
    """The batches of a run.

    Args:
      samplers: a `data.batches.BatchSampler` for each stage.
      views: the method's views.
      loader: of `data.pipeline.make_loader`.
      image_size: side of the views in pixels.
      strategy: the tf.distribute strategy that the model was made under.
      augment_on: "host" or "device": who augments.
      frozen_views: V, augmented versions of an image that pass a frozen backbone once and are kept;
        0 passes fresh ones in every step.
      gigabytes: what kept features may take, in 2**30 bytes.
      names: [N] of the images, for messages; None calls them by their numbers.
    """

    def __init__(
        self,
        samplers: Sequence[BatchSampler],
        views: Sequence[View],
        loader: pipeline.Loader,
        image_size: int,
        strategy: tf.distribute.Strategy,
        augment_on: str = "host",
        frozen_views: int = 0,
        gigabytes: float = 2.0,
        names: Sequence[str] | np.ndarray | None = None,
    ) -> None:
        """See the class."""
        self.samplers, self.views, self.loader = samplers, views, loader
        self.image_size, self.strategy, self.augment_on = image_size, strategy, augment_on
        self.frozen_views, self.gigabytes = frozen_views, gigabytes
        self.names = names
        self._kept: dict[int, dict[str, np.ndarray]] = {}

    def _views(self, block):
        return _shown(stage_views(self.views, block.stage), block.heads)

    def _all_views(self, stage):
        """Of all blocks of the stage: a run that goes on may begin with any of them."""
        views = stage_views(self.views, stage)
        return _shown(views, stage.heads) if stage.heads else views

    def steps_per_epoch(self, block: Block) -> int:
        """Batches of an epoch of a `stages.Block`."""
        return self.samplers[block.stage_index].steps_per_epoch

    def keeps_features(self, stage: Stage) -> bool:
        """Whether the stage's images pass the backbone once, when it begins."""
        return bool(self.frozen_views) and not stage.train_backbone

    def shows_neighbors(self, block: Block) -> bool:
        """Whether a view shows neighbours, so that `set_neighbors` comes before `batches`."""
        return any(view.partner == "neighbor" for view in self._views(block))

    def pool(self, block: Block) -> np.ndarray:
        """[P] int64, the images that the block draws from."""
        return self.samplers[block.stage_index].pool

    def set_neighbors(self, block: Block, neighbors: np.ndarray) -> None:
        """Says which images of the `pool` are near: [P, n] int places in it."""
        self.samplers[block.stage_index].neighbors = neighbors

    def augment(self, block: Block) -> Callable[[dict], dict] | None:
        """Function that augments a batch where the model runs; None where the host has done it."""
        if self.augment_on == "host" or self.keeps_features(block.stage):
            return None
        views, seed = self._views(block), self.samplers[block.stage_index].seed
        return lambda batch: pipeline.augmented(batch, views, seed, self.image_size)

    def batches(self, model: keras.Model, block: Block, step: int) -> Iterable:
        """Dataset for `model.fit` from a step of the run on.

        Raises:
          ValueError: if the kept features of the stage would take more than `gigabytes`.
        """
        views, sampler = self._views(block), self.samplers[block.stage_index]
        if self.keeps_features(block.stage):
            kept = self._tables(model, block)
            images = self.pool(block)

            def make(part):
                return frozen.feature_batches(sampler, views, kept, images, step, part)
        else:

            def make(part):
                return pipeline.training_batches(
                    sampler, views, self.loader, self.image_size, step, part, self.augment_on
                )

        return distribute(self.strategy, make)

    def not_finite(self, block: Block, step: int) -> list[str]:
        """Names of the images that show a pixel that is no number in batch `step` of the run."""
        if self.keeps_features(block.stage):
            return []
        views, sampler = self._views(block), self.samplers[block.stage_index]
        made = pipeline.training_batches(sampler, views, self.loader, self.image_size, step)
        batch, rows = next(iter(made)), sampler.batch(step)
        found: list[int] = []
        for view in views:
            images = rows[view.partner][:: sampler.repetitions if view.each_draw else 1]
            bad = ~np.isfinite(batch[view.name].numpy()).all(axis=(1, 2, 3))
            found.extend(int(image) for image in images[bad])
        names = range(len(sampler.labels)) if self.names is None else self.names
        return [str(names[image]) for image in dict.fromkeys(found)]

    def _tables(self, model, block):
        if block.stage_index not in self._kept:
            views, images = self._all_views(block.stage), self.pool(block)
            width = model.backbone.output_shape[-1]
            needed = frozen.bytes_needed(views, self.frozen_views, len(images), width)
            if needed > self.gigabytes * 2**30:
                raise ValueError(
                    f"frozen_views: features of {len(images):,} images in {self.frozen_views} "
                    f"versions need {needed / 2**30:.3g} GB, the limit is {self.gigabytes:g} "
                    "(--cache_gigabytes). Give fewer, or 0 to pass fresh ones in every step."
                )
            shape = tf.TensorSpec((None, *model.backbone.input_shape[1:]), tf.float32)
            self._kept = {  # of one stage only: the others' backbones are other ones
                block.stage_index: frozen.tables(
                    tf.function(model.extract, input_signature=[shape]),
                    *(self.loader, images, views, self.image_size, self.frozen_views),
                    self.samplers[block.stage_index].seed,
                )
            }
        return self._kept[block.stage_index]

    def passes(
        self, block: Block, begins: bool, alternate_steps: int = 0, passes_per_view: float = 1.0
    ) -> int:
        """Images that pass the backbone in an epoch.

        Args:
          block: the `stages.Block`.
          begins: whether it is the first epoch of its stage.
          alternate_steps: heads take turns by so many steps; 0 if they do not.
          passes_per_view: of the model.
        """
        views, sampler = self._views(block), self.samplers[block.stage_index]
        if self.keeps_features(block.stage):
            recipes = {view.augmentation for view in self._all_views(block.stage)}
            kept = sum(frozen.versions_of(recipe, self.frozen_views) for recipe in recipes)
            return kept * len(self.pool(block)) if begins else 0
        rows = sampler.steps_per_epoch * sampler.batch_size
        total = 0.0
        for view in views:
            share = 0.5 if alternate_steps and view.partner == "other_class" else 1.0
            total += share * (rows // sampler.repetitions if view.each_draw else rows)
        return round(passes_per_view * total)


def _shown(views, heads):
    # Images of another class take part in the clusters' loss alone.
    return [view for view in views if "over" in heads or view.partner != "other_class"]
