"""Mean Teacher of Tarvainen and Valpola (2017), arXiv 1703.01780."""

from typing import Any

import keras
import tensorflow as tf

from foc_tf import consistency, labeled_loss, losses, overclustering
from foc_tf.keras_compat import assign_same
from foc_tf.model import SemiSupervisedModel
from foc_tf.views import View


class MeanTeacher(SemiSupervisedModel):
    """The student should say of one view what its own running average says of another.

    L = CE(p(x1), y) over labelled rows + w(t) mean_c (p_c(x1) - p'_c(x2))^2 over all rows, p' the
    teacher's; w rises to `lambda_u`. After every step theta' = a theta' + (1 - a) theta with
    a = min(1 - 1 / (n + 1), ema_decay), n the steps before, counted over all stages: the first
    steps count alike, so the initial weights are forgotten at once. The average is taken of all
    weights, the moving statistics of batch normalisation too.

    Inference is the teacher's (`call`, evaluation, export), as the authors report it.

    Differs from the paper: the teacher normalises by its (averaged) moving statistics and drops
    nothing, where the authors' is in training mode; w rises linearly (as in Oliver et al., 2018).

    Args:
      k: clusters of overclustering heads with FOC's losses on the student's two views; 0 for none.
      lambda_u: weight of the consistency.
      ramp_up: share of a stage's steps over which it rises from 0; 0 for none.
      ema_decay: largest share of the old average that is kept in a step.
      **kwargs: of `SemiSupervisedModel`.

    Raises:
      ValueError: if a number is out of range.
    """

    loss_names = ("normal_ce", "normal_consistency")
    views = (View("anchor", "self", "weak"), View("positive", "self", "weak"))
    hyperparameters = (
        *("lambda_u", "ramp_up", "ema_decay", "over_head", "k"),
        *("unlabeled_ratio", "augment_positive"),
    )

    def __init__(
        self,
        backbone: keras.Model,
        k_gt: int,
        k: int = 0,
        lambda_u: float = 50.0,
        ramp_up: float = 0.4,
        ema_decay: float = 0.999,
        **kwargs: Any,
    ) -> None:
        """See the class."""
        consistency.check_weight(lambda_u, ramp_up)
        consistency.check_range("ema_decay", ema_decay, 0, 1)
        super().__init__(backbone, k_gt, k, **kwargs)
        self.lambda_u, self.ramp_up, self.ema_decay = lambda_u, ramp_up, ema_decay
        self.teacher = [_frozen_copy(part) for part in self._student()]
        self.steps_taught = self.add_weight(
            name="steps_taught", shape=(), initializer="zeros", dtype="float32", trainable=False
        )

    @property
    def served_backbone(self) -> keras.Model:
        """The teacher's."""
        return self.teacher[0]

    @property
    def passes_per_view(self) -> float:  # type: ignore[override]
        """The student sees one view, the teacher the other; for clusters the student sees both."""
        return 1.0 if self.over_head is None else 1.5

    def call(self, inputs: tf.Tensor, training: bool = False) -> dict[str, tf.Tensor]:
        """The student's outputs in training, the teacher's in inference."""
        return super().call(inputs, training) if training else self._taught(inputs)

    def compute_losses(self, batch: dict[str, tf.Tensor], training: bool) -> dict[str, tf.Tensor]:
        """{"normal_ce", "normal_consistency"}, and FOC's with overclustering heads."""
        labels = batch["label"]
        names = ["anchor", "positive"] if self.over_head is not None else ["anchor"]
        outputs = self.forward(batch, names, training)
        probs = outputs[0]["normal_probs"]
        self.track_largest("normal", probs)
        supervised = losses.cross_entropy(probs, labels, self.class_weights)
        taught = self._taught(batch["positive"])["normal_probs"]
        difference = tf.reduce_mean(consistency.squared_difference(probs, taught))
        return {
            "normal_ce": labeled_loss.mean_over(supervised, labels >= 0),
            "normal_consistency": self.lambda_u * self.ramped(self.ramp_up) * difference,
            **overclustering.added_losses(self, outputs, labels),
        }

    def after_step(self) -> None:
        """Moves the teacher towards the student."""
        steps = tf.convert_to_tensor(self.steps_taught)
        decay = tf.minimum(1.0 - 1.0 / (steps + 1.0), self.ema_decay)
        student, teacher = self.student_and_teacher()
        pairs = [
            (tf.convert_to_tensor(t), tf.convert_to_tensor(s)) for t, s in zip(teacher, student)
        ]
        averages = [decay * t + (1.0 - decay) * s for t, s in pairs]
        assign_same([*teacher, self.steps_taught], [*averages, steps + 1.0])

    def student_and_teacher(self) -> tuple[list, ...]:
        """Lists of the student's variables and of the teacher's, in one order."""
        return tuple(
            [weight for part in parts for weight in part.weights]
            for parts in (self._student(), self.teacher)
        )

    def _student(self):
        heads = [self.normal_head, self.over_head]
        return [self.backbone, *(head for head in heads if head is not None)]

    def _taught(self, images):
        backbone, *heads = self.teacher
        features = tf.cast(backbone(images, training=False), tf.float32)
        probs = {f"{name}_probs": head(features) for name, head in zip(self.head_names, heads)}
        return probs | {"features": features}


def _frozen_copy(part):
    """A copy of the backbone or of a head, with equal weights that are not trained."""
    if isinstance(part, keras.Model):
        copy = keras.models.clone_model(part)
    else:
        copy = type(part).from_config(part.get_config())
        copy.build((None, part.weights[0].shape[1]))  # [S, F, units]
    copy.set_weights(part.get_weights())
    copy.trainable = False
    return copy
