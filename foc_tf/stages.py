"""Stages of a training run: what is trained, on which losses, at which learning rate."""

import dataclasses
import math
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Stage:
    """One part of a training run.

    Attributes:
      name: "pretext", "heads_only" or "fine_tune" (other methods may have others).
      epochs: passes over the labelled images; a stage with 0 epochs is skipped.
      learning_rate: Adam's, at the start of the stage.
      train_backbone: False freezes the backbone, which then also runs in inference mode (batch norm
        uses its moving statistics; the authors' code lets it go on with batch statistics).
      use_labels: False hides all labels: no supervised loss, no supervised augmentation.
      class_partners: supervised augmentation without a supervised loss (the dagger of table 4).
      heads: names of the heads that are trained, also "projection"; empty for all that classify.
      views: names of the views that are built; empty for all that the losses need.
      labeled_only: no unlabelled rows in the batches.
    """

    name: str
    epochs: int
    learning_rate: float
    train_backbone: bool = True
    use_labels: bool = True
    class_partners: bool = False
    heads: tuple = ()
    views: tuple = ()
    labeled_only: bool = False


@dataclasses.dataclass(frozen=True)
class Block:
    """Consecutive epochs of a stage that train the same heads; epochs count over the whole run."""

    stage_index: int
    stage: Stage
    heads: tuple
    first_epoch: int
    end_epoch: int


@dataclasses.dataclass(frozen=True)
class Schedule:
    """How epochs follow each other; see `blocks` and `learning_rate_at`."""

    alternate_epochs: int = 5
    alternate_steps: int = 0
    learning_rate_schedule: str = "plateau"
    plateau_epochs: int = 75
    early_stopping_share: float = 1 / 3
    evaluate_every: int = 1

    def __post_init__(self) -> None:
        """Raises ValueError if a number is out of its range."""
        at_least = {"alternate_steps": 0, "plateau_epochs": 1, "evaluate_every": 1}
        for name, least in at_least.items():
            if getattr(self, name) < least:
                found = getattr(self, name)
                raise ValueError(f"{name}: expected {least} or more, found {found}.")
        if not 0 <= self.early_stopping_share <= 1:
            raise ValueError(
                f"early_stopping_share: expected 0 to 1, found {self.early_stopping_share}."
            )


def warm_up_stages(
    pretext_epochs: int = 500,
    heads_only_epochs: int = 100,
    fine_tune_epochs: int = 500,
    learning_rate: float = 1e-4,
    heads_learning_rate: float = 1e-3,
    pretext_partners: str = "self",
    self_label_epochs: int = 0,
) -> tuple[Stage, ...]:
    """The paper's three stages (Schmarje et al., 2020, 3.5 and 4.2) without the empty ones.

    `self_label_epochs` are those of a fourth one, SCAN's last step.
    """
    stages = (
        Stage(
            "pretext",
            pretext_epochs,
            learning_rate,
            use_labels=False,
            class_partners=pretext_partners == "same_class",
        ),
        Stage("heads_only", heads_only_epochs, heads_learning_rate, train_backbone=False),
        Stage("fine_tune", fine_tune_epochs, learning_rate),
        Stage("self_label", self_label_epochs, learning_rate, use_labels=False),
    )
    return tuple(stage for stage in stages if stage.epochs > 0)


def blocks(stages: Sequence[Stage], heads: Sequence[str], alternate_epochs: int) -> list[Block]:
    """Cuts stages into blocks that train one kind of head in turn, the last kind of `heads` first.

    Args:
      stages: sequence of `Stage`.
      heads: names of all heads, e.g. ("normal", "over").
      alternate_epochs: epochs of each turn; 0 trains all heads in every step.

    Returns:
      List of `Block`, in order, covering every epoch once.

    Raises:
      ValueError: if `alternate_epochs` is negative.
    """
    if alternate_epochs < 0:
        raise ValueError(f"alternate_epochs: expected 0 or more, found {alternate_epochs}.")
    result, epoch = [], 0
    for index, stage in enumerate(stages):
        end, turn = epoch + stage.epochs, 0
        trained = stage.heads or heads
        while epoch < end:
            if alternate_epochs and len(trained) > 1:
                active = (trained[::-1][turn % len(trained)],)
                stop = min(end, epoch + alternate_epochs)
            else:
                active, stop = tuple(trained), end
            result.append(Block(index, stage, active, epoch, stop))
            epoch, turn = stop, turn + 1
    return result


def learning_rate_at(
    stage: Stage,
    epoch: int,
    losses: Sequence[float],
    schedule: str = "plateau",
    patience: int = 75,
    factor: float = 0.1,
) -> float:
    """Learning rate of an epoch: a pure function of what has been, so resuming needs no state.

    Args:
      stage: the `Stage`.
      epoch: index within the stage, from 0.
      losses: training loss of each epoch of the stage before this one. With alternating heads give
        those of the heads now trained: the two kinds have losses of different size.
      schedule: "plateau" (times `factor` after `patience` epochs without a new minimum), "cosine"
        (half a cosine from the initial rate to 0 at the stage's end) or "constant".
      patience: epochs, for "plateau".
      factor: for "plateau".

    Raises:
      ValueError: if `schedule` is unknown.
    """
    if schedule == "constant":
        return stage.learning_rate
    if schedule == "cosine":
        return stage.learning_rate * 0.5 * (1.0 + math.cos(math.pi * epoch / stage.epochs))
    if schedule != "plateau":
        raise ValueError(f"schedule: expected plateau, cosine or constant, found {schedule!r}.")
    rate, best, waited = stage.learning_rate, math.inf, 0
    for loss in losses:
        waited = 0 if loss < best else waited + 1
        best = min(best, loss)
        if waited >= patience:
            rate, waited = rate * factor, 0
    return rate


def use_labels(stages: Sequence[Stage]) -> bool:
    """Whether any stage learns from labels; else the run is unsupervised clustering."""
    return any(stage.use_labels for stage in stages)
