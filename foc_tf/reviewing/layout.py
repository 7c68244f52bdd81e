"""The components of the review's page."""

import dataclasses
import pathlib
from typing import Any

import gradio as gr

from foc_tf.reviewing import book
from foc_tf.reviewing.markup import escaped, name, shown

_HERE = pathlib.Path(__file__).parent
_HELP = (
    "<p class='foc-help'>Click an image that does not fit, shift-click marks all from the last one "
    "on. By keyboard: <kbd>arrows</kbd>, <kbd>space</kbd> and <kbd>shift</kbd>+<kbd>space</kbd> "
    "mark, <kbd>n</kbd> next, <kbd>p</kbd> previous, <kbd>d</kbd> looked through, <kbd>u</kbd> "
    "undo. Everything is saved as you go; come back any day.</p>"
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

    def shown(self) -> list[Any]:
        """All that an action may change."""
        single = (self.status, self.heading, self.images, self.pages)
        return [*single, self.pick, self.name, self.label, self.into]


@dataclasses.dataclass
class Door:
    """Where an expert says who she is."""

    column: gr.Column
    expert: gr.Textbox
    begin: gr.Button
    known: gr.HTML
    refused: gr.HTML


def door(pages: book.Book) -> Door:
    """Makes the door inside the current `gradio.Blocks`.

    Args:
      pages: `book.Book`.

    Returns:
      `Door`.
    """
    runs = [session.run for session in pages.sessions]
    with gr.Column(elem_id="foc-door") as column:
        title = "Review of two runs, blind" if pages.blind else "Review of clusters"
        about = [] if pages.blind else ["run ", name(runs[0].workdir.resolve().name), ", "]
        about += [name(runs[0].dataset), f", {len(runs[0].ids):,} images"]
        gr.HTML(f"<h1>{title}</h1><p>{''.join(escaped(part) for part in about)}</p>")
        expert = gr.Textbox(
            label="Your name",
            info="Each expert's decisions are kept apart.",
            max_length=200,
            elem_id="foc-expert",
        )
        begin = gr.Button("Begin", variant="primary", elem_id="foc-begin")
        known = _html("known", js_on_load=_text("door.js"))
        refused = gr.HTML()
    return Door(column, expert, begin, known, refused)


def desk(pages: book.Book) -> Parts:
    """Makes the page itself inside the current `gradio.Blocks`.

    Args:
      pages: `book.Book`.

    Returns:
      `Parts`.
    """
    buttons = {}

    def button(key, text, **options):
        buttons[key] = gr.Button(text, elem_id=f"foc-{key}", size="sm", min_width=60, **options)

    with gr.Row(elem_id="foc-desk-row"):
        with gr.Column(scale=4, min_width=300):
            with gr.Column(elem_id="foc-bar"):
                with gr.Row():
                    button("previous", "◀ Previous")
                    button("next", "Next ▶")
                    button("done", "Looked through", variant="primary")
                    button("undo", "Undo")
                status = _html("status", js_on_load=_text("status.js"))
            heading = _html("heading", js_on_load=_text("heading.js"))
            with gr.Row(elem_id="foc-turn"):
                button("back", "◀ images")
                counted = _html("pages")
                button("more", "images ▶")
                button("mark_all", "Mark all shown")
                button("unmark_all", "Unmark all shown")
            images = _html("images", js_on_load=_text("app.js"))
            answer = gr.HTML(html_template="<!-- -->", js_on_load=_text("answer.js"))
        with gr.Column(scale=1, min_width=260, elem_id="foc-side"):
            mine = not pages.blind
            pick = gr.Dropdown([], label="Go to cluster", visible=mine, elem_id="foc-pick")
            with gr.Column(visible=mine):
                own, label, into = _decisions(pages, button)
            filters = _filters(mine)
            gr.HTML(_HELP)
    return Parts(
        *(status, heading, images, answer, counted, pick, own, label, into, filters, buttons)
    )


def _html(key, **options):
    return gr.HTML(elem_id=f"foc-{key}", **options)


def _text(file):
    return (_HERE / file).read_text(encoding="utf-8")


def _decisions(pages, button):
    """What can be decided about a whole cluster: (name, class, into)."""
    own = gr.Textbox(label="Name", max_length=200, elem_id="foc-name-text")
    button("name", "Save name")
    classes = [(shown(c), c) for c in pages.sessions[0].run.classes]
    label = gr.Dropdown(classes, label="Class", elem_id="foc-label")
    button("accept", "Accept class for its fuzzy images")
    with gr.Row():
        button("new_class", "New class")
        button("ignore", "Ignore")
    button("split", "Split off marked images")
    into = gr.Dropdown([], label="Merge into (similar first)", elem_id="foc-into")
    button("merge", "Merge")
    return own, label, into


def _filters(visible):
    with gr.Accordion("Show", open=True):
        return [
            gr.Checkbox(label="fuzzy images only", elem_id="foc-fuzzy"),
            gr.Checkbox(label="unnamed clusters only", visible=visible, elem_id="foc-unnamed"),
            gr.Dropdown(
                list(book.ORDERS),
                value=book.NUMBER,
                label="Order",
                visible=visible,
                elem_id="foc-order",
            ),
            gr.Dropdown([60, 120, 300], value=120, label="Images of a page", elem_id="foc-size"),
        ]
