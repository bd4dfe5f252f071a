import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlab.text import (
    LONGEST_NAME,
    cut,
    did_you_mean,
    encodable,
    file_name,
    one_line,
    printable,
)

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


@given(ANY, st.integers(1, 50))
def test_a_line_with_a_limit_keeps_it_and_shows_that_it_was_cut(text, longest):
    whole, made = one_line(text), one_line(text, longest)
    assert len(made) <= longest
    assert made == whole or (made.endswith("…") and whole.startswith(made[:-1]))


def test_a_long_text_is_cut_with_a_line_that_says_so():
    assert cut("abc", 3) == "abc"
    assert cut("abcd", 3) == "abc\n[cut here]"
    assert cut("abcd", 1, "[more]") == "a\n[more]"


def test_a_misspelled_name_is_answered_with_the_nearest():
    assert did_you_mean("kernal", ["kernels", "panel"], "none") == "did you mean kernels?"
    assert did_you_mean("aa", ["aab", "aac", "x"], "none", most=2) == "did you mean aac or aab?"
    assert did_you_mean("zzz", ["kernels"], "choose one of kernels") == "choose one of kernels"
