"""A run under review: what is on the disk and what it means, in step."""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from foc_tf.reviewing import decisions, state

if TYPE_CHECKING:
    from foc_tf.reviewing.run_data import RunData
    from foc_tf.reviewing.state import State


class Session:
    """The review of one run, held by this process.

    Attributes:
      run: `run_data.RunData`.
      log: `decisions.Log`.

    Args:
      run: see above.

    Raises:
      ValueError: if the decisions are damaged, not of this run, or held by another process.
    """

    def __init__(self, run: "RunData") -> None:
        """See the class."""
        self.run, self.log = run, decisions.Log(run.workdir)
        self._states: dict[str, State] = {}
        # A server answers several browsers at once.
        self._lock = threading.RLock()
        try:
            for expert in state.experts(self.log.decisions):
                self.state(expert)
        except ValueError as error:
            self.log.close()
            raise ValueError(
                f"{self.log.path}: {error} Was the run trained again since? Move the file away to "
                "begin anew."
            ) from None

    def state(self, expert: str) -> "State":
        """`state.State` of an expert, a new one's too."""
        if expert not in self._states:
            self._states[expert] = state.replay(self.run, self.log.decisions, expert)
        return self._states[expert]

    def decide(self, expert: str, action: str, arguments: dict[str, Any]) -> "State":
        """Applies a decision; it is on the disk when this returns.

        Args:
          expert: who.
          action: a key of `state.ACTIONS`.
          arguments: {name: value} of the action.

        Returns:
          The new `state.State`.

        Raises:
          ValueError: if it is not possible; nothing was written.
          OSError: if it could not be written; the state is as before.
        """
        with self._lock:
            after = state.apply(self.state(expert), action, arguments)
            self.log.append(expert, action, arguments)
            self._states[expert] = after
        return after

    def split(self, expert: str, group: int | None, images: Sequence[str]) -> int:
        """Splits images off into a new group; returns its number."""
        with self._lock:
            # Numbers of undone splits are not used again: a line of the log means one group.
            used = [
                d.arguments["into"]
                for d in self.log.decisions
                if d.action == "split" and d.expert == expert
            ]
            into = max([self.run.num_clusters - 1, *used]) + 1
            self.decide(expert, "split", {"group": group, "images": images, "into": into})
        return into

    def last(self, expert: str) -> decisions.Decision | None:
        """The expert's decision that `undo` would take back, or None."""
        return state.last_standing(state.standing(self.log.decisions, expert))

    def undo(self, expert: str) -> decisions.Decision | None:
        """Takes back the expert's last decision; returns it, or None if there is none."""
        with self._lock:
            last = self.last(expert)
            if last is not None:
                self.log.append(expert, "undo", {"number": last.number})
                self._states[expert] = state.replay(self.run, self.log.decisions, expert)
        return last

    def names(self, images: Sequence[int] | np.ndarray) -> list[str]:
        """Names of images by number, as decisions have them."""
        return [str(name) for name in self.run.ids[np.asarray(images, np.int64)]]
