"""SCAN of Van Gansbeke et al. (2020), arXiv 2005.12320: clusters of nearest neighbours."""

import dataclasses

import tensorflow as tf

from foc_tf.contrastive import contrastive_loss
from foc_tf.distribution import global_mean, global_sum
from foc_tf.model import SemiSupervisedModel
from foc_tf.neighbors import nearest_neighbors
from foc_tf.views import View

# Smallest probability that a logarithm sees.
_TINY = 1e-15


def neighbor_loss(probs, neighbor_probs):
    """-ln <p(x), p(n)>, the mean over rows and sub-heads (first term of Eq. 2).

    Args:
      probs: [B, S, C] float, rows sum to 1, images.
      neighbor_probs: same shape, one neighbour of each.

    Returns:
      Scalar float32 in nats, 0 (both sure of the same class) upwards. Minimise it.
    """
    agreement = tf.reduce_sum(probs * neighbor_probs, axis=-1)
    return -tf.reduce_mean(tf.math.log(tf.maximum(agreement, _TINY)))


def mean_entropy(probs):
    """Entropy of the mean probabilities of the global batch, mean over sub-heads (Eq. 2).

    Args:
      probs: [B, S, C] float, rows sum to 1.

    Returns:
      Scalar float32 in nats, 0 (one cluster has all) to ln C (all are of one size). Maximise it.
    """
    mean = global_mean(tf.reduce_mean(probs, axis=0))
    return -tf.reduce_mean(tf.reduce_sum(mean * tf.math.log(tf.maximum(mean, _TINY)), axis=-1))


def self_label_loss(weak_probs, strong_probs, threshold=0.99):
    """Cross-entropy of the strong view with confident labels of the weak one (section 2.3).

    Rows count whose largest weak probability is above the threshold, with the weight n / n_c of
    their class c among the n of the global batch; a weighted mean: the mean, over the classes that
    are there, of each one's mean. 0 where no row is confident.

    Args:
      weak_probs: [B, S, C] float, rows sum to 1; no gradient.
      strong_probs: same shape, the same rows.
      threshold: probability.

    Returns:
      Scalar float32 in nats, mean over sub-heads. Minimise it.
    """
    weak_probs = tf.stop_gradient(weak_probs)
    confident = tf.cast(tf.reduce_max(weak_probs, axis=-1) > threshold, tf.float32)
    target = tf.one_hot(tf.argmax(weak_probs, axis=-1), weak_probs.shape[-1])
    target *= confident[..., None]
    logs = tf.math.log(tf.maximum(strong_probs, _TINY))
    counts = global_sum(tf.reduce_sum(target, axis=0))
    sums = global_sum(-tf.reduce_sum(target * logs, axis=0))
    of_class = tf.math.divide_no_nan(sums, counts)
    present = tf.reduce_sum(tf.cast(counts > 0, tf.float32), axis=-1)
    return tf.reduce_mean(tf.math.divide_no_nan(tf.reduce_sum(of_class, axis=-1), present))


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
        backbone,
        k_gt,
        entropy_weight=5.0,
        num_neighbors=20,
        self_label_threshold=0.99,
        temperature=0.1,
        projection_units=128,
        **kwargs,
    ):
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
    def schedule(cls, stages):
        """The three steps; `fine_tune` is called clustering."""
        steps = {
            "pretext": {"heads": ("projection",), "views": ("anchor", "positive")},
            "self_label": {"views": ("anchor", "weak")},
        }
        clustering = {"views": ("anchor", "neighbor")}
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

    def neighbors(self, features):
        """[P, F] to [P, num_neighbors]: the nearest other images by the cosine, for step 2."""
        return nearest_neighbors(features, self.num_neighbors)

    def compute_losses(self, batch, training):
        """Those of the stage's step; of step 2 where the stage has another name."""
        if self.stage.name == "pretext":
            views = self.forward(batch, ["anchor", "positive"], training)
            one, two = (self.project(outputs) for outputs in views)
            return {"nt_xent": contrastive_loss(one, two, self.temperature)}
        if self.stage.name == "self_label":
            # A pass of its own, as theirs: without gradient, and without dropout.
            weak = self.classify(self.extract(batch["weak"], training))
            (strong,) = self.forward(batch, ["anchor"], training)
            probs = weak["normal_probs"], strong["normal_probs"]
            self.track_largest("normal", probs[1])
            return {"self_label_ce": self_label_loss(*probs, self.self_label_threshold)}
        image, neighbor = self.forward(batch, ["anchor", "neighbor"], training)
        probs = image["normal_probs"], neighbor["normal_probs"]
        self.track_largest("normal", probs[0])
        return {
            "neighbor_nll": neighbor_loss(*probs),
            "cluster_entropy": -self.entropy_weight * mean_entropy(probs[0]),
        }
