"""A run under review: what is on the disk and what it means, in step."""

import threading

import numpy as np

from foc_tf.reviewing import decisions, state


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

    def __init__(self, run):
        """See the class."""
        self.run, self.log, self._states = run, decisions.Log(run.workdir), {}
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

    def state(self, expert):
        """`state.State` of an expert, a new one's too."""
        if expert not in self._states:
            self._states[expert] = state.replay(self.run, self.log.decisions, expert)
        return self._states[expert]

    def decide(self, expert, action, arguments):
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

    def split(self, expert, group, images):
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

    def last(self, expert):
        """The expert's decision that `undo` would take back, or None."""
        return state.last_standing(state.standing(self.log.decisions, expert))

    def undo(self, expert):
        """Takes back the expert's last decision; returns it, or None if there is none."""
        with self._lock:
            last = self.last(expert)
            if last is not None:
                self.log.append(expert, "undo", {"number": last.number})
                self._states[expert] = state.replay(self.run, self.log.decisions, expert)
        return last

    def names(self, images):
        """Names of images by number, as decisions have them."""
        return [str(name) for name in self.run.ids[np.asarray(images, np.int64)]]
