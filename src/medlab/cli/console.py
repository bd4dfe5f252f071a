"""A class on the terminal: a progress bar with the time left, then the grades as a table."""

import itertools
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing, contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from medlab.classroom.gradebook.lateness import Lateness
from medlab.classroom.results import Grade, Status

COLUMNS = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
FIRST = "checking the course's own solutions"

Report = Callable[[int, int, Grade], None]  # done, total, the newest grade


def with_progress(graded: Generator[tuple[int, Grade], None, None]) -> list[Grade]:
    """Consume grades and show a progress bar, or a line for each where there is no terminal."""
    grades: list[Grade] = []
    console = Console(stderr=True)
    progress = _bar(console) if console.is_terminal else _lines(console)
    # Closing, so that grades.csv is written also when the run is interrupted.
    with progress as report, closing(graded):
        for left, grade in graded:
            grades.append(grade)
            report(len(grades), len(grades) + left, grade)
    return sorted(grades, key=lambda grade: (grade.student, grade.unit, grade.file))


def print_grades(
    grades: list[Grade],
    lateness: Mapping[tuple[str, str], Lateness] | None = None,
    remarks: Iterable[str] = (),
) -> None:
    """Print one row for each submission, the messages that need attention, and remarks.

    With lateness, the score after it has a column of its own, and the reason is printed below.
    """
    late = [lateness.get((grade.student, grade.unit)) for grade in grades] if lateness else []
    console = Console()
    console.print(_grades_table(grades, late))
    for grade in grades:
        if grade.message:
            _plain(console, f"{grade.student}, {grade.file}: {grade.message}")
    for found in filter(None, late):
        if found.keeps < 100:
            _plain(console, f"{found.student}, {found.unit}: {found.reason}")
    counts = Counter(grade.outcome for grade in grades)
    summary = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    _plain(console, f"{len(grades)} rows: {summary}")
    for remark in sorted(remarks):
        _plain(console, f"note: {remark}")


def _grades_table(grades: list[Grade], late: list[Lateness | None]) -> Table:
    table = Table("student", "unit", "score", "max", "status", "seconds")
    if any(late):
        table.add_column("after lateness")
    for grade, found in itertools.zip_longest(grades, late):
        table.add_row(
            Text(grade.student),
            Text(grade.unit or grade.file),
            f"{grade.score:g}",
            f"{grade.max:g}",
            Text(grade.outcome, style="" if grade.status == Status.GRADED else "bold"),
            f"{grade.seconds:.1f}",
            *([f"{found.reduced(grade.score):g}" if found else ""] if any(late) else []),
        )
    return table


@contextmanager
def _bar(console: Console) -> Generator[Report, None, None]:
    with Progress(*COLUMNS, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(FIRST, total=None)
        yield lambda done, total, grade: bar.update(
            task, total=total, completed=done, description=grade.student
        )


@contextmanager
def _lines(console: Console) -> Generator[Report, None, None]:
    yield lambda done, total, grade: _plain(
        console,
        f"{done} of {total}: {grade.student}, {grade.unit or grade.file}: "
        f"{grade.score:g} of {grade.max:g}, {grade.outcome}",
    )


def _plain(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)
