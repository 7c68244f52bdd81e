"""Pseudo-Label of Lee (2013), ICML workshop on challenges in representation learning."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from foc_tf import alignment, consistency, labeled_loss, losses, overclustering
from foc_tf.model import SemiSupervisedModel
from foc_tf.views import View


class PseudoLabel(SemiSupervisedModel):
    """Confident guesses are labels: the network's own class, on one weak view.

    L = CE(p(x), y) over labelled rows + w(t) 1[max p(x) >= threshold] CE(argmax p(x), p(x)), mean
    over all rows, confident or not; w rises to `lambda_u`.

    Differs from Lee (2013): only confident rows count, as in Oliver et al. (2018); labelled images
    count as unlabelled ones too; no pre-training of layers.

    Args:
      k: clusters of overclustering heads with FOC's losses, which then have a second weak view; 0
        for none.
      lambda_u: weight of the pseudo-labels.
      ramp_up: share of a stage's steps over which it rises from 0; 0 for none.
      threshold: smallest probability of a confident guess.
      distribution_alignment: guesses take the labels' proportions, see `alignment`.
      **kwargs: of `SemiSupervisedModel`.

    Raises:
      ValueError: if a number is out of range, or the alignment has no `class_shares`.
    """

    loss_names = ("normal_ce", "normal_pseudo")
    hyperparameters = (
        *("lambda_u", "ramp_up", "threshold", "distribution_alignment", "over_head", "k"),
        *("unlabeled_ratio", "augment_positive", "frozen_views"),
    )

    def __init__(
        self,
        backbone: keras.Model,
        k_gt: int,
        k: int = 0,
        lambda_u: float = 1.0,
        ramp_up: float = 0.4,
        threshold: float = 0.95,
        distribution_alignment: bool = False,
        class_shares: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        """See the class."""
        consistency.check_weight(lambda_u, ramp_up)
        consistency.check_range("threshold", threshold, 0, 1)
        super().__init__(backbone, k_gt, k, class_shares=class_shares, **kwargs)
        self.lambda_u, self.ramp_up, self.threshold = lambda_u, ramp_up, threshold
        self.align = alignment.make(distribution_alignment, class_shares, k_gt, self.num_sub_heads)
        self.trackers["confident_share"] = keras.metrics.Mean(name="confident_share")

    @property
    def views(self) -> tuple[View, ...]:  # type: ignore[override]
        """The weak view; for clusters a second one."""
        views = (View("anchor", "self", "weak"), View("positive", "self", "weak"))
        return views if self.over_head is not None else views[:1]

    def compute_losses(self, batch: dict[str, tf.Tensor], training: bool) -> dict[str, tf.Tensor]:
        """{"normal_ce", "normal_pseudo"}, and FOC's with overclustering heads."""
        labels = batch["label"]
        outputs = self.forward(batch, [view.name for view in self.views], training)
        probs = outputs[0]["normal_probs"]
        self.track_largest("normal", probs)
        supervised = losses.cross_entropy(probs, labels, self.class_weights)
        pseudo, confident = consistency.confident_cross_entropy(
            probs, self.align(probs, training=training), self.threshold
        )
        self.trackers["confident_share"].update_state(confident)
        return {
            "normal_ce": labeled_loss.mean_over(supervised, labels >= 0),
            "normal_pseudo": self.lambda_u * self.ramped(self.ramp_up) * tf.reduce_mean(pseudo),
            **overclustering.added_losses(self, outputs, labels),
        }
