"""The staged training run: blocks of epochs, learning rates, validation, history, checkpoints.

Everything that decides what happens next is a function of the history, which every checkpoint
holds: a run that was stopped goes on as if it had not been, after a signal from its last step.
"""

import math
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from foc_tf import checkpoints, failures, files, stopping
from foc_tf.epochs import Epochs
from foc_tf.feeding import Feed
from foc_tf.stages import Block, Schedule, Stage, blocks, learning_rate_at
from foc_tf.summaries import EpochWriter


class Run:
    """Trains a compiled model through its stages inside a workdir.

    Args:
      model: a compiled `model.SemiSupervisedModel`.
      feed: `feeding.Feed`, where the batches come from.
      stages: sequence of `stages.Stage`.
      schedule: `stages.Schedule`.
      validate: function () -> {"val_..._accuracy": float}, may be empty.
      workdir: folder for checkpoints, history and the best model.
      details: JSON-able dict beside the best weights.
      features: function ([M] image indices) -> [M, F] float32 features by the model as it is; only
        methods with views of neighbours need it.
      summaries: `summaries.EpochWriter`, or None.
      verbose: 1 Keras's bar and a line an epoch, 2 the lines alone, 0 silent.
      keeps_steps: whether SIGTERM and Ctrl-C are answered with a checkpoint inside the epoch. Not
        for several workers: saving reads variables that live on all of them.
    """

    def __init__(
        self,
        model: keras.Model,
        feed: Feed,
        stages: Sequence[Stage],
        schedule: Schedule,
        validate: Callable[[], dict[str, float]],
        workdir: str | pathlib.Path,
        details: dict,
        features: Callable[[np.ndarray], np.ndarray] | None = None,
        summaries: EpochWriter | None = None,
        verbose: int = 2,
        keeps_steps: bool = True,
    ) -> None:
        """See the class."""
        self.model, self.feed, self.stages, self.schedule = model, feed, stages, schedule
        self.validate, self.workdir = validate, pathlib.Path(workdir)
        self.details, self.features = details, features
        self.summaries, self.verbose, self.keeps_steps = summaries, verbose, keeps_steps
        self.read_from = self.workdir  # other than where this run writes if it is not the chief
        turns = 0 if schedule.alternate_steps else schedule.alternate_epochs
        self.blocks = blocks(stages, model.head_names, turns)
        self.total_epochs = self.blocks[-1].end_epoch
        self.history: list[dict] = []
        self.best: dict | None = None
        self.stopped_stages: list[int] = []
        self.begun: dict | None = None  # an epoch that was stopped in its middle, see `save_step`

    def resume(self, workdir: str | pathlib.Path | None = None) -> tuple[int, list[str]]:
        """Loads the newest checkpoint, if any; returns (epochs done, damaged files).

        Args:
          workdir: where it is, if not where this run writes.
        """
        self.read_from = pathlib.Path(workdir or self.workdir)
        state, damaged = checkpoints.restore_latest(self.read_from / "checkpoints", self.model)
        if state is None:
            return 0, damaged
        self.history, self.best = state["history"], state["best"]
        self.stopped_stages, self.begun = state["stopped_stages"], state.get("begun")
        return state["epoch"], damaged

    def run(self, epochs_done: int = 0) -> None:
        """Trains what is left.

        Raises:
          TrainingFailed: if a loss is not finite or all images fall into one cluster.
        """
        previous = self.history[-1]["stage_index"] if self.history else None
        if self.begun:
            previous = self.begun["stage_index"]
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
        begun, self.begun = self.begun, None
        callback = Epochs(self, block, started, begun)
        if begun:
            self._epochs(callback, first, first + 1, steps, begun["step"])
            first += 1
        if first < block.end_epoch and block.stage_index not in self.stopped_stages:
            self._epochs(callback, first, block.end_epoch, steps)

    def _epochs(self, callback, first, end, steps, done=0):
        """Trains epochs, the first of which has `done` of its steps behind it."""
        try:
            if done == steps:
                callback.set_model(self.model)
                callback.on_epoch_begin(first)
                callback.on_epoch_end(first)
            else:
                self.model.fit(
                    self.feed.batches(self.model, callback.block, first * steps + done),
                    initial_epoch=first,
                    epochs=end,
                    steps_per_epoch=steps - done,
                    callbacks=[callback],
                    shuffle=False,  # the sampler has; Keras 3 warns that it cannot
                    verbose=1 if self.verbose == 1 else 0,
                )
        finally:
            stopping.release()

    def _neighbors(self, block, first):
        """The table of a stage's neighbours; of a stage that has begun already, its own."""
        index = block.stage_index
        if first > self._start(block) or self.begun:
            return checkpoints.load_neighbors(self.read_from / "checkpoints", index)
        neighbors = self.model.neighbors(self.features(self.feed.pool(block)))
        checkpoints.save_neighbors(self.workdir / "checkpoints", index, neighbors)
        return neighbors

    def losses_so_far(self, block: Block) -> list[float]:
        """Training losses of this stage's earlier epochs that can be compared with each other.

        They trained the same heads, and no weight of a loss was still rising: while one does, the
        sum can grow though every part of it falls.
        """
        risen = self._start(block) + math.ceil(self.model.ramp_up * block.stage.epochs)
        return [
            row["loss"]
            for row in self.history
            if row["stage_index"] == block.stage_index
            and row["heads"] == "+".join(block.heads)
            and row["epoch"] >= risen
        ]

    def _own(self, block, epochs):
        """Of so many epochs of a stage those in which the block's heads have their turn."""
        turns = len(block.stage.heads or self.model.head_names) // len(block.heads)
        return max(1, round(epochs / turns))

    def learning_rate(self, block: Block, epoch: int) -> float:
        """Learning rate of an epoch (counted over the run)."""
        return learning_rate_at(
            block.stage,
            epoch - self._start(block),
            self.losses_so_far(block),
            self.schedule.learning_rate_schedule,
            self._own(block, self.schedule.plateau_epochs),
        )

    def _start(self, block):
        """First epoch of the block's stage."""
        return sum(stage.epochs for stage in self.stages[: block.stage_index])

    def check_epoch(self, block: Block, epoch: int, logs: dict[str, float]) -> dict[str, float]:
        """Scores on the validation images of an epoch just trained, where it has any.

        Raises:
          TrainingFailed: if the epoch was a failure.
        """
        self.check(block, epoch, logs)
        last = epoch + 1 == self.total_epochs
        return self.validate() if last or (epoch + 1) % self.schedule.evaluate_every == 0 else {}

    def end_epoch(
        self, block: Block, epoch: int, logs: dict[str, float], seconds: float
    ) -> dict[str, Any]:
        """Writes history and checkpoint of an epoch just trained; returns its row."""
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
        self.history.append(row)
        self._keep_best(row)
        if self._should_stop(block):
            self.stopped_stages.append(block.stage_index)
            self.model.stop_training = True
        files.write_csv(self.workdir / "history.csv", pd.DataFrame(self.history))
        self._save({"epoch": epoch + 1})
        if self.summaries:
            self.summaries.write(row)
        return row

    def save_step(self, block: Block, epoch: int, step: int, seconds: float) -> None:
        """Writes a checkpoint inside an epoch, after `step` of its steps and some seconds."""
        tracked = {
            metric.name: [float(tf.convert_to_tensor(v)) for v in (metric.total, metric.count)]
            for metric in self.model.metrics
        }
        begun = {"step": step, "stage_index": block.stage_index, "seconds": seconds}
        self._save({"epoch": epoch, "begun": begun | {"tracked": tracked}})

    def _save(self, state):
        rest = {"history": self.history, "best": self.best, "stopped_stages": self.stopped_stages}
        checkpoints.save(self.workdir / "checkpoints", self.model, state | rest)

    def images(self, block: Block, epoch: int) -> int:
        """Images that pass a backbone in an epoch of the block."""
        begins, turns = epoch == self._start(block), self.schedule.alternate_steps
        return self.feed.passes(block, begins, turns, self.model.passes_per_view)

    def check(
        self, block: Block, epoch: int, logs: dict[str, float], step: int | None = None
    ) -> None:
        """Raises TrainingFailed if a loss is not finite or a trained head has collapsed."""
        kept, within = self.workdir / "checkpoints", f"step {step} of " if step else ""
        when = f"{within}epoch {epoch + 1} ({block.stage.name})"
        if step and not all(map(math.isfinite, logs.values())):
            batch = epoch * self.feed.steps_per_epoch(block) + step - 1
            when += f", {failures.of_batch(self.feed, block, batch)}"
        failures.check_finite(logs, when, kept)
        failures.check_spread(logs, block.heads, when, kept)

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
        patience = self._own(block, share * block.stage.epochs)
        return bool(losses) and len(losses) - losses.index(min(losses)) > patience
