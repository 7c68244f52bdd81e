"""What the buttons do: (book, place, values) -> (place, sentence). Saved when they return.

All raise ValueError, with a sentence for the expert, if a decision is not possible.
"""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from foc_tf.reviewing import state

if TYPE_CHECKING:
    from foc_tf.reviewing.book import Book, Place


def begin(book: "Book", expert: str | None) -> "tuple[Place, str]":
    """Opens the book where the expert stopped."""
    expert = " ".join(str(expert or "").split())
    if not 0 < len(expert) <= state.LONGEST_NAME:
        raise ValueError("Please give your name first.")
    return book.begin(expert), f"Welcome, {expert}."


def go(book: "Book", place: "Place", run_and_group: tuple[int, int | None]) -> "tuple[Place, str]":
    """Goes to a group of `Book.listed`."""
    run, group = run_and_group
    if not 0 <= run < len(book.sessions) or group not in book.groups(place, run):
        raise ValueError(f"There is no cluster {group!r} any more.")
    return _visited(book, dataclasses.replace(place, run=run, group=group, page=0)), ""


def step(book: "Book", place: "Place", by: int) -> "tuple[Place, str]":
    """Goes `by` groups further on."""
    return _visited(book, book.step(place, by)), ""


def turn(book: "Book", place: "Place", by: int) -> "tuple[Place, str]":
    """Turns `by` pages of the group's images."""
    page = min(max(place.page + by, 0), book.pages(place) - 1)
    return dataclasses.replace(place, page=page), ""


def look(
    book: "Book", place: "Place", fuzzy_only: bool, unnamed_only: bool, order: str, size: int
) -> "tuple[Place, str]":
    """Changes filters and order; the group stays if it is still shown."""
    place = dataclasses.replace(
        place, page=0, fuzzy_only=fuzzy_only, unnamed_only=unnamed_only, order=order, size=size
    )
    return _visited(book, book.step(place, 0)), ""


def name(book: "Book", place: "Place", text: str | None) -> "tuple[Place, str]":
    """Names the group."""
    book.decide(place, "name", {"group": place.group, "name": text or ""})
    return place, _saved(book, place, "the name")


def accept(book: "Book", place: "Place", label: str | None) -> "tuple[Place, str]":
    """Accepts a class for the group's images."""
    if label not in book.sessions[place.run].run.classes:
        raise ValueError("Choose a class first.")
    book.decide(place, "accept", {"group": place.group, "class": label})
    return place, _saved(book, place, "the class")


def send(book: "Book", place: "Place", where: str) -> "tuple[Place, str]":
    """Sends the group to a new class, or away."""
    book.decide(place, "send", {"group": place.group, "to": where})
    return place, _saved(book, place, "new class" if where == state.NEW_CLASS else "ignored")


def merge(book: "Book", place: "Place", into: int | None) -> "tuple[Place, str]":
    """Merges the group into another one and goes there."""
    if into is None:
        raise ValueError("Choose a cluster to merge into first.")
    book.decide(place, "merge", {"group": place.group, "into": into})
    text = _saved(book, place, f"cluster {place.group} is now in {into}")
    return _visited(book, dataclasses.replace(place, group=into, page=0)), text


def split(book: "Book", place: "Place") -> "tuple[Place, str]":
    """Splits the marked images off into a new group and goes there."""
    session, found = book.sessions[place.run], book.state(place)
    marked = np.flatnonzero(found.misfit & (found.groups == place.group))
    if not len(marked):
        raise ValueError("Mark the images to split off first.")
    into = session.split(place.expert, place.group, session.names(marked))
    text = _saved(book, place, f"{len(marked)} images are now cluster {into}")
    return _visited(book, dataclasses.replace(place, group=into, page=0)), text


def mark(book: "Book", place: "Place", images: list[int], fits: bool) -> "tuple[Place, str]":
    """Marks images of the group as not fitting, or takes the marks away."""
    session = book.sessions[place.run]
    numbers = isinstance(images, list) and all(type(i) is int for i in images)
    if not numbers or not images or not 0 <= min(images) <= max(images) < len(session.run.ids):
        raise ValueError("These are not images of this run.")
    if (book.state(place).groups[images] != place.group).any():
        raise ValueError("Some of these images are not in this cluster any more.")
    book.decide(place, "mark", {"images": session.names(images), "fits": fits})
    return place, _saved(book, place, f"{len(images)} {'fit' if fits else 'marked'}")


def mark_shown(
    book: "Book", place: "Place", ticket: int, images: list[int], fits: bool
) -> "tuple[Place, str]":
    """Marks what was clicked, if the browser showed the group of the place (`Book.ticket`).

    Between an answer and its display a click is still on the page before. In a blind review that
    page can be of the other run, where the same numbers are the same images.
    """
    if ticket != book.ticket(place):
        raise ValueError("The page was about to change: click again on the one that is here now.")
    return mark(book, place, images, fits)


def mark_page(book: "Book", place: "Place", fits: bool) -> "tuple[Place, str]":
    """Marks all images of the page, or takes their marks away."""
    return mark(book, place, book.page(place).tolist(), fits)


def done(book: "Book", place: "Place") -> "tuple[Place, str]":
    """Notes that the group was looked through, and goes on to the next."""
    book.decide(place, "done", {"group": place.group})
    text = _saved(book, place, "looked through")
    return step(book, place, 1)[0], text


def undo(book: "Book", place: "Place") -> "tuple[Place, str]":
    """Takes back the expert's last decision and goes to where it was made."""
    undone = book.undo(place.expert)
    if undone is None:
        raise ValueError("There is nothing to undo.")
    run, decision = undone
    place = dataclasses.replace(place, run=run)
    text = _saved(book, place, f"{decision.action} is undone")
    group = decision.arguments.get("group", place.group)
    if group in book.groups(place) and (group != place.group):
        place = dataclasses.replace(place, group=group, page=0)
    elif place.group not in book.groups(place):
        place = book.step(dataclasses.replace(place, group=None), 0)
    return place, text


def _saved(book, place, what):
    return f"saved {book.decided()}: {what}"


def _visited(book, place):
    """Keeps where the expert is, for tomorrow."""
    if place.group is not None and book.state(place).visited != place.group:
        book.decide(place, "visit", {"group": place.group})
    return place
