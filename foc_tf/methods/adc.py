"""ADC of Haeusser et al. (2018), Associative Deep Clustering (GCPR 2018)."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from foc_tf.clustering import association_losses
from foc_tf.distribution import global_rows
from foc_tf.model import SemiSupervisedModel
from foc_tf.stages import Stage
from foc_tf.views import View


class ADC(SemiSupervisedModel):
    """Clusters whose centroids images are associated with, in round trips; no label is used.

    Embeddings z, of an image and z' of its transformed copy, and a centroid mu_k for each class:
      centroids: round trips mu -> z -> mu end where they began (walker) and visit every image
      alike (visit, times `visit_weight`);
      transformation: the same of round trips z' -> z -> z';
      logits: half the cross-entropy of the classifier's output for mu_k with k.
    All means are over the global batch. The pretext has only the last two, as their warm-up has.

    The normal head's kernel is the centroids: its logits mu_k . z + b_k are the similarities of the
    walk, so its probabilities are those of the step from an image to the centroids. (A bias is one
    number for all images: it leaves the step from a centroid to the images as it was.)

    Differs from Haeusser et al.: their classifier is a layer of its own beside the centroids, and a
    class has 4 of these, as good as equal; z is the backbone's pooled features, not 128 outputs of
    a layer more; an image has one transformed copy, not 3; the transformation's similarities are
    9 times the cosine, what their penalty on the embeddings' length, 3, aims at; the warm-up is a
    stage, not a ramp, without k-means after it.

    Args:
      visit_weight: weight of the visit loss of the centroids.
      **kwargs: of `SemiSupervisedModel`.
    """

    loss_names = (
        *("centroid_walker", "centroid_visit"),
        *("transform_walker", "transform_visit", "centroid_ce"),
    )
    views = (View("anchor", "self", "crop"), View("positive", "self", "iic_transformed"))
    hyperparameters = ("visit_weight", "unlabeled_ratio", "pretext_epochs", "augment_positive")

    def __init__(
        self, backbone: keras.Model, k_gt: int, visit_weight: float = 0.5, **kwargs: Any
    ) -> None:
        """See the class."""
        super().__init__(backbone, k_gt, **kwargs)
        self.visit_weight = visit_weight

    @classmethod
    def schedule(cls, stages: Sequence[Stage]) -> Sequence[Stage]:
        """No stage has labels; `fine_tune` is called clustering."""
        names = {"fine_tune": "clustering"}
        return tuple(
            dataclasses.replace(stage, name=names.get(stage.name, stage.name), use_labels=False)
            for stage in stages
        )

    def compute_losses(self, batch: dict[str, tf.Tensor], training: bool) -> dict[str, tf.Tensor]:
        """All of `loss_names`; in the pretext those of the centroids' walk are left out."""
        image, transformed = self.forward(batch, ["anchor", "positive"], training)
        walker, visit = association_losses(self._similarity(transformed, image))
        result = {
            "transform_walker": walker,
            "transform_visit": visit,
            "centroid_ce": self._centroid_cross_entropy(),
        }
        if self.stage.name == "pretext":
            return result
        self.track_largest("normal", image["normal_probs"])
        logits = global_rows(self.normal_head.logits(image["features"]))
        walker, visit = association_losses(tf.transpose(logits, [1, 2, 0]))  # [S, C, B]
        return result | {
            "centroid_walker": tf.reduce_mean(walker),
            "centroid_visit": self.visit_weight * tf.reduce_mean(visit),
        }

    def _similarity(self, transformed, image):
        """[B, B] of all images of the global batch."""
        embeddings = [
            global_rows(tf.math.l2_normalize(outputs["features"], axis=1, epsilon=1e-12))
            for outputs in (transformed, image)
        ]
        return 9.0 * tf.matmul(*embeddings, transpose_b=True)

    def _centroid_cross_entropy(self):
        centroids, bias = self.normal_head.output_weights
        logits = tf.einsum("sfj,sfk->sjk", centroids, centroids) + bias[:, None, :]
        return -0.5 * tf.reduce_mean(tf.linalg.diag_part(tf.nn.log_softmax(logits)))
