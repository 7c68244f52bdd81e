"""What the page shows of a place: {component: update}."""

import json
from typing import TYPE_CHECKING, Any

import gradio as gr

from foc_tf.reviewing import grid
from foc_tf.reviewing.markup import shown

if TYPE_CHECKING:
    from foc_tf.reviewing.book import Book, Place
    from foc_tf.reviewing.layout import Parts


def everything(
    parts: "Parts", pages: "Book", place: "Place", text: str, good: bool = True
) -> dict[Any, Any]:
    """All of a place.

    Args:
      parts: `layout.Parts`.
      pages: `book.Book`.
      place: `book.Place`.
      text: of the status line.
      good: whether it says that something worked.
    """
    at = grid.serial()
    run, found = pages.sessions[place.run].run, pages.state(place)
    result = facts(parts, pages, place, text, good)
    images, ticket = pages.page(place), pages.ticket(place)
    result[parts.images] = grid.grid(run, images, found.misfit, at, ticket, not pages.blind)
    last = place.page + 1, pages.pages(place), len(pages.images(place))
    result[parts.pages] = grid.safe("page {} of {}, {:,} images".format(*last))
    return result


def facts(
    parts: "Parts", pages: "Book", place: "Place", text: str, good: bool = True
) -> dict[Any, Any]:
    """All but the images; as `everything`."""
    result = around(parts, pages, place, text, good)
    known, found = pages.groups(place), pages.state(place)
    own = None if place.group is None else known.get(place.group)
    if pages.blind or own is None:
        return result
    run, listed = pages.sessions[place.run].run, pages.listed(place)
    choices = [(_title(run, known[group], found), group) for _, group in listed]
    here = place.group if (place.run, place.group) in listed else None
    result[parts.pick] = gr.update(choices=choices, value=here)
    result[parts.name] = found.names.get(own.number, "")
    voted = own.voted_class if own.voted_class >= 0 else own.trained_class
    label = found.accepted.get(own.number) or (run.classes[voted] if voted >= 0 else None)
    result[parts.label] = gr.update(value=label)
    others = own.similar.tolist()
    others += [g for g in known if g not in others and g != place.group]
    merged = [(_title(run, known[group], found), group) for group in others]
    result[parts.into] = gr.update(choices=merged, value=None)
    return result


def around(
    parts: "Parts", pages: "Book", place: "Place", text: str, good: bool = True
) -> dict[Any, Any]:
    """Status and heading; as `everything`."""
    run, found = pages.sessions[place.run].run, pages.state(place)
    own = None if place.group is None else pages.groups(place).get(place.group)
    title = None
    if pages.blind:
        listed, here = pages.listed(place), (place.run, place.group)
        title = f"Group {listed.index(here) + 1 if here in listed else 0} of {len(listed)}"
    heading = grid.heading(run, own, found, pages.progress(place), title)
    return {parts.heading: heading, parts.status: grid.status(text, good)}


def answer(pages: "Book", place: "Place") -> str:
    """What the browser is told about the marks of the page: JSON, with a number that grows."""
    at = grid.serial()
    misfit, images = pages.state(place).misfit, pages.page(place).tolist()
    marked = [i for i in images if misfit[i]]
    ticket = pages.ticket(place)
    return json.dumps({"at": at, "ticket": ticket, "images": images, "marked": marked})


def _title(run, own, found):
    given = found.names.get(own.number)
    voted = run.classes[own.voted_class] if own.voted_class >= 0 else "no votes"
    done = " ✓" if own.number in found.done else ""
    return f"{own.number}: {shown(given or voted)}{done}"
