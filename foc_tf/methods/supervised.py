"""Supervised training on the labelled images only: the floor of every comparison."""

import tensorflow as tf

from foc_tf import losses
from foc_tf.model import SemiSupervisedModel
from foc_tf.views import View


class Supervised(SemiSupervisedModel):
    """Cross-entropy of the normal heads on labelled rows; unlabelled images are not used."""

    loss_names = ("normal_ce",)
    views = (View("anchor", "self", "affine_cutout"),)
    hyperparameters = ("frozen_views",)

    def compute_losses(self, batch: dict[str, tf.Tensor], training: bool) -> dict[str, tf.Tensor]:
        """{"normal_ce"}: mean over rows and sub-heads."""
        (outputs,) = self.forward(batch, ["anchor"], training)
        self.track_largest("normal", outputs["normal_probs"])
        rows = losses.cross_entropy(outputs["normal_probs"], batch["label"], self.class_weights)
        return {"normal_ce": tf.reduce_mean(rows)}
