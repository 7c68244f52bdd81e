"""Fuzzy Overclustering (FOC) of Schmarje et al. (2020), arXiv 2012.01768."""

from typing import Any

import keras
import tensorflow as tf

from foc_tf import losses, overclustering
from foc_tf.distribution import global_mean
from foc_tf.model import SemiSupervisedModel
from foc_tf.views import View


class FOC(SemiSupervisedModel):
    """Fuzzy Overclustering: normal and overclustering heads, mutual information and CE^-1.

    Each head has L = lambda_s L_s + lambda_u L_u (Eq. 1), means over all B rows and S sub-heads:
      L_u = - I(p(x1), p(x2)) over all rows (Eq. 2-3);
      L_s of the normal head = cross-entropy of p(x1), labelled rows only;
      L_s of the overclustering head = CE^-1 of the triplet (Eq. 4), labelled rows only.

    Args:
      lambda_s: weight of the supervised losses.
      lambda_ice: weight of the inverse cross-entropy, times `lambda_s`; 0 leaves it out (ablation).
      lambda_u: weight of the mutual information in stages with labels; 1 in the pretext.
      negatives: "triplet" (the paper's third view), "shared" (one third image for all repetitions
        of a draw) or "in_batch" (rows of other classes in the batch: two passes instead of three).
      ce_views: "anchor" (the paper's) or "both": cross-entropy on x1 and x2, half each.
      normal_mi_rows: "all" (the paper's) or "labeled" (the authors' code): rows whose mutual
        information the normal head maximises.
      partners: what x2 shows where labels are used: "same_class" (another image of the class, the
        paper's supervised augmentation) or "self" (the image itself, as in unlabelled rows).
      **kwargs: of `SemiSupervisedModel`.

    Raises:
      ValueError: if a word is unknown or there are not more clusters than classes.
    """

    loss_names = ("normal_ce", "normal_mi", "over_ice", "over_mi")
    hyperparameters = (
        "k",
        "lambda_s",
        "lambda_ice",
        "lambda_u",
        "negatives",
        "ce_views",
        "normal_mi_rows",
        "partners",
        "alternate_epochs",
        "alternate_steps",
        "unlabeled_ratio",
        "pretext_epochs",
        "pretext_partners",
        "augment_positive",
        "augment_negative",
        "frozen_views",
    )

    def __init__(
        self,
        backbone: keras.Model,
        k_gt: int,
        k: int = 60,
        lambda_s: float = 1.0,
        lambda_ice: float = 1.0,
        lambda_u: float = 1.0,
        negatives: str = "triplet",
        ce_views: str = "anchor",
        normal_mi_rows: str = "all",
        partners: str = "same_class",
        **kwargs: Any,
    ) -> None:
        """See the class."""
        if k <= k_gt:
            raise ValueError(
                f"k: overclustering needs more clusters than the {k_gt} classes, found k = {k}. "
                f"Take 5 to 10 times the classes, e.g. {6 * k_gt}."
            )
        _check_word("negatives", negatives, ("triplet", "shared", "in_batch"))
        _check_word("ce_views", ce_views, ("anchor", "both"))
        _check_word("normal_mi_rows", normal_mi_rows, ("all", "labeled"))
        _check_word("partners", partners, ("same_class", "self"))
        super().__init__(backbone, k_gt, k, **kwargs)
        self.partners = partners
        self.lambda_s, self.lambda_ice, self.lambda_u = lambda_s, lambda_ice, lambda_u
        self.negatives, self.ce_views, self.normal_mi_rows = negatives, ce_views, normal_mi_rows

    @property
    def views(self) -> tuple[View, ...]:  # type: ignore[override]
        """x1, x2 and, for triplets, x3, with the authors' recipes."""
        views = (
            View("anchor", "self", "affine_cutout"),
            # Differs from the paper with "self": no supervised augmentation.
            View("positive", self.partners, "iic"),
            # Differs from the paper with "shared": not an image of its own for every repetition.
            View("negative", "other_class", "center_crop", each_draw=self.negatives == "shared"),
        )
        return views if self._uses_triplets() else views[:2]

    def _uses_triplets(self):
        return self.negatives != "in_batch" and self.lambda_ice > 0 and self.lambda_s > 0

    def compute_losses(self, batch: dict[str, tf.Tensor], training: bool) -> dict[str, tf.Tensor]:
        """{"normal_ce", "normal_mi", "over_ice", "over_mi"} of the heads that are trained."""
        supervised = self.stage.use_labels and self.lambda_s > 0
        names = ["anchor", "positive"]
        if supervised and "over" in self.active_heads and self._uses_triplets():
            names.append("negative")
        outputs = self.forward(batch, names, training)
        labels = batch["label"]
        # The pretext has no other loss: without labels the weight would mean nothing but 0.
        lambda_u = self.lambda_u if self.stage.use_labels else 1.0
        result = {}
        if "normal" in self.active_heads:
            probs = [output["normal_probs"] for output in outputs]
            self.track_largest("normal", probs[0])
            result["normal_mi"] = -lambda_u * self._normal_information(probs, labels)
            if supervised:
                result["normal_ce"] = self.lambda_s * self._cross_entropy(probs, labels)
        if "over" in self.active_heads:
            probs = [output["over_probs"] for output in outputs]
            self.track_largest("over", probs[0])
            result["over_mi"] = lambda_u * overclustering.information_loss(probs)
            if supervised and self.lambda_ice > 0:
                weight = self.lambda_s * self.lambda_ice
                result["over_ice"] = weight * self._inverse_cross_entropy(probs, labels)
        return result

    def _normal_information(self, probs, labels):
        if self.normal_mi_rows == "labeled":
            # Unlabelled rows are set to 0 in both views; the joint is normalised again by the
            # share of labelled rows in the global batch.
            keep = tf.cast(labels >= 0, tf.float32)
            share = global_mean(tf.reduce_mean(keep))
            scale = tf.sqrt(tf.math.divide_no_nan(keep, share))[:, None, None]
            probs = [p * scale for p in probs[:2]]
        return tf.reduce_mean(losses.mutual_information(probs[0], probs[1]))

    def _cross_entropy(self, probs, labels):
        anchor = tf.reduce_mean(losses.cross_entropy(probs[0], labels, self.class_weights))
        if self.ce_views == "anchor":
            return anchor
        # Differs from the paper: the second view, an image of the same class, is learned from too.
        positive = tf.reduce_mean(losses.cross_entropy(probs[1], labels, self.class_weights))
        return 0.5 * anchor + 0.5 * positive

    def _inverse_cross_entropy(self, probs, labels):
        if self.negatives == "in_batch":
            return overclustering.in_batch_loss(probs, labels, self.k_gt)
        labelled = tf.cast(labels >= 0, tf.float32)[:, None]
        return tf.reduce_mean(labelled * losses.triplet_inverse_cross_entropy(*probs))


def _check_word(name, value, known):
    if value not in known:
        raise ValueError(f"{name}: expected one of {', '.join(known)}, found {value!r}.")
