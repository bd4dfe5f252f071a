import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlab.text import LONGEST_NAME, encodable, file_name, one_line, printable

ANY = st.text(st.characters(codec=None, exclude_categories=()))


@given(ANY)
def test_any_text_becomes_one_line_that_utf8_can_hold(text):
    for made in (printable(text), one_line(text), file_name(text)):
        made.encode()
        assert made.isprintable() or not {"\n", "\r", "\x1b", "\0"} & set(made)


@given(ANY)
def test_a_name_fits_a_file_system(text):
    assert len(file_name(text * 50).encode()) <= LONGEST_NAME


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ada Müller", "Ada Müller"),
        ("李", "李"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\u202eb", r"a\u202eb"),
        ("\udcff", r"\udcff"),
        ("a\0b\nc", r"a\x00b\nc"),
    ],
)
def test_only_characters_with_an_effect_are_escaped(text, shown):
    assert printable(text) == shown


def test_text_of_several_lines_stays_as_it_is_but_for_broken_characters():
    assert encodable("a\nb\ud800") == "a\nb\\ud800"


def test_two_long_names_stay_two():
    assert file_name("x" * 300) != file_name("x" * 301)
