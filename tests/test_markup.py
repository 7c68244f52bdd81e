"""Whatever a name holds, a page shows it as text."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foc_tf.reviewing import markup, svg
from foc_tf.reviewing.markup import Html, element, joined


class Reader(HTMLParser):
    """Tags with attributes and the text of a page."""

    def __init__(self, content):
        super().__init__()
        self.tags, self.text = [], []
        self.feed(content)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


@given(st.text())
def test_any_text_comes_back_as_text(text):
    page = Reader(element("p", text, title=text, data_x=text))
    wanted = markup.shown(text)
    assert page.tags == [("p", {"title": wanted, "data-x": wanted})]
    assert "".join(page.text) == wanted


@given(st.text(alphabet="<>\"'&/=` a\u202e\u2066\u2069\u0000\n-!["))
def test_hostile_text_in_a_name_in_svg_and_in_lists(text):
    made = element("svg", [element("text", svg.isolated(text))], (markup.name(t) for t in [text]))
    page = Reader(made)
    assert [tag for tag, _ in page.tags] == ["svg", "text", "bdi"]
    assert "".join(page.text) == f"\u2068{markup.shown(text)}\u2069{markup.shown(text)}"


def test_unseen_characters_are_shown_and_others_stay():
    assert markup.shown("a\u202eb\u2069\0\n") == "a⟨U+202E⟩b⟨U+2069⟩⟨U+0000⟩⟨U+000A⟩"
    family = "\U0001f469\u200d\U0001f52c"  # an emoji with a joiner
    for name in ("äöü ≠ ⟨x⟩", "\u05d0\u05d1", "\U0001f990", family):
        assert markup.shown(name) == name
    assert markup.shown("\ud800").encode()  # half a surrogate pair could not be written


def test_attributes_and_parts():
    made = element("input", type="radio", checked=True, disabled=False, id=None, aria_label="a")
    assert made == '<input type="radio" checked aria-label="a">'
    assert element("p", "a", None, 1, [Html("<b>"), ["<"]]) == "<p>a1<b>&lt;</p>"
    # what comes of joining Html and text by + is text again: it is escaped, not trusted
    assert joined([Html("<b>") + "x"]) == "&lt;b&gt;x"
    assert markup.lines("a<b\n\tc") == "a&lt;b\n⟨U+0009⟩c"


def test_numbers_keep_their_whole_value():
    assert markup.number(0.12345678) == '<data value="0.12345678">0.123</data>'
    assert markup.number(1234) == '<data value="1234">1,234</data>'
    assert "no &lt;votes&gt;" in markup.number(None, "no <votes>")


@pytest.mark.parametrize(("high", "wanted"), [(1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0, [0])])
def test_ticks(high, wanted):
    assert svg.ticks(high) == wanted


@given(st.integers(1, 10**6))
def test_ticks_are_few_and_within(high):
    ticks = svg.ticks(high)
    assert 2 <= len(ticks) <= 6
    assert max(ticks) <= high
