"""What an expert has made of the clusters: a pure function of the decisions.

An image is in one group at any time: first its cluster (0 .. K - 1), then where merges and splits
put it. Groups made by splits have numbers from K on.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from foc_tf.reviewing.decisions import Decision
    from foc_tf.reviewing.run_data import RunData

NEW_CLASS, IGNORE = "new_class", "ignore"
LONGEST_NAME = 200


@dataclasses.dataclass(frozen=True)
class State:
    """One expert's view of a run; never changed, `apply` makes a new one.

    Attributes:
      run: `run_data.RunData`.
      groups: [N] int, group of each image.
      misfit: [N] bool, marked as not fitting its group.
      merged: {group: the group it went into}.
      parents: {group made by a split: the group it came from}.
      names: {group: name}.
      accepted: {group: class} that its images take.
      sent: {group: NEW_CLASS or IGNORE}.
      done: groups that were looked through: their unmarked images fit.
      visited: the group looked at last, or None.
    """

    run: "RunData"
    groups: np.ndarray
    misfit: np.ndarray
    merged: dict[int, int] = dataclasses.field(default_factory=dict)
    parents: dict[int, int] = dataclasses.field(default_factory=dict)
    names: dict[int, str] = dataclasses.field(default_factory=dict)
    accepted: dict[int, str] = dataclasses.field(default_factory=dict)
    sent: dict[int, str] = dataclasses.field(default_factory=dict)
    done: frozenset[int] = frozenset()
    visited: int | None = None

    def root(self, group: int) -> int:
        """The group that `group` is in now: itself, or what it was merged into, chains followed."""
        while group in self.merged:
            group = self.merged[group]
        return group

    def homes(self) -> np.ndarray:
        """[K] int: the group that each cluster is now."""
        return np.array([self.root(c) for c in range(self.run.num_clusters)], np.int64)

    def consistent(self) -> np.ndarray:
        """[N] bool: neither marked nor split off from where its cluster is now."""
        return ~self.misfit & (self.groups == self.homes()[self.run.cluster])

    def rated(self) -> np.ndarray:
        """[N] bool: of a cluster that was looked through."""
        done = np.array([self.root(c) in self.done for c in range(self.run.num_clusters)], bool)
        return done[self.run.cluster]

    def existing(self) -> list[int]:
        """Sorted list of the groups that were not merged away: clusters and splits."""
        known = [*range(self.run.num_clusters), *self.parents]
        return [group for group in known if group not in self.merged]


def start(run: "RunData") -> State:
    """The state before any decision."""
    return State(run, np.array(run.cluster, np.int64), np.zeros(len(run.ids), bool))


def _group(state, arguments, key="group"):
    value = arguments.get(key)
    known = isinstance(value, int) and (value < state.run.num_clusters or value in state.parents)
    if not known or isinstance(value, bool) or value < 0:
        raise ValueError(f"{key}: no cluster {value!r}.")
    if value in state.merged:
        raise ValueError(f"{key}: cluster {value} was merged into {state.merged[value]}.")
    return value


def _images(state, arguments):
    names = arguments.get("images")
    if not isinstance(names, list) or not names:
        raise ValueError(f"images: expected a list of names, found {str(names)[:80]}.")
    try:
        return np.array([state.run.index[name] for name in names], np.int64)
    except (KeyError, TypeError) as error:
        raise ValueError(f"images: the run has no image {error.args[0]!r}.") from None


def _word(arguments, key, allowed=None):
    word = arguments.get(key)
    if not isinstance(word, str) or (allowed and word not in allowed):
        raise ValueError(f"{key}: expected {' or '.join(allowed or ['text'])}, found {word!r}.")
    return word


def _name(state, arguments):
    group, name = _group(state, arguments), " ".join(_word(arguments, "name").split())
    if len(name) > LONGEST_NAME:
        raise ValueError(f"name: expected at most {LONGEST_NAME} characters, found {len(name)}.")
    names = {g: n for g, n in state.names.items() if g != group} | ({group: name} if name else {})
    return dataclasses.replace(state, names=names)


def _merge(state, arguments):
    group, into = _group(state, arguments), _group(state, arguments, "into")
    if group == into:
        raise ValueError(f"into: cluster {group} cannot be merged into itself.")
    return dataclasses.replace(
        state,
        groups=np.where(state.groups == group, into, state.groups),
        merged=state.merged | {group: into},
    )


def _split(state, arguments):
    group, into, images = _group(state, arguments), arguments.get("into"), _images(state, arguments)
    if not isinstance(into, int) or into < state.run.num_clusters or into in state.parents:
        raise ValueError(f"into: expected the number of a new cluster, found {into!r}.")
    if (state.groups[images] != group).any():
        raise ValueError(f"images: not all of them are in cluster {group}.")
    groups, misfit = state.groups.copy(), state.misfit.copy()
    groups[images], misfit[images] = into, False
    parents = state.parents | {into: group}
    return dataclasses.replace(state, groups=groups, misfit=misfit, parents=parents)


def _mark(state, arguments):
    fits = arguments.get("fits")
    if not isinstance(fits, bool):
        raise ValueError(f"fits: expected true or false, found {fits!r}.")
    misfit = state.misfit.copy()
    misfit[_images(state, arguments)] = not fits
    return dataclasses.replace(state, misfit=misfit)


def _accept(state, arguments):
    group, name = _group(state, arguments), _word(arguments, "class")
    sent = {g: where for g, where in state.sent.items() if g != group}
    accepted = state.accepted | {group: name}
    return dataclasses.replace(state, accepted=accepted, sent=sent, done=state.done | {group})


def _send(state, arguments):
    group, where = _group(state, arguments), _word(arguments, "to", (NEW_CLASS, IGNORE))
    accepted = {g: name for g, name in state.accepted.items() if g != group}
    sent = state.sent | {group: where}
    return dataclasses.replace(state, accepted=accepted, sent=sent, done=state.done | {group})


def _done(state, arguments):
    return dataclasses.replace(state, done=state.done | {_group(state, arguments)})


def _visit(state, arguments):
    group = arguments.get("group")
    # A visit is not undone with the split that made its group; it then means nothing.
    return dataclasses.replace(state, visited=group) if group in state.existing() else state


ACTIONS = {
    "name": _name,
    "merge": _merge,
    "split": _split,
    "mark": _mark,
    "accept": _accept,
    "send": _send,
    "done": _done,
    "visit": _visit,
}


def apply(state: State, action: str, arguments: dict[str, Any]) -> State:
    """The state after one more decision.

    Args:
      state: `State`, not changed.
      action: a key of `ACTIONS`.
      arguments: {name: value}.

    Raises:
      ValueError: if the decision is not possible; names the argument.
    """
    if action not in ACTIONS:
        raise ValueError(f"action: expected one of {', '.join(ACTIONS)}, found {action!r}.")
    return ACTIONS[action](state, arguments)


def standing(decisions: "Iterable[Decision]", expert: str) -> "list[Decision]":
    """An expert's decisions that were not undone.

    Undo names the decision that it takes back: her last one still standing, visits not counted.

    Args:
      decisions: list of `decisions.Decision`, of all experts.
      expert: whose.

    Raises:
      ValueError: if an undo names another one.
    """
    kept = []
    for decision in decisions:
        if decision.expert != expert:
            continue
        if decision.action != "undo":
            kept.append(decision)
            continue
        last = last_standing(kept)
        if last is None or last.number != decision.arguments.get("number"):
            raise ValueError(
                f"decision {decision.number}: undo of {decision.arguments.get('number')!r}, which "
                "is not the last one that stands."
            )
        kept.remove(last)
    return kept


def last_standing(kept: "Sequence[Decision]") -> "Decision | None":
    """The decision that the next undo takes back, or None."""
    return next((d for d in reversed(kept) if d.action != "visit"), None)


def replay(run: "RunData", decisions: "Iterable[Decision]", expert: str) -> State:
    """One expert's state.

    Args:
      run: `run_data.RunData`.
      decisions: list of `decisions.Decision`, of all experts.
      expert: whose.

    Raises:
      ValueError: if a decision does not fit the run; names its number.
    """
    state = start(run)
    for decision in standing(decisions, expert):
        try:
            state = apply(state, decision.action, decision.arguments)
        except ValueError as error:
            raise ValueError(f"decision {decision.number} ({decision.action}): {error}") from None
    return state


def experts(decisions: "Iterable[Decision]") -> list[str]:
    """Names of those who decided something, in the order of their first decision."""
    return list(dict.fromkeys(d.expert for d in decisions))
