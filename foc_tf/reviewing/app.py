"""The review in the browser: Gradio's page around `book` and `actions`.

All that is kept is in the decisions; the page only knows where the expert is.
"""

import os
import pathlib
import threading

# Before Gradio is imported: nothing asks the outside for anything.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# isort: split

import gradio as gr
from starlette.middleware import Middleware

from foc_tf.reviewing import actions, grid, guard, layout, state
from foc_tf.reviewing.book import Book
from foc_tf.reviewing.session import Session

_HERE = pathlib.Path(__file__).parent
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def serve(runs, host, port, login, open_browser, seed, log):
    """Serves the review until the process is stopped.

    Args:
      runs: list of `run_data.RunData`: one, or two for a blind review.
      host: address to bind.
      port: 0 for a free one.
      login: (name, password), or None.
      open_browser: whether to open the page.
      seed: of the order of a blind review.
      log: function of a line of text.

    Raises:
      ValueError: if the decisions of a run are damaged or open in another review, or the port is
        taken.
    """
    sessions = []
    try:
        for run in runs:
            sessions.append(Session(run))
            if sessions[-1].log.torn:
                log(f"note: {sessions[-1].log.path}: the last line was torn and is cut off.")
        page = make(Book(sessions, seed))
        try:
            _launch(page, host, port, login, open_browser)
        except OSError as error:
            raise ValueError(f"port: {error} Give another --port.") from None
        print(f"review: {page.local_url}", flush=True)
        threading.Event().wait()
    finally:
        for session in sessions:
            session.log.close()


def _launch(page, host, port, login, open_browser):
    fonts = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
    hosts = _LOOPBACK if host in _LOOPBACK else None
    page.launch(
        server_name=host,
        server_port=port or None,
        auth=login,
        inbrowser=open_browser,
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        ssr_mode=False,
        enable_monitoring=False,
        footer_links=[],
        theme=gr.themes.Default(**fonts),
        css=(_HERE / "app.css").read_text(encoding="utf-8"),
        app_kwargs={"middleware": [Middleware(guard.Guard, hosts=hosts)]},
    )


def make(pages):
    """The page of a `book.Book`: `gradio.Blocks`."""
    with gr.Blocks(title="Review of clusters", analytics_enabled=False, fill_width=True) as page:
        place = gr.State(None)
        with gr.Column() as door:
            expert = gr.Dropdown(
                [], label="Your name", allow_custom_value=True, elem_id="foc-expert"
            )
            begin = gr.Button("Begin", variant="primary", elem_id="foc-begin")
            refused = gr.HTML()
        with gr.Column(visible=False) as desk:
            parts = layout.make(pages)
        _Wires(pages, parts, place).connect()

        def enter(who):
            try:
                at, text = actions.begin(pages, who)
            except ValueError as error:
                return {refused: grid.status(str(error), False)}
            opened = {door: gr.update(visible=False), desk: gr.update(visible=True), place: at}
            return opened | layout.everything(parts, pages, at, text)

        outputs = [door, desk, refused, place, *_shown(parts)]
        begin.click(enter, expert, outputs, api_visibility="private", show_progress="hidden")
        page.load(
            lambda: gr.update(choices=_experts(pages)), None, expert, api_visibility="private"
        )
    return page


def _experts(pages):
    return state.experts([d for session in pages.sessions for d in session.log.decisions])


def _shown(parts):
    single = (parts.status, parts.heading, parts.images, parts.pages)
    return [*single, parts.pick, parts.name, parts.label, parts.into]


class _Wires:
    """Events of the page -> `actions`."""

    def __init__(self, pages, parts, place):
        self.pages, self.parts, self.place = pages, parts, place

    def connect(self):
        """Connects all components."""
        parts, buttons = self.parts, self.parts.buttons
        for key, act, values in (
            ("previous", lambda b, p: actions.step(b, p, -1), []),
            ("next", lambda b, p: actions.step(b, p, 1), []),
            ("back", lambda b, p: actions.turn(b, p, -1), []),
            ("more", lambda b, p: actions.turn(b, p, 1), []),
            ("mark_all", lambda b, p: actions.mark_page(b, p, False), []),
            ("unmark_all", lambda b, p: actions.mark_page(b, p, True), []),
            ("done", actions.done, []),
            ("undo", actions.undo, []),
            ("split", actions.split, []),
            ("new_class", lambda b, p: actions.send(b, p, state.NEW_CLASS), []),
            ("ignore", lambda b, p: actions.send(b, p, state.IGNORE), []),
            ("name", actions.name, [parts.name]),
            ("accept", actions.accept, [parts.label]),
            ("merge", actions.merge, [parts.into]),
        ):
            self._on(buttons[key].click, act, values)
        self._on(parts.name.submit, actions.name, [parts.name])
        self._on(parts.pick.input, lambda b, p, group: actions.go(b, p, (0, group)), [parts.pick])
        for part in parts.filters:
            self._on(part.input, actions.look, parts.filters)
        self._on_clicks()

    def _on(self, event, act, values):
        def handle(place, *given):
            try:
                place, text = act(self.pages, place, *given)
                good = True
            except (ValueError, OSError) as error:
                text, good = f"Not saved. {error}", False
            return {self.place: place} | layout.everything(
                self.parts, self.pages, place, text, good
            )

        self._listen(event, handle, [self.place, *values], [self.place, *_shown(self.parts)])

    def _on_clicks(self):
        """Marks answer with what changed only: the page of images stays as it is."""
        parts = self.parts

        def handle(place, event: gr.EventData):
            images = event._data.get("images")
            try:
                _, text = actions.mark(self.pages, place, images, event._data.get("fits"))
                good = True
            except (ValueError, OSError) as error:
                text, good = f"Not saved. {error}", False
                images = self.pages.page(place).tolist()
            said = layout.answer(self.pages, place, images, text)
            return {parts.answer: said} | layout.around(parts, self.pages, place, text, good)

        outputs = [parts.answer, parts.status, parts.heading]
        self._listen(parts.images.submit, handle, [self.place], outputs)

    def _listen(self, event, handle, inputs, outputs):
        event(
            handle,
            inputs,
            outputs,
            # Two clicks in a row are two decisions, in their order.
            trigger_mode="multiple",
            concurrency_limit=1,
            concurrency_id="decisions",
            show_progress="hidden",
            api_visibility="private",
        )
