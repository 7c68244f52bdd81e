"""FixMatch of Sohn et al. (2020), arXiv 2001.07685."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from foc_tf import alignment, consistency, labeled_loss, losses, overclustering
from foc_tf.model import SemiSupervisedModel
from foc_tf.views import View


class FixMatch(SemiSupervisedModel):
    """A confident guess on a weak view is the label of a strong view of the same image.

    L = CE(p(weak), y) over labelled rows + w 1[max p(weak) >= threshold] CE(argmax p(weak),
    p(strong)), mean over all rows, confident or not (Sohn et al., Eq. 3-4). Both views pass the
    network together, in training mode; the guess is the student's, without gradient. The paper's
    mu = 7 is `unlabeled_ratio` = 0.875.

    Differs from the paper: labelled rows of the batch count as unlabelled rows too, where the
    paper's come from the unlabelled pool alone (which holds the labelled images as well); no
    exponential mean of the weights for evaluation; Adam.

    Args:
      k: clusters of overclustering heads with FOC's losses on the two views; 0 for none.
      lambda_u: weight of the pseudo-labels.
      ramp_up: share of a stage's steps over which it rises from 0; 0 (the paper's) for none.
      threshold: smallest probability of a confident guess.
      distribution_alignment: guesses take the labels' proportions, see `alignment`.
      **kwargs: of `SemiSupervisedModel`.

    Raises:
      ValueError: if a number is out of range, or the alignment has no `class_shares`.
    """

    loss_names = ("normal_ce", "normal_pseudo")
    views = (View("anchor", "self", "weak"), View("strong", "self", "strong"))
    hyperparameters = (
        *("lambda_u", "ramp_up", "threshold", "distribution_alignment", "over_head", "k"),
        *("unlabeled_ratio", "augment_strong", "frozen_views"),
    )

    def __init__(
        self,
        backbone: keras.Model,
        k_gt: int,
        k: int = 0,
        lambda_u: float = 1.0,
        ramp_up: float = 0.0,
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

    def compute_losses(self, batch: dict[str, tf.Tensor], training: bool) -> dict[str, tf.Tensor]:
        """{"normal_ce", "normal_pseudo"}, and FOC's with overclustering heads."""
        labels = batch["label"]
        outputs = self.forward(batch, ["anchor", "strong"], training)
        weak, strong = (output["normal_probs"] for output in outputs)
        self.track_largest("normal", weak)
        supervised = losses.cross_entropy(weak, labels, self.class_weights)
        pseudo, confident = consistency.confident_cross_entropy(
            strong, self.align(weak, training=training), self.threshold
        )
        self.trackers["confident_share"].update_state(confident)
        return {
            "normal_ce": labeled_loss.mean_over(supervised, labels >= 0),
            "normal_pseudo": self.lambda_u * self.ramped(self.ramp_up) * tf.reduce_mean(pseudo),
            **overclustering.added_losses(self, outputs, labels),
        }
