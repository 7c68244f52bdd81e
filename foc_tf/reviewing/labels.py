"""From the experts' groups to votes for the next round of training."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from foc_tf.reviewing import state

if TYPE_CHECKING:
    from foc_tf.reviewing.run_data import RunData

REPLACE, ADD = "replace", "add"


@dataclasses.dataclass(frozen=True)
class NewVotes:
    """Votes after a review.

    Attributes:
      classes: C names of before, then new ones.
      votes: [N, C'] int64 counts.
      labelled: [N] bool, whether an expert gave the image a label.
      left_out: [N] bool, images sent to "ignore" that nobody labelled.
    """

    classes: tuple[str, ...]
    votes: np.ndarray
    labelled: np.ndarray
    left_out: np.ndarray


def of_groups(found: state.State, classes: Sequence[str]) -> dict[int, str]:
    """The label that each group has, by its expert.

    Args:
      found: `state.State`.
      classes: C names.

    Returns:
      {group: class accepted, or name of a new one}.

    Raises:
      ValueError: if a class is not known, or a new class has no name or the name of an old one.
    """
    labels = {}
    for group in found.existing():
        if group in found.accepted:
            labels[group] = found.accepted[group]
            if labels[group] not in classes:
                raise ValueError(f"cluster {group}: {labels[group]!r} is no class of the run.")
        elif found.sent.get(group) == state.NEW_CLASS:
            name = found.names.get(group, "")
            if not name:
                raise ValueError(
                    f"cluster {group} was sent to a new class and has no name: name it, which "
                    "names the class, or undo."
                )
            if name in classes:
                raise ValueError(
                    f"cluster {group} was sent to a new class and has the name of an old one, "
                    f"{name!r}: accept that class for it, or give another name."
                )
            labels[group] = name
    return labels


def open_images(run: "RunData") -> np.ndarray:
    """[N] bool: images that a review may label.

    Not those that the annotators agree on, whose votes stay, nor those of `test`, which stays what
    it was.

    Args:
      run: `run_data.RunData`.
    """
    return ~run.certain & (run.split != "test")


def combine(
    run: "RunData",
    found: Mapping[str, state.State],
    how: str = REPLACE,
    weight: int = 1,
    may: np.ndarray | None = None,
) -> NewVotes:
    """New votes of all images.

    An image takes the label of its group, from every expert who gave the group one, unless that
    expert marked it as not fitting. Experts who differ make it fuzzy again.

    Args:
      run: `run_data.RunData`.
      found: {expert: `state.State`}.
      how: "replace": the experts' labels instead of the old votes; "add": beside them.
      weight: votes that a label counts.
      may: [N] bool, images that may take a label; None for `open_images`.

    Returns:
      `NewVotes`.

    Raises:
      ValueError: if `how` or `weight` is wrong, or a group's label (`of_groups`).
    """
    if how not in (REPLACE, ADD):
        raise ValueError(f"combine: expected replace or add, found {how!r}.")
    if weight < 1:
        raise ValueError(f"expert_votes: expected at least 1, found {weight}.")
    labels = {expert: of_groups(own, run.classes) for expert, own in found.items()}
    names = dict.fromkeys(run.classes)
    for given_names in labels.values():
        names |= dict.fromkeys(given_names.values())
    classes, place = tuple(names), {name: index for index, name in enumerate(names)}
    given = np.zeros((len(run.ids), len(classes)), np.int64)
    ignored = np.zeros(len(run.ids), bool)
    may = open_images(run) if may is None else may
    for expert, own in found.items():
        fits = may & ~own.misfit
        for group, name in labels[expert].items():
            given[fits & (own.groups == group), place[name]] += weight
        away = [g for g, where in own.sent.items() if where == state.IGNORE]
        ignored |= fits & np.isin(own.groups, away)
    labelled = given.any(axis=1)
    votes = np.pad(run.votes, ((0, 0), (0, len(classes) - len(run.classes))))
    votes = np.where((labelled & (how == REPLACE))[:, None], given, votes + given)
    return NewVotes(classes, votes, labelled, ignored & ~labelled)
