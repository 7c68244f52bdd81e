"""The components of the review's page, and what they show of a place."""

import dataclasses
import json
import pathlib

import gradio as gr

from foc_tf.reviewing import book, grid
from foc_tf.reviewing.markup import shown

_HERE = pathlib.Path(__file__).parent
_HELP = (
    "Click an image that does not fit; shift-click marks a row of them. Keys: arrows, space, "
    "shift+space; n next, p previous, d looked through, u undo."
)


@dataclasses.dataclass
class Parts:
    """Components by what they are for."""

    status: gr.HTML
    heading: gr.HTML
    images: gr.HTML
    answer: gr.HTML
    pages: gr.HTML
    pick: gr.Dropdown
    name: gr.Textbox
    label: gr.Dropdown
    into: gr.Dropdown
    filters: list
    buttons: dict


def make(pages):
    """Makes the components inside the current `gradio.Blocks`.

    Args:
      pages: `book.Book`.

    Returns:
      `Parts`.
    """
    buttons = {}

    def button(key, text, **options):
        buttons[key] = gr.Button(text, elem_id=f"foc-{key}", size="sm", min_width=60, **options)

    with gr.Row():
        with gr.Column(scale=4, min_width=480):
            status = gr.HTML(elem_id="foc-status")
            heading = gr.HTML(elem_id="foc-heading")
            with gr.Row():
                button("back", "◀ images")
                counted = gr.HTML(elem_id="foc-pages")
                button("more", "images ▶")
                button("mark_all", "Mark all shown")
                button("unmark_all", "Unmark all shown")
            images = gr.HTML(js_on_load=_text("app.js"), elem_id="foc-images")
            answer = gr.HTML(html_template="<!-- -->", js_on_load=_text("answer.js"))
        with gr.Column(scale=1, min_width=260):
            gr.Markdown(_HELP)
            with gr.Row():
                button("previous", "◀ Previous")
                button("next", "Next ▶")
            button("done", "Looked through, next", variant="primary")
            button("undo", "Undo")
            mine = not pages.blind
            pick = gr.Dropdown([], label="Go to", visible=mine, elem_id="foc-pick")
            with gr.Column(visible=mine):
                name = gr.Textbox(label="Name", max_length=200, elem_id="foc-name-text")
                button("name", "Save name")
                classes = [(shown(c), c) for c in pages.sessions[0].run.classes]
                label = gr.Dropdown(classes, label="Class", elem_id="foc-label")
                button("accept", "Accept class for its fuzzy images")
                with gr.Row():
                    button("new_class", "New class")
                    button("ignore", "Ignore")
                button("split", "Split off marked images")
                into = gr.Dropdown([], label="Merge into", elem_id="foc-into")
                button("merge", "Merge")
            filters = _filters(mine)
    return Parts(
        *(status, heading, images, answer, counted, pick, name, label, into, filters, buttons)
    )


def _text(name):
    return (_HERE / name).read_text(encoding="utf-8")


def _filters(visible):
    with gr.Accordion("Show", open=True):
        return [
            gr.Checkbox(label="fuzzy images only", elem_id="foc-fuzzy"),
            gr.Checkbox(label="unnamed clusters only", visible=visible, elem_id="foc-unnamed"),
            gr.Dropdown(list(book.ORDERS), value=book.NUMBER, label="Order", visible=visible),
            gr.Dropdown([60, 120, 300], value=120, label="Images of a page", elem_id="foc-size"),
        ]


def everything(parts, pages, place, text, good=True):
    """{component: update} of a place.

    Args:
      parts: `Parts`.
      pages: `book.Book`.
      place: `book.Place`.
      text: of the status line, "" to leave it.
      good: whether it says that something worked.
    """
    run, found = pages.sessions[place.run].run, pages.state(place)
    facts = pages.groups(place).get(place.group)
    images = pages.page(place)
    result = around(parts, pages, place, text, good)
    result[parts.images] = grid.grid(run, images, found.misfit)
    last = place.page + 1, pages.pages(place), len(pages.images(place))
    result[parts.pages] = grid.safe("page {} of {}, {:,} images".format(*last))
    if pages.blind or facts is None:
        return result
    listed = pages.listed(place)
    choices = [(_title(found, group), group) for _, group in listed]
    here = place.group if (place.run, place.group) in listed else None
    result[parts.pick] = gr.update(choices=choices, value=here)
    result[parts.name] = found.names.get(place.group, "")
    voted = facts.voted_class if facts.voted_class >= 0 else facts.trained_class
    label = found.accepted.get(place.group) or (run.classes[voted] if voted >= 0 else None)
    result[parts.label] = gr.update(value=label)
    others = [*facts.similar.tolist()]
    others += [g for g in pages.groups(place) if g not in others and g != place.group]
    result[parts.into] = gr.update(choices=[(_title(found, g), g) for g in others], value=None)
    return result


def around(parts, pages, place, text, good=True):
    """{component: update} of what stands around the images; as `everything`."""
    run, found = pages.sessions[place.run].run, pages.state(place)
    facts = pages.groups(place).get(place.group)
    title = None
    if pages.blind:
        listed = pages.listed(place)
        here = (place.run, place.group)
        at = listed.index(here) + 1 if here in listed else 0
        title = f"Group {at} of {len(listed)}"
    result = {parts.heading: grid.heading(run, facts, found, title)}
    if text:
        result[parts.status] = grid.status(text, good)
    return result


def answer(pages, place, images, text):
    """What the browser is told about images that were clicked: JSON that changes every time."""
    misfit = pages.state(place).misfit
    marked = [i for i in images if misfit[i]]
    return json.dumps({"images": images, "marked": marked, "said": text})


def _title(found, group):
    given = found.names.get(group)
    return f"{group}: {shown(given)}" if given else f"{group}"
