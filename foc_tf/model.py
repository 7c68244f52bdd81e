"""The one Keras model and the one train step that all methods share.

A method subclasses `SemiSupervisedModel` and says four things: `views` (what the data must show),
`loss_names` (what is tracked), `hyperparameters` (which arguments it has) and `compute_losses`.
"""

import itertools
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from foc_tf import keras_compat, labeled_loss
from foc_tf.distribution import num_replicas
from foc_tf.dropout import check_rate, dropout
from foc_tf.heads import MultiHead, projection_head
from foc_tf.passes import check_statistics, features_of, of_each_view, zero_of
from foc_tf.stages import Stage
from foc_tf.views import View


class SemiSupervisedModel(keras.Model):
    """Backbone and heads on images in 0..255: a dict of outputs, trained by a method's losses.

    `model(images)` maps [B, H, W, C] images to {"normal_probs": [B, S, k_gt], "over_probs":
    [B, S, k] (with an overclustering head), "features": [B, F]}, all float32. `fit` takes batches
    of one [B, H, W, C] tensor per view and "label": [B] int32, -1 = unlabelled.

    Args:
      backbone: keras.Model [B, H, W, C] -> [B, F].
      k_gt: number of classes.
      k: number of clusters of the overclustering heads; 0 for a method without them.
      num_sub_heads: S, copies of each head.
      hidden_units: width of the heads' hidden layer, 0 for linear heads.
      over_hidden_units: of the overclustering heads; None for the same.
      dropout: share of the features set to 0 before the heads, below 1; one mask for all heads.
      seed: of the heads' initial weights and of the dropout masks.
      batch_statistics: "shared": the views of a batch pass the backbone together; "per_view": one
        by one, each normalised by its own mean and variance.
      class_weights: "none" or "inverse": weights of the classes in the cross-entropy with labels,
        see `labeled_loss.class_weights`.
      class_shares: [C] share of each class among the labelled images; None if not known.
      projection_units: width of the output of a projection head, which only contrastive losses
        see; 0 for none.

    Raises:
      ValueError: if `batch_statistics` or `class_weights` is another word or lacks shares, or
        `dropout` is out of range.
    """

    views: tuple[View, ...] = ()
    loss_names: tuple[str, ...] = ()
    hyperparameters: tuple[str, ...] = ()
    images_per_view = 1  # images that the backbone sees of each; their features side by side
    passes_per_view = 1.0  # how often a view's rows pass a backbone in a step
    ramp_up = 0.0  # share of a stage's steps in which the weight of a loss rises

    def __init__(
        self,
        backbone: keras.Model,
        k_gt: int,
        k: int = 0,
        num_sub_heads: int = 5,
        hidden_units: int = 0,
        over_hidden_units: int | None = None,
        dropout: float = 0.5,
        seed: int = 0,
        batch_statistics: str = "shared",
        class_weights: str = "none",
        class_shares: Sequence[float] | None = None,
        projection_units: int = 0,
        name: str | None = None,
    ) -> None:
        """See the class."""
        check_statistics(batch_statistics)
        check_rate(dropout)
        super().__init__(name=name)
        self.class_weights = labeled_loss.class_weights(class_weights, class_shares, k_gt)
        self.recipe: dict | None = None  # build.build_model's arguments, where it made the model
        self.backbone, self.k_gt, self.k, self.num_sub_heads = backbone, k_gt, k, num_sub_heads
        self.dropout, self.seed, self.batch_statistics = dropout, seed, batch_statistics
        self.normal_head = MultiHead(k_gt, num_sub_heads, hidden_units, seed, name="normal_head")
        self.over_head = None
        if k:
            units = hidden_units if over_hidden_units is None else over_hidden_units
            self.over_head = MultiHead(k, num_sub_heads, units, seed + 1000, name="over_head")
        self.projection_head: keras.Model = None
        if projection_units:
            width = backbone.output_shape[-1] // self.images_per_view
            self.projection_head = projection_head(width, projection_units, seed + 2000)
        if num_replicas() > 1:
            keras_compat.synchronize_batch_norm(backbone)
        self._train_functions: dict[tuple, Callable] = {}
        self._stage_index, self._turn_steps, self._stage_steps = 0, 0, 0
        self._augment: Callable[[dict], dict] | None = None
        self.stage, self.active_heads = Stage("fine_tune", 1, 1e-4), self.head_names
        of_clusters = ("over_mi", "over_ice") if k else ()
        tracked = dict.fromkeys(("loss", *self.loss_names, *of_clusters))
        self.trackers = {name: keras.metrics.Mean(name=name) for name in tracked}
        self.largest = {h: keras.metrics.Mean(name=f"{h}_largest") for h in self.head_names}
        # All variables exist from here on. After a call of the model itself Keras 3 takes no more.
        SemiSupervisedModel.call(self, tf.zeros((1, *backbone.input_shape[1:])))
        self.built = True

    def get_config(self) -> dict:
        """The recipe that `build.build_model` takes; None for a backbone of the caller's own."""
        return {"recipe": self.recipe}

    @property
    def served_backbone(self) -> keras.Model:
        """The backbone whose features `call` gives in inference."""
        return self.backbone

    @property
    def head_names(self) -> tuple[str, ...]:
        """("normal",) or ("normal", "over")."""
        return ("normal",) if self.over_head is None else ("normal", "over")

    @property
    def metrics(self) -> list:
        """What `fit` resets at the start of an epoch: a mean of every loss and cluster share."""
        return [*self.trackers.values(), *self.largest.values()]

    def compute_losses(self, batch: dict[str, tf.Tensor], training: bool) -> dict[str, tf.Tensor]:
        """The method's losses of one batch: {name of `loss_names`: scalar}, already weighted."""
        raise NotImplementedError(f"{type(self).__name__} has no compute_losses.")

    @classmethod
    def schedule(cls, stages: Sequence[Stage]) -> Sequence[Stage]:
        """The method's own form of the stages that the flags ask for; here as they are."""
        return stages

    def after_step(self) -> None:
        """What a method does at the end of every training step, on each replica; here nothing."""

    def set_stage(
        self,
        stage: Stage,
        heads: Sequence[str] | None = None,
        index: int = 0,
        turn_steps: int = 0,
        steps: int = 0,
        augment: Callable[[dict], dict] | None = None,
    ) -> None:
        """Says what is trained from now on.

        Keras bakes Python values into the compiled step, so every (stage, heads) has a step of its
        own, built on first use and kept.

        Args:
          stage: `stages.Stage`.
          heads: names of the heads to train; None for all.
          index: position of the stage in the run; part of the dropout seed.
          turn_steps: the heads are trained in turn, so many steps each, the last kind first; 0
            trains them together.
          steps: of the whole stage, for weights that ramp up; 0 if not known.
          augment: function of a batch as it was loaded that gives its views; None if they come
            augmented.
        """
        self.stage, self._stage_index, self._turn_steps = stage, index, turn_steps
        self._stage_steps, self._augment = steps, augment
        self.active_heads = tuple(heads or self.head_names)

    def _stage_key(self):
        shown = (self.stage.train_backbone, self.stage.use_labels, self._augment is None)
        return (self._stage_index, self._stage_steps, self.active_heads, *shown)

    def make_train_function(self, force: bool = False) -> Callable:
        """What `fit` calls for every step: Keras's own, or one for each kind of head in turn."""
        heads = self.active_heads
        if not self._turn_steps or len(heads) < 2:
            self.train_function = self._compiled_step(force)
            return self.train_function
        # The optimizer counts the stage's steps, also over a stop.
        done = itertools.count(int(self._step()))

        def in_turn(iterator):
            turn = next(done) // self._turn_steps
            self.active_heads = (heads[::-1][turn % len(heads)],)
            try:  # the first call of each traces it, with its heads active
                return self._compiled_step(False)(iterator)
            finally:
                self.active_heads = heads

        self.train_function = in_turn
        return in_turn

    def _compiled_step(self, force):
        key = self._stage_key()
        if force or key not in self._train_functions:
            called = getattr(self, "train_function", None)
            super().make_train_function(force=True)
            self._train_functions[key], self.train_function = self.train_function, called
        return self._train_functions[key]

    def compile(
        self, optimizer: str | keras.optimizers.Optimizer = "adam", **kwargs: object
    ) -> None:
        """`keras.Model.compile` without a loss: the method has its own."""
        super().compile(optimizer=optimizer, **kwargs)
        self._train_functions = {}
        self.optimizer.build(self.trainable_variables)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """All is built; Keras 3 would reduce a batch, which several workers cannot of a dict."""

    def extract(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[B, H, W, C] images to [B, F] float32 features."""
        live = bool(training) and self.stage.train_backbone
        return tf.cast(self.backbone(images, training=live), tf.float32)

    def classify(self, features: tf.Tensor) -> dict[str, tf.Tensor]:
        """[B, F] features to the dict of outputs."""
        outputs = {"normal_probs": self.normal_head(features)}
        if self.over_head is not None:
            outputs["over_probs"] = self.over_head(features)
        return outputs | {"features": features}

    def call(self, inputs: tf.Tensor, training: bool = False) -> dict[str, tf.Tensor]:
        """[B, H, W, C] images in 0..255 to the dict of outputs; no dropout (see `forward`)."""
        return self.classify(self.extract(inputs, training))

    def forward(self, batch: dict[str, tf.Tensor], names: list[str], training: bool) -> list[dict]:
        """Outputs of several views of a batch.

        Args:
          batch: dict with the views, [B, H, W, C] images or, of a frozen backbone, [B, F] features;
            one that the method shows for each draw only has B / repetitions rows.
          names: names of V views.
          training: dropout and batch statistics.

        Returns:
          List of V dicts of outputs of B rows.
        """
        views = [tf.convert_to_tensor(batch[name]) for name in names]
        separately = self.batch_statistics == "per_view"
        features = features_of(views, lambda images: self.extract(images, training), separately)
        if training:
            features = dropout(features, self.dropout, len(names), self.step_seed())
        return of_each_view(self.classify(features), len(names))

    def step_seed(self) -> tf.Tensor:
        """[2] int32 seed of this step's random numbers, of the run's seed, stage and step."""
        return tf.stack([self.seed + 7919 * self._stage_index, tf.cast(self._step(), tf.int32)])

    def ramped(self, share: float) -> tf.Tensor | float:
        """Factor that rises linearly from 0 to 1 over the first `share` of the stage's steps.

        Without a share, or where `set_stage` was not told the number of steps, it is 1.
        """
        steps = share * self._stage_steps
        return tf.minimum(1.0, tf.cast(self._step(), tf.float32) / steps) if steps else 1.0

    def _step(self):
        return tf.convert_to_tensor(getattr(getattr(self, "optimizer", None), "iterations", 0))

    def stage_variables(self) -> list:
        """Variables that the current stage trains."""
        heads = [getattr(self, f"{head}_head") for head in self.active_heads]
        parts = [self.backbone, *heads] if self.stage.train_backbone else heads
        return [variable for part in parts for variable in part.trainable_variables]

    def train_step(self, data: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One optimisation step on a batch dict."""
        if self._augment:
            data = self._augment(data)
        # Inactive variables stay out of the gradient list: Adam moves them even at a zero gradient.
        variables = self.stage_variables()
        with tf.GradientTape() as tape:
            losses = self.compute_losses(data, training=True)
            total = tf.add_n([*losses.values(), zero_of(data)])
            # Gradients are summed over the replicas, each of which holds the whole loss's mean.
            share = total / num_replicas()
        keras_compat.minimize(self.optimizer, tape, share, variables)
        self.after_step()
        return keras_compat.step_logs(self._means(losses, total))

    def test_step(self, data: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The same losses without training, for `evaluate`."""
        losses = self.compute_losses(data, training=False)
        return self._means(losses, tf.add_n(list(losses.values())))

    def track_largest(self, head: str, probs: tf.Tensor) -> None:
        """Tracks the share of a batch in its largest cluster, of the sub-head that spreads best."""
        hard = tf.one_hot(tf.argmax(probs, axis=-1), probs.shape[-1])
        shares = tf.reduce_max(tf.reduce_mean(hard, axis=0), axis=-1)
        self.largest[head].update_state(tf.reduce_min(shares))

    def epoch_results(self) -> dict[str, float]:
        """{name: float} of every loss and share that was tracked since the start of the epoch."""
        seen = [m for m in self.metrics if tf.convert_to_tensor(m.count) > 0]
        return {m.name: float(m.result()) for m in seen}

    def _means(self, losses, total):
        """Means since the start of the epoch, with these losses and their sum."""
        for name, value in (losses | {"loss": total}).items():
            self.trackers[name].update_state(value)
        results = {name: self.trackers[name].result() for name in ("loss", *losses)}
        tracked = [head for head in self.active_heads if head in self.largest]
        return results | {f"{head}_largest": self.largest[head].result() for head in tracked}
