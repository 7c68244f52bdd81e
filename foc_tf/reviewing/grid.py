"""A page of images and the facts of its group as HTML; all names are text."""

import base64

from foc_tf.review_data import thumbnails
from foc_tf.reviewing.clusters import top_votes
from foc_tf.reviewing.markup import Html, element, joined, name, number


def safe(markup):
    """Markup in which Gradio's templates (`${...}`, `{{...}}`) find nothing to fill in."""
    for sign in "{}$`\\":
        markup = markup.replace(sign, f"&#{ord(sign)};")
    return str(markup)


def grid(run, images, misfit):
    """The images of a page, each with its three most voted classes.

    Args:
      run: `run_data.RunData`.
      images: [m] int.
      misfit: [N] bool, marked as not fitting.
    """
    if not len(images):
        return safe(element("p", "No image here. Change the filters.", class_="foc-none"))
    cells = [_cell(run, int(index), bool(misfit[index])) for index in images]
    return safe(element("div", cells, class_="foc-grid", role="group", aria_label="images"))


def _cell(run, index, misfit):
    most = top_votes(run.votes[index])
    votes = [element("span", f"{count} ", name(run.classes[c])) for c, count in most]
    caption = votes or [element("span", "no votes")]
    # A button: what a screen reader calls pressed is what the expert marked.
    return element(
        "button",
        _picture(run, index),
        element("span", caption, class_="foc-votes"),
        element("span", f"{run.cluster_prob[index]:.2f}", class_="foc-prob"),
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


def heading(run, facts, state, blind_title=None):
    """What is known of a group.

    Args:
      run: `run_data.RunData`.
      facts: `clusters.Cluster` of the group, or None.
      state: the expert's `state.State`.
      blind_title: instead of all that tells whose cluster it is.
    """
    if facts is None:
        return safe(element("h2", "Nothing left here. Change the filters."))
    group = facts.number
    marked = int(state.misfit[facts.members].sum())
    done = element("span", " ✓ looked through", class_="foc-done") if group in state.done else None
    if blind_title:
        title = [blind_title]
        lines = [[f"{facts.size:,} images, {facts.fuzzy:,} fuzzy, {marked:,} marked"]]
    else:
        given = state.names.get(group)
        title = [f"Cluster {group}", [": ", name(given)] if given else None]
        lines = [*_lines(run, facts, marked), _decided(state, group)]
    parts = [element("p", joined(line)) for line in lines if line]
    return safe(element("div", element("h2", title, done), parts, class_="foc-facts"))


def _lines(run, facts, marked):
    voted = name(run.classes[facts.voted_class]) if facts.voted_class >= 0 else "none"
    share = f" ({facts.vote_shares[facts.voted_class]:.0%})" if facts.voted_class >= 0 else ""
    yield [
        f"{facts.size:,} images, {facts.fuzzy:,} fuzzy, {marked:,} marked. Class by vote: ",
        *(voted, share, ". Vote consistency ", number(facts.consistency, "no two with votes", 2)),
        ".",
    ]
    if len(facts.similar):
        yield ["Most similar: ", ", ".join(str(other) for other in facts.similar), "."]


def _decided(state, group):
    """What the expert decided about the group so far."""
    if group in state.accepted:
        return ["Class accepted: ", name(state.accepted[group])]
    if group in state.sent:
        return [{"new_class": "Is a new class", "ignore": "Is ignored"}[state.sent[group]]]
    return None


def status(text, good=True):
    """The line that says whether the last decision is saved."""
    kind = "foc-saved" if good else "foc-failed"
    return safe(element("p", text, class_=kind, role="status"))
