"""The scoring sheet: written answers as a table for manual scoring, read back with levels."""

import hmac
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

from medlab.classroom.gradebook.csv_table import read_rows, table
from medlab.classroom.gradebook.scores import Level, Score, answer_sha256
from medlab.course.audience import EMPTY_ANSWER
from medlab.course.rubrics import Criterion, Rubric
from medlab.course.unit import Unit, Written
from medlab.errors import BadInput
from medlab.text import cut

WHO = ("student", "code")  # the first column: a name, or a code for blind scoring
FIXED = ("unit", "question", "asked", "answer")
COMMENT, SHA256 = "comment", "answer_sha256"
NOT_ASKED = "n/a"  # in the columns of another rubric
LONGEST_CELL = 30_000  # characters; spreadsheets cut at 32,767
CUT = "[cut here: the whole answer is in the notebook]"
HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Answer:
    """A written answer as it was handed in."""

    student: str
    unit: str
    question: str
    asked: str  # the words of the question
    text: str
    rubric: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """The key of its manual score."""
        return self.student, self.unit, self.question, answer_sha256(self.text)


def written_answers(unit: Unit, notebook: NotebookNode) -> dict[str, str]:
    """Return the texts of a notebook's written answers by question, without empty ones."""
    cells = {cell.id: cell.source.strip() for cell in notebook.cells}
    texts = {written.name: cells.get(written.cell_id, "") for written in unit.written}
    return {name: text for name, text in texts.items() if text not in ("", EMPTY_ANSWER)}


def answers_in(unit: Unit, student: str, notebook: NotebookNode) -> Iterator[Answer]:
    """Yield the written answers of a student's notebook, without empty ones."""
    texts = written_answers(unit, notebook)
    for written in unit.written:
        if written.name in texts:
            asked, text = _asked(unit, written), texts[written.name]
            yield Answer(student, unit.slug, written.name, asked, text, written.rubric)


def code_of(student: str, secret: str) -> str:
    """Return a student's code for a blind sheet; only the secret reveals whose it is."""
    # A letter comes first, since a spreadsheet would take 12345e6789 for a number.
    return "s" + hmac.digest(secret.encode(), f"blind/{student}".encode(), "sha256").hex()[:10]


def sheet(
    answers: Iterable[Answer],
    rubrics: Mapping[str, Rubric],
    scores: Mapping[tuple, Score],
    secret: str = "",
) -> str:
    """Return the text of a scoring sheet: a CSV table, one row for each answer.

    Answers to one question are together, those without a score first; earlier levels are filled
    in. With a secret, codes replace names.
    """
    rows = [_row(answer, scores.get(answer.key), secret) for answer in answers]
    # Levels come last, by column, since units may use different rubrics.
    used = sorted({answer.rubric for answer, _, _ in rows})
    columns = [(rubrics[name], criterion) for name in used for criterion in rubrics[name].criteria]
    head = [WHO[bool(secret)], *FIXED, *(_head(*c) for c in columns), COMMENT, SHA256]
    rows.sort(key=lambda row: (row[0].unit, row[0].question, row[1] is not None, row[2]))
    body = [_cells(answer, score, who, columns) for answer, score, who in rows]
    return "\ufeff" + table([head, *body])  # the mark by which spreadsheets know UTF-8


def read_scores(
    path: Path,
    answers: Iterable[Answer],
    questions: Mapping[str, Mapping[str, Rubric]],
    students: Iterable[str],
    secret: str = "",
) -> tuple[list[Score], list[str]]:
    """Read a filled sheet; return its scores and remarks on rows whose answer has changed since.

    questions holds the rubric of each question, by unit. A row without any level is not scored
    yet. Raises BadInput with the row's number for the first wrong row.
    """
    known = _known(students, secret)
    current = {answer.key for answer in answers}
    found: dict[tuple, Score] = {}
    remarks = []
    for where, row in read_rows(path, ("unit", "question", SHA256)):
        score = _score(row, known, questions, where)
        if score is None:
            continue
        if score.key in found:
            raise BadInput(f"{where}: this answer is a duplicate: keep one row")
        found[score.key] = score
        if score.key not in current:
            remarks.append(
                f"{where}: the answer has changed since this sheet was written; the score stays "
                "with the earlier answer, a new --sheet asks again"
            )
    return list(found.values()), remarks


