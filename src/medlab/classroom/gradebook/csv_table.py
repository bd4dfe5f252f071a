"""Tables that go out to a spreadsheet and come back from one."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from medlab.errors import BadInput

# What makes a spreadsheet run a cell, in either width of the character.
# Source: OWASP's page on CSV injection.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001
LARGEST = 50_000_000  # bytes of a table that is read


def harmless(value: object) -> object:
    """Return a value that no spreadsheet runs: a quote is put before text like a formula.

    Line ends become newlines: a bare carriage return would end the row, and start another one.
    """
    if not isinstance(value, str):
        return value
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if text.startswith(FORMULA) else text


def as_it_was(text: str) -> str:
    """Remove the quote that harmless put before a text."""
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text


def table(rows: Iterable[Sequence]) -> str:
    """Return rows as the text of a CSV file in which nothing is a formula."""
    text = io.StringIO()
    csv.writer(text).writerows([harmless(value) for value in row] for row in rows)
    return text.getvalue()


def read_rows(path: Path, needed: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the place of each row, such as 'times.csv, row 3', and its cells by column.

    Commas, semicolons and tabs may separate the cells. Columns are named by the first line of
    their head. Rows count as a spreadsheet counts them: the head is row 1. Empty rows are left
    out. Raises BadInput for a file that is not such a table or lacks a needed column.
    """
    rows = _rows(path)
    head = [name.strip().split("\n")[0].strip() for name in next(rows, [])]
    missing = [name for name in needed if name not in head]
    if missing:
        raise BadInput(f"{path}, row 1: no column '{missing[0]}': the head needs {_and(needed)}")
    duplicate = next((name for name in head if name and head.count(name) > 1), None)
    if duplicate:
        raise BadInput(f"{path}, row 1: the column '{duplicate}' is a duplicate: remove one")
    for number, row in enumerate(rows, start=2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) > len(head):
            raise BadInput(f"{path}, row {number}: more cells than the head has: quote the text")
        cells = [as_it_was(cell).strip() for cell in row] + [""] * (len(head) - len(row))
        yield f"{path}, row {number}", dict(zip(head, cells, strict=True))


def _rows(path: Path) -> Iterator[list[str]]:
    text = _text(path)
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    except csv.Error as error:
        raise BadInput(f"{path} is not a CSV table ({error}): save it as CSV") from None


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise BadInput(f"{path} is larger than {LARGEST // 1_000_000} MB: is it the right one?")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not UTF-8 text: save it as CSV UTF-8") from None


def _and(names: Sequence[str]) -> str:
    return ", ".join(names)
