"""MixMatch of Berthelot et al. (2019), arXiv 1905.02249."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from foc_tf import alignment, consistency, labeled_loss, losses, mixup, overclustering
from foc_tf.model import SemiSupervisedModel
from foc_tf.views import View


class MixMatch(SemiSupervisedModel):
    """Guesses from two weak views are sharpened; then all images and labels are mixed.

    q = sharpen((p(x1) + p(x2)) / 2, T) for unlabelled rows, without gradient (Eq. 6-7); every view
    of every row is mixed with a random one, labels and guesses alike (`mixup.Mix`, Eq. 8-13); on
    the mixed images L = CE(p, y) over labelled rows + w(t) mean_c (q_c - p_c)^2 over unlabelled
    rows (Eq. 2-5). Each sub-head has guesses of its own. Rows that are mixed lie interleaved in the
    batch, so batch statistics are those of both kinds.

    Labelled rows have labels, so they take no part in the second loss, as in the paper.

    Differs from the paper: labelled images are shown twice as well; w rises over a share of the
    stage; no exponential mean of the weights for evaluation; both passes (guesses, mixed images)
    move the moving statistics.

    Args:
      k: clusters of overclustering heads with FOC's losses on the two views before they are mixed;
        0 for none.
      lambda_u: weight of the squared differences.
      ramp_up: share of a stage's steps over which it rises from 0; 0 for none.
      temperature: T of the sharpening, > 0.
      mixup_alpha: of Beta(alpha, alpha), > 0.
      distribution_alignment: guesses take the labels' proportions, see `alignment`.
      **kwargs: of `SemiSupervisedModel`.

    Raises:
      ValueError: if a number is out of range, or the alignment has no `class_shares`.
    """

    loss_names = ("normal_ce", "normal_consistency")
    views = (View("anchor", "self", "weak"), View("positive", "self", "weak"))
    passes_per_view = 2.0  # for the guesses, and mixed
    hyperparameters = (
        *("lambda_u", "ramp_up", "temperature", "mixup_alpha", "distribution_alignment"),
        *("over_head", "k", "unlabeled_ratio", "augment_positive"),
    )

    def __init__(
        self,
        backbone: keras.Model,
        k_gt: int,
        k: int = 0,
        lambda_u: float = 75.0,
        ramp_up: float = 0.4,
        temperature: float = 0.5,
        mixup_alpha: float = 0.75,
        distribution_alignment: bool = False,
        class_shares: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        """See the class."""
        consistency.check_weight(lambda_u, ramp_up)
        consistency.check_range("temperature", temperature, 1e-2, 1e2)
        consistency.check_range("mixup_alpha", mixup_alpha, 1e-2, 1e2)
        super().__init__(backbone, k_gt, k, class_shares=class_shares, **kwargs)
        self.lambda_u, self.ramp_up = lambda_u, ramp_up
        self.temperature, self.mixup_alpha = temperature, mixup_alpha
        self.align = alignment.make(distribution_alignment, class_shares, k_gt, self.num_sub_heads)

    def compute_losses(self, batch: dict[str, tf.Tensor], training: bool) -> dict[str, tf.Tensor]:
        """{"normal_ce", "normal_consistency"}, and FOC's with overclustering heads."""
        labels, names = batch["label"], ["anchor", "positive"]
        outputs = self.forward(batch, names, training)
        guess = tf.add_n([output["normal_probs"] for output in outputs]) / 2.0
        self.track_largest("normal", guess)
        target = self._targets(guess, labels, training)
        mix = mixup.Mix(self.step_seed(), self.mixup_alpha, 2, tf.shape(labels)[0])
        images = dict(zip(names, mix([batch[name] for name in names])))
        mixed = self.forward(images, names, training)
        probs = tf.concat([output["normal_probs"] for output in mixed], axis=0)
        target = tf.concat(mix([target, target]), axis=0)
        both = tf.concat([labels, labels], axis=0)
        weights = 1.0 if self.class_weights is None else tf.constant(list(self.class_weights))
        supervised = losses.soft_cross_entropy(probs, weights * target)
        difference = consistency.squared_difference(probs, target)
        weight = self.lambda_u * self.ramped(self.ramp_up)
        return {
            "normal_ce": labeled_loss.mean_over(supervised, both >= 0),
            "normal_consistency": weight * labeled_loss.mean_over(difference, both < 0),
            **overclustering.added_losses(self, outputs, labels),
        }

    def _targets(self, guess, labels, training):
        """[B, S, C]: the label where there is one, else the sharpened guess; without gradient."""
        guess = consistency.sharpen(self.align(guess, training=training), self.temperature)
        label = tf.one_hot(labels, self.k_gt)[:, None, :]
        return tf.stop_gradient(tf.where((labels >= 0)[:, None, None], label, guess))
