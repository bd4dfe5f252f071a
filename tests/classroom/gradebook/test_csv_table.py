import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlab.classroom.gradebook.csv_table import FORMULA, as_it_was, harmless, read_rows, table
from medlab.errors import BadInput

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00\r"), max_size=30)


def rows_of(tmp_path, content, needed=("a",)):
    path = tmp_path / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_rows(path, needed))


@given(st.sampled_from(FORMULA), TEXT)
def test_no_text_that_is_written_starts_like_a_formula(start, text):
    [[cell]] = csv.reader(io.StringIO(table([[start + text]]), newline=""))
    assert not cell.startswith(FORMULA)


@given(TEXT)
def test_a_text_comes_back_as_it_was(text):
    assert as_it_was(harmless(text)) == text or text.startswith("'")


@given(TEXT.filter(lambda text: text.strip() == text))
def test_a_table_comes_back_as_it_was_written(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("t") / "t.csv"
    path.write_text(table([["a", "b"], ["x", text]]), encoding="utf-8", newline="")
    [(where, row)] = read_rows(path, ["a", "b"])
    assert where.endswith("t.csv, row 2")
    assert row == {"a": "x", "b": text}


@pytest.mark.parametrize(
    "content", ["a,b\n1,2\n", "a;b\n1;2\n", "a\tb\r\n1\t2\r\n", "\ufeffa,b\n\n,\n1,2"]
)
def test_tables_of_several_spreadsheets_are_read(tmp_path, content):
    [(_, row)] = rows_of(tmp_path, content)
    assert row == {"a": "1", "b": "2"}


def test_rows_are_counted_as_a_spreadsheet_counts_them(tmp_path):
    [(first, _), (second, _)] = rows_of(tmp_path, 'a\n"two\nlines"\n\nx\n')
    assert first.endswith("row 2")
    assert second.endswith("row 4")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no column 'a'"),
        ("b\n1\n", "no column 'a'"),
        ("a,a\n1,2\n", "'a' is a duplicate"),
        ("a,b\n1,2,3\n", "row 2: more cells"),
        ('a\n"open\n', "not a CSV table"),
        (b"a\n\xff\xfe\n", "not UTF-8"),
        ("a\n" + "x" * 200_000, "not a CSV table"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(tmp_path, content, said):
    with pytest.raises(BadInput, match=said) as error:
        rows_of(tmp_path, content)
    assert "\n" not in str(error.value)


def test_a_table_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"no\.csv cannot be read"):
        list(read_rows(tmp_path / "no.csv", ["a"]))
