"""Panels: the same words as HTML and as text, readable on light and dark pages, and harmless."""

import html.parser
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlab.notebook.panels import (
    LONGEST_REASON,
    STATES,
    Hint,
    Note,
    Panel,
    shortened,
    shortened_line,
)


class Page(html.parser.HTMLParser):
    """Collect a page's tags and text as a browser sees them."""

    def __init__(self, source: str):
        super().__init__(convert_charrefs=True)
        self.tags, self.words = [], ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)

    def handle_data(self, data):
        self.words += data


def test_a_panel_reads_name_state_and_reason():
    assert Panel("to_hounsfield", "passed").text() == "to_hounsfield: passed"
    panel = Panel("to_hounsfield", "not yet", "RescaleIntercept counts too.")
    assert panel.text() == "to_hounsfield: not yet. RescaleIntercept counts too."


@pytest.mark.parametrize("state", STATES)
def test_a_mark_and_a_word_say_what_the_colour_says(state):
    mark, colour = STATES[state]
    shown = Panel("add", state).html()
    assert f"{mark} add: {state}" in Page(shown).words
    assert colour in shown


def test_passed_and_not_yet_differ_in_mark_and_colour():
    (tick, green), (cross, red) = STATES["passed"], STATES["not yet"]
    assert tick != cross
    assert green != red


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("page", ["#ffffff", "#111111"])
def test_a_border_stands_out_on_a_light_and_on_a_dark_page(state, page):
    """WCAG 2.1, success criterion 1.4.11: at least 3 to 1."""
    lighter, darker = sorted([_luminance(STATES[state][1]), _luminance(page)], reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 3


def _luminance(colour: str) -> float:
    """Relative luminance of '#rrggbb' as WCAG 2.1 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_takes_its_colour_from_the_page():
    assert not re.search(r"(?<![-\w])(color|background)", Panel("add", "not yet", "why").html())


@given(st.text(max_size=300), st.text(max_size=2000))
def test_no_reason_adds_a_tag_or_loses_its_words(name, reason):
    shown = Panel(name, "not yet", reason).html()
    page = Page(shown)
    assert set(page.tags) <= {"div", "strong", "code"}
    plain = shortened(reason).replace("`", "")
    assert plain in page.words.replace("`", "")


@given(st.text(max_size=5000), st.integers(min_value=20, max_value=900))
def test_shortening_keeps_to_its_length_and_to_both_ends(text, longest):
    short = shortened(text, longest)
    assert len(short) <= longest
    whole = shortened(text, longest=10_000)
    assert whole.startswith(short[:5].split(" ...")[0])
    assert whole.endswith(short[-5:].split("... ")[-1])


@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=200))
def test_a_panel_of_any_text_can_be_sent_to_a_page(text):
    bundle = Panel("add", "not yet", text)._repr_mimebundle_()
    for shown in bundle.values():
        shown.encode("utf-8")
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", shown)


def test_half_a_character_can_be_sent_to_a_page():
    assert Panel("add", "not yet", "got \ud800").text() == "add: not yet. got ?"


def test_terminal_colours_are_dropped_from_a_reason():
    assert Panel("add", "not yet", "\x1b[31mred\x1b[0m").text() == "add: not yet. red"


def test_code_in_backticks_is_set_as_code():
    assert "<code>a &lt; b</code>" in Panel("add", "not yet", "is `a < b`?").html()


def test_a_note_is_one_line():
    text = Note("Solve `add`\nfirst.")._repr_mimebundle_()
    assert text["text/plain"] == "Solve `add` first."
    assert "<code>add</code>" in text["text/html"]


def test_a_shortened_line_has_no_line_break_and_a_limit():
    assert "\n" not in shortened_line("a\n" * 5000)
    assert len(shortened_line("a\n" * 5000)) <= LONGEST_REASON


def test_a_hint_keeps_its_markdown_and_says_its_level():
    bundle = Hint(2, 3, "$s = a + b$")._repr_mimebundle_()
    assert bundle["text/plain"] == "Hint 2 of 3: $s = a + b$"
    assert bundle["text/markdown"] == "**Hint 2 of 3**\n\n$s = a + b$"
