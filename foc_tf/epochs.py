"""Hands the ends of steps and epochs of `fit` to the run, and stops between two steps."""

import math
import time
from typing import Any

import keras

from foc_tf import stopping
from foc_tf.stages import Block


class Epochs(keras.callbacks.Callback):
    """Callback of one `loop.Run` for one block.

    Args:
      run: the `loop.Run`.
      block: the `stages.Block`.
      started: time.perf_counter() of when the block began; what is made for the block is part of
        its first epoch's time.
      begun: state of an epoch that was stopped in its middle, as `loop.Run.save_step` kept it, or
        None.
    """

    def __init__(self, run: Any, block: Block, started: float, begun: dict | None = None) -> None:
        """See the class."""
        super().__init__()
        self.run, self.block, self.started, self.begun = run, block, started, begun
        self.epoch, self.step = 0, 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Learning rate; what was tracked before the epoch was stopped."""
        self.model.optimizer.learning_rate = self.run.learning_rate(self.block, epoch)
        self.epoch, self.step = epoch, 0
        if self.begun is not None:
            self.step = self.begun["step"]
            self.started -= self.begun["seconds"]
            for metric in self.model.metrics:
                total, count = self.begun["tracked"][metric.name]
                metric.total.assign(total)
                metric.count.assign(count)
            self.begun = None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Stops at a loss that is not finite, and between two steps when a signal came."""
        self.step += 1
        if not math.isfinite(logs["loss"]):
            self.run.check(self.block, epoch=self.epoch, logs=logs, step=self.step)
        if self.run.keeps_steps:
            # The first step of a block takes long to compile; only now is the next one near.
            stopping.hold()
            if stopping.asked():
                self._keep()
                stopping.release()

    def _keep(self):
        seconds = time.perf_counter() - self.started
        self.run.save_step(self.block, self.epoch, self.step, seconds)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Has the epoch checked, validated and written."""
        seconds, logs = time.perf_counter() - self.started, self.model.epoch_results()
        try:
            stopping.release()
            scores = self.run.check_epoch(self.block, epoch, logs)
        except stopping.STOPS:
            if self.run.keeps_steps:
                self._keep()
            raise
        stopping.hold()  # what follows is short and belongs together
        row = self.run.end_epoch(self.block, epoch, logs | scores, seconds)
        if self.run.verbose:
            scores = [f"{k} {v:.4f}" for k, v in row.items() if k.startswith("val_")]
            print(
                f"epoch {epoch + 1}/{self.run.total_epochs} {row['stage']} [{row['heads']}] "
                f"loss {row['loss']:.4f} {row['images'] / max(seconds, 1e-9):.0f} images/s "
                + " ".join(scores),
                flush=True,
            )
            if self.block.stage_index in self.run.stopped_stages:
                print(
                    f"{row['stage']} ends here: no new minimum of the loss (--early_stopping_share)"
                )
        self.started = time.perf_counter()  # validation and writing are no training
