"""The review in the browser: Gradio's page around `book` and `actions`.

All that is kept is in the decisions; the page only knows where the expert is.
"""

import os
import pathlib
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

# Before Gradio is imported: nothing asks the outside for anything.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# isort: split

import gradio as gr
from starlette.middleware import Middleware

from foc_tf.reviewing import actions, grid, guard, layout, showing, state
from foc_tf.reviewing.book import Book
from foc_tf.reviewing.session import Session

if TYPE_CHECKING:
    from foc_tf.reviewing.run_data import RunData

_HERE = pathlib.Path(__file__).parent
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def serve(
    runs: "Sequence[RunData]",
    host: str,
    port: int,
    login: tuple[str, str] | None,
    open_browser: bool,
    seed: int,
    log: Callable[[str], None],
) -> None:
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


def make(pages: Book) -> Any:
    """The page of a `book.Book`: `gradio.Blocks`."""
    with gr.Blocks(title="Review of clusters", analytics_enabled=False, fill_width=True) as page:
        place = gr.State(None)
        door = layout.door(pages)
        # There from the start, only not seen (app.css): to build it takes the browser a second.
        with gr.Column(elem_id="foc-desk"):
            parts = layout.desk(pages)
        _Wires(pages, parts, place).connect()

        def enter(who):
            try:
                at, text = actions.begin(pages, who)
            except ValueError as error:
                return {door.refused: grid.status(str(error), False)}
            opened = {door.column: gr.update(visible=False), place: at}
            return opened | showing.everything(parts, pages, at, text)

        outputs = [door.column, door.refused, place, *parts.shown()]
        quick: dict[str, Any] = {
            "api_visibility": "private",
            "show_progress": "hidden",
            "queue": False,
        }
        door.begin.click(enter, door.expert, outputs, **quick)
        door.expert.submit(enter, door.expert, outputs, **quick)

        def enter_known(event: gr.EventData) -> dict[Any, Any]:
            number, known = event._data.get("number"), _experts(pages)
            return enter(known[number] if number in range(len(known)) else "")

        door.known.submit(enter_known, None, outputs, **quick)
        page.load(lambda: grid.known(_experts(pages)), None, door.known, **quick)
    return page


def _experts(pages):
    return state.experts([d for session in pages.sessions for d in session.log.decisions])


class _Wires:
    """Events of the page -> `actions`."""

    def __init__(self, pages, parts, place):
        self.pages, self.parts, self.place = pages, parts, place

    def connect(self):
        """Connects all components."""
        parts, everything, facts = self.parts, showing.everything, showing.facts
        for key, act, values, show in (
            ("previous", lambda b, p: actions.step(b, p, -1), [], everything),
            ("next", lambda b, p: actions.step(b, p, 1), [], everything),
            ("back", lambda b, p: actions.turn(b, p, -1), [], everything),
            ("more", lambda b, p: actions.turn(b, p, 1), [], everything),
            ("mark_all", lambda b, p: actions.mark_page(b, p, False), [], everything),
            ("unmark_all", lambda b, p: actions.mark_page(b, p, True), [], everything),
            ("done", actions.done, [], everything),
            ("undo", actions.undo, [], everything),
            ("split", actions.split, [], everything),
            ("merge", actions.merge, [parts.into], everything),
            ("new_class", lambda b, p: actions.send(b, p, state.NEW_CLASS), [], facts),
            ("ignore", lambda b, p: actions.send(b, p, state.IGNORE), [], facts),
            ("name", actions.name, [parts.name], facts),
            ("accept", actions.accept, [parts.label], facts),
        ):
            self._on(parts.buttons[key].click, act, values, show)
        self._on(parts.name.submit, actions.name, [parts.name], facts)
        self._on(parts.pick.input, lambda b, p, g: actions.go(b, p, (0, g)), [parts.pick])
        for part in parts.filters:
            self._on(part.input, actions.look, parts.filters)
        self._on_marks()
        self._on_similar()

    def _on(self, event, act, values, show=showing.everything):
        def handle(place, *given):
            after, text, good = self._tried(act, place, *given)
            if after is None:
                return {self.parts.status: grid.status(text, good)}
            return {self.place: after} | show(self.parts, self.pages, after, text, good)

        self._listen(event, handle, [self.place, *values], [self.place, *self.parts.shown()])

    def _tried(self, act, place, *given):
        """(place afterwards, sentence, whether it worked)."""
        if place is None:
            return None, "Not saved. This page is older than the server: load it anew.", False
        try:
            return *act(self.pages, place, *given), True
        except (ValueError, OSError) as error:
            return place, f"Not saved. {error}", False

    def _on_marks(self):
        """Marks answer with what is marked only: the page of images stays as it is."""
        parts = self.parts

        def handle(place: Any, event: gr.EventData) -> dict[Any, Any]:
            clicked = [event._data.get(key) for key in ("ticket", "images", "fits")]
            _, text, good = self._tried(actions.mark_shown, place, *clicked)
            if place is None:
                return {parts.status: grid.status(text, good)}
            said = showing.answer(self.pages, place)
            return {parts.answer: said} | showing.around(parts, self.pages, place, text, good)

        outputs = [parts.answer, parts.status, parts.heading]
        # Past the queue, which takes longer than all the rest; a mark does not change the place.
        self._listen(parts.images.submit, handle, [self.place], outputs, queue=False)

    def _on_similar(self):
        def handle(place: Any, event: gr.EventData) -> dict[Any, Any]:
            run = place.run if place else 0
            group = event._data.get("group")
            after, text, good = self._tried(actions.go, place, (run, group))
            if after is None:
                return {self.parts.status: grid.status(text, good)}
            shown = showing.everything(self.parts, self.pages, after, text, good)
            return {self.place: after} | shown

        outputs = [self.place, *self.parts.shown()]
        self._listen(self.parts.heading.submit, handle, [self.place], outputs)

    def _listen(self, event, handle, inputs, outputs, queue=True):
        event(
            handle,
            inputs,
            outputs,
            queue=queue,
            # Two clicks in a row are two decisions, in their order.
            trigger_mode="multiple",
            concurrency_limit=1,
            concurrency_id="decisions",
            show_progress="hidden",
            api_visibility="private",
        )
