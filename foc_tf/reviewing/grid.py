"""A page of images and the facts of its group as HTML; all names are text."""

import base64
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from foc_tf.review_data import thumbnails
from foc_tf.reviewing.clusters import Cluster, top_votes
from foc_tf.reviewing.markup import Html, element, joined, name, number

if TYPE_CHECKING:
    from foc_tf.reviewing.run_data import RunData
    from foc_tf.reviewing.state import State


def safe(markup: str) -> str:
    """Markup in which Gradio's templates (`${...}`, `{{...}}`) find nothing to fill in."""
    for sign in "{}$`\\":
        markup = markup.replace(sign, f"&#{ord(sign)};")
    return str(markup)


def known(experts: Sequence[str]) -> str:
    """The experts who were here before, to begin with one click."""
    if not experts:
        return ""
    # By number: an attribute shows some characters by their code points.
    buttons = [
        element("button", name(expert), type="button", data_number=number)
        for number, expert in enumerate(experts)
    ]
    return safe(element("div", element("span", "Go on as "), buttons, class_="foc-known"))


def grid(
    run: "RunData",
    images: np.ndarray,
    misfit: np.ndarray,
    at: int,
    ticket: int,
    confidence: bool = True,
) -> str:
    """The images of a page, each with its three most voted classes.

    Args:
      run: `run_data.RunData`.
      images: [m] int.
      misfit: [N] bool, marked as not fitting.
      at: `serial` from before `misfit` was read: newer answers about marks stand (app.js).
      ticket: `book.Book.ticket` of the group; clicks carry it.
      confidence: whether to show it.
    """
    if not len(images):
        return safe(element("p", "No image here. Change the filters.", class_="foc-none"))
    cells = [_cell(run, int(index), bool(misfit[index]), confidence) for index in images]
    about = {"role": "group", "aria_label": "images", "data_at": at, "data_ticket": ticket}
    return safe(element("div", cells, class_="foc-grid", **about))


def _cell(run, index, misfit, confidence):
    most = top_votes(run.votes[index])
    votes = [element("span", element("b", count), " ", name(run.classes[c])) for c, count in most]
    caption = votes or [element("span", "no votes")]
    prob = element("span", f"{run.cluster_prob[index]:.2f}", class_="foc-prob")
    # A button: what a screen reader calls pressed is what the expert marked.
    return element(
        "button",
        _picture(run, index),
        element("span", caption, class_="foc-votes"),
        prob if confidence else None,
        type="button",
        class_="foc-cell",
        data_image=index,
        aria_pressed="true" if misfit else "false",
        title=f"{run.ids[index]}",
    )


def _picture(run, index):
    content = run.pictures[index]
    if not content:
        return element("span", "no picture", class_="foc-missing")
    source = f"data:{thumbnails.kind(content)};base64,{base64.b64encode(content).decode()}"
    return element("img", src=Html(source), alt="", decoding="async", draggable="false")


def heading(
    run: "RunData",
    facts: Cluster | None,
    state: "State",
    progress: tuple[int, int],
    blind_title: str | None = None,
) -> str:
    """What is known of a group.

    Args:
      run: `run_data.RunData`.
      facts: `clusters.Cluster` of the group, or None.
      state: the expert's `state.State`.
      progress: (groups looked through, groups in all).
      blind_title: instead of all that tells whose cluster it is.
    """
    through = element("p", "{} of {} looked through".format(*progress), class_="foc-progress")
    if facts is None:
        return safe(element("div", through, element("h2", "Nothing left: change the filters.")))
    group = facts.number
    marked = int(state.misfit[facts.members].sum())
    done = element("span", " ✓ looked through", class_="foc-done") if group in state.done else None
    counts = f"{facts.size:,} images, {facts.fuzzy:,} fuzzy, {marked:,} marked."
    title: list[Any]
    lines: list[Any]
    if blind_title:
        title, lines = [blind_title], [[counts]]
    else:
        given = state.names.get(group)
        title = [f"Cluster {group}", [": ", name(given)] if given else None]
        lines = [[counts, *_consistency(facts)], _votes(run, facts), _decided(state, group)]
    parts = [element("p", joined(line)) for line in lines if line]
    similar = None if blind_title else _similar(run, facts, state)
    head = element("h2", title, done)
    # On a phone the decisions are below all images.
    down = element("a", "Decide ↓", href="#foc-side", class_="foc-down")
    return safe(element("div", through, head, parts, similar, down, class_="foc-facts"))


def _consistency(facts):
    return [" Vote consistency ", number(facts.consistency, "no two with votes", 2), "."]


def _votes(run, facts):
    """The classes by vote, as figure 3 has them, and the class that training would give."""
    order = np.argsort(-facts.vote_shares, kind="stable")[:3]
    shares = [(run.classes[c], facts.vote_shares[c]) for c in order if facts.vote_shares[c] > 0]
    yield "Class by vote: "
    for place, (voted, share) in enumerate(shares):
        yield [", " if place else None, element("b" if not place else "span", name(voted))]
        yield f" {share:.0%}"
    yield "." if shares else "none."
    if facts.trained_class not in (-1, facts.voted_class):
        yield [" By its labelled images: ", name(run.classes[facts.trained_class]), "."]


def _similar(run, facts, state):
    """The most similar groups, to look at before a merge: the most confident image of each."""
    if not len(facts.similar):
        return None
    buttons = []
    for other, cosine, first in zip(facts.similar, facts.similarity, facts.similar_first):
        given = state.names.get(int(other))
        text = [f"{other}", [": ", name(given)] if given else None]
        said = f"cosine {cosine:.2f}"
        content = [_picture(run, int(first)), element("span", text)]
        buttons.append(element("button", content, type="button", data_group=other, title=said))
    return element("div", element("span", "Most similar:"), buttons, class_="foc-similar")


def _decided(state, group):
    """What the expert decided about the group so far."""
    if group in state.accepted:
        return ["Class accepted: ", element("b", name(state.accepted[group])), "."]
    if group in state.sent:
        return [{"new_class": "Is a new class.", "ignore": "Is ignored."}[state.sent[group]]]
    return None


_numbers = itertools.count(1)


def serial() -> int:
    """A number that no answer had before."""
    return next(_numbers)


def status(text: str, good: bool = True) -> str:
    """The line that says whether the last decision is saved; never the same twice.

    The browser waits for it to change.
    """
    kind = ("foc-saved" if good else "foc-failed") if text else "foc-quiet"
    return safe(element("p", text, class_=kind, role="status", data_serial=serial()))
