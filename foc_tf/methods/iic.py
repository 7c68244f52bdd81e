"""Invariant Information Clustering (IIC) of Ji et al. (2019), arXiv 1807.06653."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from foc_tf import losses
from foc_tf.model import SemiSupervisedModel
from foc_tf.stages import Stage
from foc_tf.views import View


class IIC(SemiSupervisedModel):
    """Two heads that maximise mutual information without labels, then fine-tuning with labels.

    Pretext: L = - I(p(x1), p(x2)) of each head in turn, all images (Ji et al., Eq. 3); x1 is a
    plain crop, x2 a transformed one of the same image. Without stages that use labels this is the
    unsupervised clustering of their table 1, both heads. Before fine-tuning it is their
    semi-supervised overclustering: the overclustering head alone is trained. Fine-tuning: cross-
    entropy of the normal head on transformed labelled images alone.

    `hidden_units` is the width of the normal head's hidden layer: 2048 for the MLP of the dagger
    rows. The overclustering head stays linear.

    Differs from Ji et al.: heads alone first and then everything at one rate, as FOC does, where
    they train heads at 1e-3 and the trunk at 1e-4 together; the MLP reads the pooled features and
    has no batch normalisation; the best epoch is chosen on validation images, not on the test's.

    Args:
      k: outputs of the overclustering heads.
      hidden_units: width of the normal heads' hidden layer, 0 for linear heads.
      **kwargs: of `SemiSupervisedModel`.
    """

    loss_names = ("normal_ce", "normal_mi", "over_mi")
    views = (View("anchor", "self", "crop"), View("positive", "self", "iic_transformed"))
    hyperparameters = (
        *("k", "alternate_epochs", "alternate_steps"),
        *("unlabeled_ratio", "pretext_epochs", "augment_positive", "frozen_views"),
    )

    def __init__(
        self, backbone: keras.Model, k_gt: int, k: int = 70, hidden_units: int = 0, **kwargs: Any
    ) -> None:
        """See the class."""
        super().__init__(
            backbone, k_gt, k, hidden_units=hidden_units, over_hidden_units=0, **kwargs
        )

    @classmethod
    def schedule(cls, stages: Sequence[Stage]) -> Sequence[Stage]:
        """The overclustering head's pretext, if labels follow, then the normal head's labels."""
        if not any(stage.use_labels for stage in stages):
            return stages
        labelled: dict[str, Any] = {
            "heads": ("normal",),
            "views": ("positive",),
            "labeled_only": True,
        }
        return tuple(
            dataclasses.replace(stage, **(labelled if stage.use_labels else {"heads": ("over",)}))
            for stage in stages
        )

    def compute_losses(self, batch: dict[str, tf.Tensor], training: bool) -> dict[str, tf.Tensor]:
        """{"normal_ce"} in stages with labels, else "normal_mi", "over_mi" of the active heads."""
        if self.stage.use_labels:
            (outputs,) = self.forward(batch, ["positive"], training)
            self.track_largest("normal", outputs["normal_probs"])
            rows = losses.cross_entropy(outputs["normal_probs"], batch["label"], self.class_weights)
            return {"normal_ce": tf.reduce_mean(rows)}
        one, two = self.forward(batch, ["anchor", "positive"], training)
        result = {}
        for head in self.active_heads:
            probs = [outputs[f"{head}_probs"] for outputs in (one, two)]
            self.track_largest(head, probs[0])
            result[f"{head}_mi"] = -tf.reduce_mean(losses.mutual_information(*probs))
        return result
