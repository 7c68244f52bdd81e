"""The staged training run: blocks of epochs, learning rates, validation, history, checkpoints.

Everything that decides what happens next is a function of the history, which every checkpoint
holds: a run that was stopped goes on as if it had not been.
"""

import dataclasses
import math
import pathlib
import time

import keras
import pandas as pd

from foc_tf import checkpoints, files
from foc_tf.stages import blocks, learning_rate_at

# Mean share of a batch in the largest cluster of the best-spread copy that counts as a collapse.
_COLLAPSED = 0.999


class TrainingFailed(RuntimeError):
    """Training cannot go on (not finite, collapsed); the message says what to try."""


@dataclasses.dataclass(frozen=True)
class Schedule:
    """How epochs follow each other; see `stages.blocks` and `stages.learning_rate_at`."""

    alternate_epochs: int = 5
    alternate_steps: int = 0
    learning_rate_schedule: str = "plateau"
    plateau_epochs: int = 75
    early_stopping_share: float = 1 / 3
    evaluate_every: int = 1


class Run:
    """Trains a compiled model through its stages inside a workdir.

    Args:
      model: a compiled `model.SemiSupervisedModel`.
      feed: `feeding.Feed`, where the batches come from.
      stages: sequence of `stages.Stage`.
      schedule: `Schedule`.
      validate: function () -> {"val_..._accuracy": float}, may be empty.
      workdir: folder for checkpoints, history and the best model.
      details: JSON-able dict beside the best weights.
      features: function ([M] image indices) -> [M, F] float32 features by the model as it is; only
        methods with views of neighbours need it.
      summaries: `summaries.EpochWriter`, or None.
      verbose: 1 Keras's bar and a line an epoch, 2 the lines alone, 0 silent.
    """

    def __init__(
        self,
        model,
        feed,
        stages,
        schedule,
        validate,
        workdir,
        details,
        features=None,
        summaries=None,
        verbose=2,
    ):
        """See the class."""
        self.model, self.feed, self.stages, self.schedule = model, feed, stages, schedule
        self.validate, self.workdir = validate, pathlib.Path(workdir)
        self.details, self.features = details, features
        self.summaries, self.verbose = summaries, verbose
        self.read_from = self.workdir  # other than where this run writes if it is not the chief
        turns = 0 if schedule.alternate_steps else schedule.alternate_epochs
        self.blocks = blocks(stages, model.head_names, turns)
        self.total_epochs = self.blocks[-1].end_epoch
        self.history, self.best, self.stopped_stages = [], None, []

    def resume(self, workdir=None):
        """Loads the newest checkpoint, if any; returns (epochs done, damaged files).

        Args:
          workdir: where it is, if not where this run writes.
        """
        self.read_from = pathlib.Path(workdir or self.workdir)
        state, damaged = checkpoints.restore_latest(self.read_from / "checkpoints", self.model)
        if state is None:
            return 0, damaged
        self.history, self.best = state["history"], state["best"]
        self.stopped_stages = state["stopped_stages"]
        return state["epoch"], damaged

    def run(self, epochs_done=0):
        """Trains what is left.

        Raises:
          TrainingFailed: if a loss is not finite or all images fall into one cluster.
        """
        previous = self.history[-1]["stage_index"] if self.history else None
        for block in self.blocks:
            first = max(block.first_epoch, epochs_done)
            if first >= block.end_epoch or block.stage_index in self.stopped_stages:
                continue
            self.model.set_stage(
                *(block.stage, block.heads, block.stage_index, self.schedule.alternate_steps),
                steps=block.stage.epochs * self.feed.steps_per_epoch(block),
                augment=self.feed.augment(block),
            )
            if previous is not None and previous != block.stage_index:
                # Moments of the stage before would make the first steps of newly trained variables
                # three times too long: Adam's bias correction counts steps of all variables.
                checkpoints.reset_optimizer(self.model)
            previous = block.stage_index
            self._fit(block, first)

    def _fit(self, block, first):
        steps, started = self.feed.steps_per_epoch(block), time.perf_counter()
        if self.feed.shows_neighbors(block):
            self.feed.set_neighbors(block, self._neighbors(block, first))
        self.model.fit(
            self.feed.batches(self.model, block, first * steps),
            initial_epoch=first,
            epochs=block.end_epoch,
            steps_per_epoch=steps,
            callbacks=[_Epochs(self, block, started)],
            verbose=1 if self.verbose == 1 else 0,
        )

    def _neighbors(self, block, first):
        """The table of a stage's neighbours; of a stage that has begun already, its own."""
        index = block.stage_index
        if first > self._start(block):
            return checkpoints.load_neighbors(self.read_from / "checkpoints", index)
        neighbors = self.model.neighbors(self.features(self.feed.pool(block)))
        checkpoints.save_neighbors(self.workdir / "checkpoints", index, neighbors)
        return neighbors

    def losses_so_far(self, block):
        """Training losses of this stage's earlier epochs that trained the same heads."""
        return [
            row["loss"]
            for row in self.history
            if row["stage_index"] == block.stage_index and row["heads"] == "+".join(block.heads)
        ]

    def learning_rate(self, block, epoch):
        """Learning rate of an epoch (counted over the run)."""
        return learning_rate_at(
            block.stage,
            epoch - self._start(block),
            self.losses_so_far(block),
            self.schedule.learning_rate_schedule,
            self.schedule.plateau_epochs,
        )

    def _start(self, block):
        """First epoch of the block's stage."""
        return sum(stage.epochs for stage in self.stages[: block.stage_index])

    def end_epoch(self, block, epoch, logs, seconds):
        """Checks, validates and writes history and checkpoint of an epoch just trained."""
        self.check(block, epoch, logs)
        row = {
            "epoch": epoch,
            "stage": block.stage.name,
            "stage_index": block.stage_index,
            "heads": "+".join(block.heads),
            "learning_rate": self.learning_rate(block, epoch),
            "seconds": round(seconds, 3),
            "images": self.images(block, epoch),
            **{key: float(value) for key, value in logs.items()},
        }
        if (epoch + 1) % self.schedule.evaluate_every == 0 or epoch + 1 == self.total_epochs:
            row |= self.validate()
        self.history.append(row)
        self._keep_best(row)
        if self._should_stop(block):
            self.stopped_stages.append(block.stage_index)
            self.model.stop_training = True
        files.write_csv(self.workdir / "history.csv", pd.DataFrame(self.history))
        state = {
            "epoch": epoch + 1,
            "history": self.history,
            "best": self.best,
            "stopped_stages": self.stopped_stages,
        }
        checkpoints.save(self.workdir / "checkpoints", self.model, state)
        if self.summaries:
            self.summaries.write(row)
        return row

    def images(self, block, epoch):
        """Images that pass a backbone in an epoch of the block."""
        begins, turns = epoch == self._start(block), self.schedule.alternate_steps
        return self.feed.passes(block, begins, turns, self.model.passes_per_view)

    def check(self, block, epoch, logs):
        """Raises TrainingFailed if a loss is not finite or a trained head has collapsed."""
        for name, value in logs.items():
            if not math.isfinite(value):
                raise TrainingFailed(
                    f"{name} is {value} in epoch {epoch + 1} ({block.stage.name}). Try a smaller "
                    "--learning_rate, or float32 (--mixed_precision=none). "
                    f"The last good checkpoint stays in {self.workdir / 'checkpoints'}."
                )
        for head in block.heads:
            share = float(logs.get(f"{head}_largest", 0.0))
            if share >= _COLLAPSED:
                raise TrainingFailed(
                    f"collapse in epoch {epoch + 1} ({block.stage.name}): every copy of the {head} "
                    f"head puts {share:.1%} of the images into one cluster. Try a smaller "
                    "--learning_rate, --lambda_u=1 or more, a larger --batch_size (2 to 3 times k "
                    "times repetitions), or weaker augmentation. "
                    f"The last good checkpoint stays in {self.workdir / 'checkpoints'}."
                )

    def _keep_best(self, row):
        """The best epoch of the last stage, by the mean validation accuracy of its heads."""
        if row["stage_index"] != self.blocks[-1].stage_index:
            return
        trained = self.stages[-1].heads or self.model.head_names
        keys = [f"val_{head}_accuracy" for head in trained]
        scores = [row[key] for key in keys if key in row]
        score = sum(scores) / len(scores) if scores else None
        so_far = self.best and self.best["score"]
        if score is None and so_far is not None:
            return  # an epoch between two validations
        # Without validation images the last epoch is the best one.
        if score is None or so_far is None or score > so_far:
            self.best = {"epoch": row["epoch"], "score": score}
            checkpoints.save_best(self.workdir / "best", self.model, self.details | self.best)

    def _should_stop(self, block):
        share = self.schedule.early_stopping_share
        if not share or self.schedule.learning_rate_schedule != "plateau":
            return False
        losses = self.losses_so_far(block)
        patience = max(1, round(share * block.stage.epochs))
        return len(losses) - losses.index(min(losses)) > patience


class _Epochs(keras.callbacks.Callback):
    """Hands the ends of epochs to the run.

    The first epoch's time runs from `started`: what is made for the block is part of it.
    """

    def __init__(self, run, block, started):
        super().__init__()
        self.run, self.block, self.started = run, block, started

    def on_epoch_begin(self, epoch, logs=None):
        self.model.optimizer.learning_rate = self.run.learning_rate(self.block, epoch)

    def on_train_batch_end(self, batch, logs=None):
        if not math.isfinite(logs["loss"]):
            self.run.check(self.block, len(self.run.history), logs)

    def on_epoch_end(self, epoch, logs=None):
        seconds = time.perf_counter() - self.started
        row = self.run.end_epoch(self.block, epoch, self.model.epoch_results(), seconds)
        if self.run.verbose:
            scores = [f"{k} {v:.4f}" for k, v in row.items() if k.startswith("val_")]
            print(
                f"epoch {epoch + 1}/{self.run.total_epochs} {row['stage']} [{row['heads']}] "
                f"loss {row['loss']:.4f} {row['images'] / max(seconds, 1e-9):.0f} images/s "
                + " ".join(scores),
                flush=True,
            )
        self.started = time.perf_counter()  # validation and writing are no training