def _known(students: Iterable[str], secret: str) -> dict[str, str]:
    """Return the students by every word that a sheet may use for them."""
    names = sorted(students)
    known = {code_of(name, secret): name for name in names}
    bare = [name.lstrip("0") for name in names]  # a spreadsheet takes 007 for 7
    known |= {one: name for one, name in zip(bare, names, strict=True) if bare.count(one) == 1}
    return known | {name: name for name in names}


def _asked(unit: Unit, written: Written) -> str:
    """Return the text of the cell before an answer, which asks its question."""
    at = next(i for i, cell in enumerate(unit.cells) if cell.id == written.cell_id)
    before = [cell.source for cell in unit.cells[:at] if cell.role == "text"]
    return before[-1] if before else ""


def _row(answer: Answer, score: Score | None, secret: str) -> tuple[Answer, Score | None, str]:
    who = code_of(answer.student, secret) if secret else answer.student
    return answer, score, who


def _head(rubric: Rubric, criterion: Criterion) -> str:
    """Return a column's head: its name on the first line, then what the levels mean."""
    levels = [f"{level}: {meaning}" for level, meaning in enumerate(criterion.levels)]
    return "\n".join([_column(rubric, criterion), criterion.question, *levels])


def _column(rubric: Rubric, criterion: Criterion) -> str:
    return f"{rubric.name}/{criterion.name}"


def _cells(answer: Answer, score: Score | None, who: str, columns: list) -> list:
    given = {level.criterion: level.level for level in score.levels} if score else {}
    levels = [
        given.get(criterion.name, "") if rubric.name == answer.rubric else NOT_ASKED
        for rubric, criterion in columns
    ]
    comment = score.comment if score else ""
    texts = [answer.unit, answer.question, answer.asked, cut(answer.text, LONGEST_CELL, CUT)]
    return [who, *texts, *levels, comment, answer.key[-1]]


def _score(row: dict, known: dict, questions: Mapping, where: str) -> Score | None:
    student = _student(row, known, where)
    unit, question = row["unit"], row["question"]
    rubric = questions.get(unit, {}).get(question)
    if rubric is None:
        raise BadInput(f"{where}: no question '{question}' in a unit '{unit}': restore the row")
    if not HEX.fullmatch(row[SHA256]):
        raise BadInput(f"{where}: {SHA256} was changed: leave that column as it was written")
    texts = [_level_text(row, rubric, criterion, where) for criterion in rubric.criteria]
    if not any(texts):
        return None
    levels = tuple(
        _level(text, _column(rubric, criterion), criterion, where)
        for text, criterion in zip(texts, rubric.criteria, strict=True)
    )
    return Score(student, unit, question, row[SHA256], levels, row.get(COMMENT, ""))


def _student(row: dict, known: dict, where: str) -> str:
    who = next((row[column] for column in WHO if column in row), None)
    if who is None:
        raise BadInput(f"{where}: no column 'student' or 'code': the head needs one")
    if who not in known:
        raise BadInput(f"{where}: no student '{who}' in this class: correct the name")
    return known[who]


def _level_text(row: dict, rubric: Rubric, criterion: Criterion, where: str) -> str:
    column = _column(rubric, criterion)
    if column not in row:
        raise BadInput(f"{where}: no column '{column}': write the sheet again with --sheet")
    return row[column]


def _level(text: str, column: str, criterion: Criterion, where: str) -> Level:
    if not text:
        raise BadInput(f"{where}: '{column}' is empty: give a level from 0 to {criterion.top}")
    level = _number(text)
    if level is None or not 0 <= level <= criterion.top:
        raise BadInput(f"{where}: '{column}' is '{text}': give a level from 0 to {criterion.top}")
    meaning = criterion.levels[level]
    return Level(criterion.name, criterion.question, level, criterion.top, meaning)


def _number(text: str) -> int | None:
    """Return a whole number as a spreadsheet may write it, such as 2 or 2.0 or 2,0."""
    return int(text[0]) if re.fullmatch(r"[0-9]([.,]0+)?", text) else None
