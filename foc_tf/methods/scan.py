"""SCAN of Van Gansbeke et al. (2020), arXiv 2005.12320: clusters of nearest neighbours."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from foc_tf import clustering
from foc_tf.contrastive import contrastive_loss
from foc_tf.model import SemiSupervisedModel
from foc_tf.neighbors import nearest_neighbors
from foc_tf.stages import Stage
from foc_tf.views import View


class SCAN(SemiSupervisedModel):
    """Contrastive pretext, clustering by nearest neighbours, self-labelling; no label is used.

    Three steps by stages, all images: (1) pretext: SimCLR, NT-Xent of the projections of two strong
    views; (2) clustering: L = -ln <p(x), p(n)> - entropy_weight * H(mean p(x)) (Eq. 2), n one of
    the `num_neighbors` images nearest to x in the features when the stage begins; (3) self-label:
    cross-entropy of the strong view with labels that the weak view is sure of. `heads_only` is
    step 2 on a frozen backbone, as they do on ImageNet.

    Differs from Van Gansbeke et al.: one optimiser in all steps; an image is not in its own list of
    neighbours; sub-heads are averaged, not summed; dropout before the heads (0 is theirs); a batch
    without a sure row has loss 0 where their code stops; the best epoch and sub-head are those of
    the best validation accuracy, not of the lowest loss.

    Args:
      entropy_weight: weight of the entropy, which wants clusters of one size.
      num_neighbors: images that count as near.
      self_label_threshold: a row with a larger probability is sure of its label.
      temperature: of the contrastive loss.
      projection_units: width of what the contrastive loss compares.
      **kwargs: of `SemiSupervisedModel`.

    Raises:
      ValueError: if a number is out of range.
    """

    loss_names = ("nt_xent", "neighbor_nll", "cluster_entropy", "self_label_ce")
    views = (
        View("anchor", "self", "strong"),
        View("positive", "self", "strong"),
        View("neighbor", "neighbor", "strong"),
        View("weak", "self", "weak"),
    )
    hyperparameters = (
        *("entropy_weight", "num_neighbors", "self_label_threshold", "self_label_epochs"),
        *("unlabeled_ratio", "pretext_epochs"),
        *("augment_positive", "augment_neighbor", "augment_weak"),
    )

    def __init__(
        self,
        backbone: keras.Model,
        k_gt: int,
        entropy_weight: float = 5.0,
        num_neighbors: int = 20,
        self_label_threshold: float = 0.99,
        temperature: float = 0.1,
        projection_units: int = 128,
        **kwargs: Any,
    ) -> None:
        """See the class."""
        if num_neighbors < 1:
            raise ValueError(f"num_neighbors: expected at least 1, found {num_neighbors}.")
        if not 0 <= self_label_threshold < 1:
            raise ValueError(
                f"self_label_threshold: expected 0 to below 1, found {self_label_threshold}."
            )
        super().__init__(backbone, k_gt, projection_units=projection_units, **kwargs)
        self.entropy_weight, self.num_neighbors = entropy_weight, num_neighbors
        self.self_label_threshold, self.temperature = self_label_threshold, temperature

    @classmethod
    def schedule(cls, stages: Sequence[Stage]) -> Sequence[Stage]:
        """The three steps; `fine_tune` is called clustering."""
        steps: dict[str, dict[str, Any]] = {
            "pretext": {"heads": ("projection",), "views": ("anchor", "positive")},
            "self_label": {"views": ("anchor", "weak")},
        }
        clustering: dict[str, Any] = {"views": ("anchor", "neighbor")}
        names = {"fine_tune": "clustering"}
        return tuple(
            dataclasses.replace(
                stage,
                name=names.get(stage.name, stage.name),
                use_labels=False,
                **steps.get(stage.name, clustering),
            )
            for stage in stages
        )

    def neighbors(self, features: np.ndarray) -> np.ndarray:
        """[P, F] to [P, num_neighbors]: the nearest other images by the cosine, for step 2."""
        return nearest_neighbors(features, self.num_neighbors)

    def compute_losses(self, batch: dict[str, tf.Tensor], training: bool) -> dict[str, tf.Tensor]:
        """Those of the stage's step; of step 2 where the stage has another name."""
        if self.stage.name == "pretext":
            views = self.forward(batch, ["anchor", "positive"], training)
            one, two = (self.projection_head(outputs["features"]) for outputs in views)
            return {"nt_xent": contrastive_loss(one, two, self.temperature)}
        if self.stage.name == "self_label":
            # A pass of its own, as theirs: without gradient, and without dropout.
            weak = self.classify(self.extract(batch["weak"], training))
            (strong,) = self.forward(batch, ["anchor"], training)
            probs = weak["normal_probs"], strong["normal_probs"]
            self.track_largest("normal", probs[1])
            return {"self_label_ce": clustering.self_label_loss(*probs, self.self_label_threshold)}
        image, neighbor = self.forward(batch, ["anchor", "neighbor"], training)
        probs = image["normal_probs"], neighbor["normal_probs"]
        self.track_largest("normal", probs[0])
        return {
            "neighbor_nll": clustering.neighbor_loss(*probs),
            "cluster_entropy": -self.entropy_weight * clustering.mean_entropy(probs[0]),
        }
