"""HTML and SVG whose text is escaped unless it says that it is markup.

Names of classes and files come from strangers. Whatever is not `Html` is text: `element` escapes
it. Characters that nobody sees but that change what stands around them (control characters, those
that turn the direction of writing) are shown by their code point, so that no name can look like
another or reach beyond itself; `name` also keeps right-to-left letters from moving their
neighbours.
"""

import html
import re
from collections.abc import Iterable
from typing import Any

_VOID = ("img", "input", "meta")
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff"
    "\ufff9-\ufffb\ud800-\udfff]"
)


class Html(str):
    """Text that is markup already."""


def shown(value: object) -> str:
    """Text with every unseen character as its code point, `⟨U+202E⟩`."""
    return _UNSEEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", str(value))


def escaped(value: object) -> Html:
    """`Html` of a text, for an element's content and for quoted attributes."""
    return value if isinstance(value, Html) else Html(html.escape(shown(value), quote=True))


def joined(parts: Iterable[Any]) -> Html:
    """`Html` of parts in a row; texts among them are escaped, iterables joined, None left out."""
    return Html(
        "".join(
            escaped(part)
            if isinstance(part, str) or not isinstance(part, Iterable)
            else joined(part)
            for part in parts
            if part is not None
        )
    )


def element(tag: str, *parts: Any, **attributes: Any) -> Html:
    """One element of HTML or SVG.

    Args:
      tag: its name.
      *parts: its content: `Html`, texts, numbers, None, or iterables of them.
      **attributes: `class_` is class, `aria_label` is aria-label; True stands without a value, None
        and False are left out.
    """
    written = []
    for key, value in attributes.items():
        key = key.rstrip("_").replace("_", "-")
        if value is True:
            written.append(f" {key}")
        elif value is not None and value is not False:
            written.append(f' {key}="{escaped(value)}"')
    start = f"<{tag}{''.join(written)}>"
    return Html(start if tag in _VOID else f"{start}{joined(parts)}</{tag}>")


def name(value: object) -> Html:
    """A name that others have given, kept from its neighbours' direction of writing."""
    return element("bdi", value)


def lines(text: str) -> Html:
    """`Html` of a text of several lines for <pre>; the ends of lines stay."""
    return Html("\n".join(escaped(line) for line in text.splitlines()))


def number(value: float | None, reason: str | None = None, digits: int = 3) -> Html:
    """A score: three digits to read, the whole value beside them; "–" and the reason for None."""
    if value is None:
        hidden = element("span", f" ({reason})" if reason else "", class_="unseen")
        return element("span", "–", hidden, title=reason, class_="none")
    text = f"{value:,}" if isinstance(value, int) else f"{value:.{digits}f}"
    return element("data", text, value=repr(value))


def table(
    caption: str,
    header: Iterable[Any],
    rows: Iterable[Iterable[Any]],
    head_columns: int = 1,
    class_: str | None = None,
) -> Html:
    """A table in a frame that scrolls sideways, by keyboard too.

    Args:
      caption: text.
      header: texts of the columns.
      rows: lists of cells.
      head_columns: first cells of a row that name it.
      class_: of the frame.
    """
    head = element(
        "tr", [cell if _made(cell) else element("th", cell, scope="col") for cell in header]
    )
    body = [
        element(
            "tr",
            [
                as_cell(cell, "th" if place < head_columns else "td")
                for place, cell in enumerate(row)
            ],
        )
        for row in rows
    ]
    inner = element(
        "table",
        element("caption", caption),
        element("thead", head),
        element("tbody", body),
    )
    frame = {"role": "region", "tabindex": 0, "aria_label": caption}
    return element("div", inner, class_=f"scroll {class_ or ''}".strip(), **frame)


def as_cell(content: Any, tag: str = "td") -> Html:
    """A cell of a table, unless it is one."""
    if _made(content):
        return content
    return element(tag, content, scope="row" if tag == "th" else None)


def _made(content):
    return isinstance(content, Html) and content.startswith(("<td", "<th"))


def section(anchor: str, title: Any, *parts: Any, level: int = 2) -> Html:
    """A section with a heading that can be linked to."""
    heading = element(f"h{level}", title, id=f"{anchor}-title")
    return element("section", heading, *parts, id=anchor, aria_labelledby=f"{anchor}-title")


def folded(title: Any, *parts: Any, open_: bool = False) -> Html:
    """What opens by click or keyboard."""
    return element("details", element("summary", title), *parts, open=open_)
