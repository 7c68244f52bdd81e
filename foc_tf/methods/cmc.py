"""CMC of Tian et al. (2019), Contrastive Multiview Coding, arXiv 1906.05849."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from foc_tf import losses
from foc_tf.backbones.luma_chroma import of_luma_and_chroma
from foc_tf.contrastive import contrastive_loss
from foc_tf.model import SemiSupervisedModel
from foc_tf.stages import Stage
from foc_tf.views import View


class CMC(SemiSupervisedModel):
    """Contrast of an image's brightness with its colour, then a classifier on frozen features.

    Pretext, all images: the luma and the chroma of one crop are pulled together and pushed away
    from those of other images, -ln (exp(cos(l_i, c_i) / tau) / sum_j exp(cos(l_i, c_j) / tau)) and
    the same from chroma to luma (Tian et al., Eq. 2-5), half each. Then cross-entropy of labelled
    images: `heads_only` is their linear classifier on the features of luma and chroma side by side;
    `hidden_units` = 2048 makes it the MLP of table 1; `fine_tune` epochs are optional.

    Differs from Tian et al.: one backbone sees both views as images of three channels, where they
    train one network each for L and ab of the Lab colours (luma and chroma are those of YIQ), so
    that backbone and initial weights are those of all methods; an MLP projects both; the negatives
    are the other images of the batch, not 4096 to 16384 of a memory bank; the luma and the chroma
    of a batch are normalised together; crops keep their scale.

    Args:
      temperature: tau.
      projection_units: width of what the contrastive loss compares.
      **kwargs: of `SemiSupervisedModel`.

    Raises:
      ValueError: if the backbone does not see colours.
    """

    loss_names = ("luma_chroma_nce", "normal_ce")
    views = (View("anchor", "self", "crop_flip"),)
    hyperparameters = ("unlabeled_ratio", "pretext_epochs")
    images_per_view = 2
    passes_per_view = 2.0

    def __init__(
        self,
        backbone: keras.Model,
        k_gt: int,
        temperature: float = 0.07,
        projection_units: int = 128,
        **kwargs: Any,
    ) -> None:
        """See the class."""
        backbone = of_luma_and_chroma(backbone)
        super().__init__(backbone, k_gt, projection_units=projection_units, **kwargs)
        self.temperature = temperature

    @classmethod
    def schedule(cls, stages: Sequence[Stage]) -> Sequence[Stage]:
        """The projection without labels, then the classes on labelled images alone."""
        return tuple(
            dataclasses.replace(stage, labeled_only=True)
            if stage.use_labels
            else dataclasses.replace(stage, heads=("projection",))
            for stage in stages
        )

    def compute_losses(self, batch: dict[str, tf.Tensor], training: bool) -> dict[str, tf.Tensor]:
        """{"normal_ce"} in stages with labels, else {"luma_chroma_nce"}."""
        (outputs,) = self.forward(batch, ["anchor"], training)
        if self.stage.use_labels:
            self.track_largest("normal", outputs["normal_probs"])
            probs, labels = outputs["normal_probs"], batch["label"]
            rows = losses.cross_entropy(probs, labels, self.class_weights)
            return {"normal_ce": tf.reduce_mean(rows)}
        halves = tf.split(outputs["features"], 2, axis=1)
        luma, chroma = (self.projection_head(features) for features in halves)
        return {"luma_chroma_nce": contrastive_loss(luma, chroma, self.temperature, False)}
