"""The pages an expert turns: which groups, in which order, which images of them. No HTML."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from foc_tf.reviewing import clusters

if TYPE_CHECKING:
    from foc_tf.reviewing.decisions import Decision
    from foc_tf.reviewing.session import Session
    from foc_tf.reviewing.state import State

NUMBER, LARGEST, LEAST_ALIKE = "by number", "largest first", "lowest consistency first"
ORDERS = (NUMBER, LARGEST, LEAST_ALIKE)


@dataclasses.dataclass(frozen=True)
class Place:
    """Where an expert is.

    Attributes:
      expert: who.
      run: which of the book's sessions.
      group: of that run, or None before the first.
      page: of its images, from 0.
      size: images of a page.
      fuzzy_only: show only images on which the annotators disagree, and groups that have some.
      unnamed_only: go only to groups without a name.
      order: of `ORDERS`, of the groups.
    """

    expert: str
    run: int = 0
    group: int | None = None
    page: int = 0
    size: int = 120
    fuzzy_only: bool = False
    unnamed_only: bool = False
    order: str = NUMBER


class Book:
    """The groups of one run, or, blind, the clusters of two mixed.

    Attributes:
      sessions: list of `session.Session`.
      blind: whether it is not said whose a cluster is.

    Args:
      sessions: one, or two for a blind review.
      seed: of the order of a blind review.
    """

    def __init__(self, sessions: "Sequence[Session]", seed: int = 0) -> None:
        """See the class."""
        self.sessions, self.blind = sessions, len(sessions) > 1
        self._known: dict[Any, Any] = {}
        self._tickets: dict[Any, int] = {}
        self._numbers = itertools.count()
        pages = [
            (number, int(cluster))
            for number, session in enumerate(sessions)
            for cluster in np.unique(session.run.cluster)
        ]
        mixed = np.random.default_rng(seed).permutation(len(pages))
        self._mixed = [pages[i] for i in mixed]

    def state(self, place: Place) -> "State":
        """The expert's `state.State` of the run she is in."""
        return self.sessions[place.run].state(place.expert)

    def groups(self, place: Place, run: int | None = None) -> dict[int, clusters.Cluster]:
        """{group: `clusters.Cluster`} of those that have images, as the expert made them."""
        run = place.run if run is None else run
        session, key = self.sessions[run], (run, place.expert)
        found = session.state(place.expert).groups
        kept = self._known.get(key)
        if kept is None or kept[0] is not found:
            seen = dataclasses.replace(
                session.run, cluster=found, num_clusters=int(found.max(initial=0)) + 1
            )
            kept = (found, clusters.describe(seen))
            self._known[key] = kept
        return kept[1]

    def listed(self, place: Place) -> list[tuple[int, int]]:
        """[(run, group)] that the filters leave, in order."""
        if self.blind:
            # What she merged or split in a review of one run is as she left it.
            runs = range(len(self.sessions))
            own = {(run, g): facts for run in runs for g, facts in self.groups(place, run).items()}
            # In their order, and what she split off at the end.
            order = dict.fromkeys([*self._mixed, *own])
            return [p for p in order if p in own and (own[p].fuzzy or not place.fuzzy_only)]
        found, names = self.groups(place), self.state(place).names
        chosen = [
            g
            for g, facts in found.items()
            if (facts.fuzzy or not place.fuzzy_only) and not (place.unnamed_only and names.get(g))
        ]
        if place.order == LARGEST:
            chosen.sort(key=lambda g: -found[g].size)
        if place.order == LEAST_ALIKE:
            alike = {g: 2.0 if (c := found[g].consistency) is None else c for g in chosen}
            chosen.sort(key=alike.__getitem__)
        return [(0, g) for g in chosen]

    def ticket(self, place: Place) -> int:
        """A number by which the browser says whose images it shows; it tells nothing of the run."""
        return self._tickets.setdefault((place.run, place.group), next(self._numbers))

    def step(self, place: Place, by: int) -> Place:
        """The place `by` groups further on in the list; the ends stop."""
        entries = self.listed(place)
        if not entries:
            return dataclasses.replace(place, group=None, page=0)
        here = (place.run, place.group)
        at = entries.index(here) + by if here in entries else self._near(place, entries, by)
        run, group = entries[min(max(at, 0), len(entries) - 1)]
        return dataclasses.replace(place, run=run, group=group, page=0)

    def _near(self, place, entries, by):
        """Where a group that the filters hide would be: she named it and goes on."""
        if place.group is None:
            return 0
        everything = self.listed(dataclasses.replace(place, fuzzy_only=False, unnamed_only=False))
        here = (place.run, place.group)
        start = everything.index(here) if here in everything else 0
        after = [e for e in everything[start + 1 :] if e in entries]
        at = entries.index(after[0]) if after else len(entries)
        return at + by - (by > 0)

    def begin(self, expert: str) -> Place:
        """Where the expert stopped, or the first group."""
        visits = [
            (decision.time, number, decision.arguments.get("group"))
            for number, session in enumerate(self.sessions)
            for decision in session.log.decisions
            if decision.action == "visit" and decision.expert == expert
        ]
        for _, run, group in sorted(visits, reverse=True, key=lambda visit: visit[0]):
            if group in self.groups(Place(expert), run):
                return Place(expert, run, group)
        return self.step(Place(expert), 0)

    def images(self, place: Place) -> np.ndarray:
        """[M] int, all images of the group that may be shown, the most confident first."""
        found = None if place.group is None else self.groups(place).get(place.group)
        if found is None:
            return np.zeros(0, np.int64)
        fuzzy = self.sessions[place.run].run.fuzzy
        return found.members[fuzzy[found.members]] if place.fuzzy_only else found.members

    def pages(self, place: Place) -> int:
        """Number of pages of the group, at least 1."""
        return max(1, -(-len(self.images(place)) // place.size))

    def page(self, place: Place) -> np.ndarray:
        """[m] int, the images of the page."""
        start = place.page * place.size
        return self.images(place)[start : start + place.size]

    def decided(self) -> int:
        """Number of decisions, of all runs: their own would tell whose a cluster is."""
        return sum(len(session.log.decisions) for session in self.sessions)

    def progress(self, place: Place) -> tuple[int, int]:
        """(number of groups of the list that were looked through, number of all)."""
        listed = self.listed(place)
        own = [session.state(place.expert) for session in self.sessions]
        return sum(group in own[run].done for run, group in listed), len(listed)

    def decide(self, place: Place, action: str, arguments: dict[str, Any]) -> "State":
        """Saves a decision about the run she is in."""
        return self.sessions[place.run].decide(place.expert, action, arguments)

    def undo(self, expert: str) -> "tuple[int, Decision] | None":
        """Takes back her last decision in whichever run; returns (run, decision) or None."""
        lasts = [
            (last.time, number)
            for number, session in enumerate(self.sessions)
            if (last := session.last(expert)) is not None
        ]
        if not lasts:
            return None
        run = max(lasts)[1]
        undone = self.sessions[run].undo(expert)
        return None if undone is None else (run, undone)
