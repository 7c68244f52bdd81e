"""The Pi-model of Laine and Aila (2017), arXiv 1610.02242."""

from typing import Any

import keras
import tensorflow as tf

from foc_tf import consistency, labeled_loss, losses, overclustering
from foc_tf.model import SemiSupervisedModel
from foc_tf.views import View


class PiModel(SemiSupervisedModel):
    """Two views of an image, both weak, should give the same class probabilities.

    L = CE(p(x1), y) over labelled rows + w(t) mean_c (p_c(x1) - sg p_c(x2))^2 over all rows (Laine
    and Aila, Algorithm 1); w rises to `lambda_u`. The two views also have dropout masks of their
    own.

    Differs from the paper: w rises linearly (as in Oliver et al., 2018), not as a Gaussian; no
    gradient runs into the second view; batches have a fixed share of labelled rows.

    Args:
      k: clusters of overclustering heads with FOC's losses on the two views; 0 for none.
      lambda_u: weight of the consistency.
      ramp_up: share of a stage's steps over which it rises from 0; 0 for none.
      **kwargs: of `SemiSupervisedModel`.

    Raises:
      ValueError: if a number is out of range.
    """

    loss_names = ("normal_ce", "normal_consistency")
    views = (View("anchor", "self", "weak"), View("positive", "self", "weak"))
    hyperparameters = (
        *("lambda_u", "ramp_up", "over_head", "k"),
        *("unlabeled_ratio", "augment_positive", "frozen_views"),
    )

    def __init__(
        self,
        backbone: keras.Model,
        k_gt: int,
        k: int = 0,
        lambda_u: float = 10.0,
        ramp_up: float = 0.4,
        **kwargs: Any,
    ) -> None:
        """See the class."""
        consistency.check_weight(lambda_u, ramp_up)
        super().__init__(backbone, k_gt, k, **kwargs)
        self.lambda_u, self.ramp_up = lambda_u, ramp_up

    def compute_losses(self, batch: dict[str, tf.Tensor], training: bool) -> dict[str, tf.Tensor]:
        """{"normal_ce", "normal_consistency"}, and FOC's with overclustering heads."""
        labels = batch["label"]
        outputs = self.forward(batch, ["anchor", "positive"], training)
        one, two = (output["normal_probs"] for output in outputs)
        self.track_largest("normal", one)
        supervised = losses.cross_entropy(one, labels, self.class_weights)
        difference = tf.reduce_mean(consistency.squared_difference(one, two))
        return {
            "normal_ce": labeled_loss.mean_over(supervised, labels >= 0),
            "normal_consistency": self.lambda_u * self.ramped(self.ramp_up) * difference,
            **overclustering.added_losses(self, outputs, labels),
        }
