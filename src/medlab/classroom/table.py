"""A class on the terminal: a progress bar with the time left, then the grades as a table."""

from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from medlab.classroom.grade import GRADED, Grade

COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())


def with_progress(graded: Iterator[tuple[int, Grade]]) -> list[Grade]:
    """Consume grades behind a progress bar; where nobody watches, print nothing."""
    grades: list[Grade] = []
    console = Console(stderr=True)
    with Progress(*COLUMNS, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task("grading", total=None)
        for left, grade in graded:
            grades.append(grade)
            done = len(grades)
            bar.update(task, total=done + left, completed=done, description=grade.student)
    return grades


def print_grades(grades: list[Grade]) -> None:
    """Print one row for each submission, and what needs a person's eye."""
    table = Table("student", "unit", "score", "max", "status", "seconds")
    for grade in grades:
        table.add_row(
            grade.student,
            grade.unit or grade.file,
            f"{grade.score:g}",
            f"{grade.max:g}",
            grade.status if grade.status == GRADED else f"[bold]{grade.status}[/]",
            f"{grade.seconds:.1f}",
        )
    console = Console()
    console.print(table)
    for grade in grades:
        if grade.message:
            console.print(f"{grade.student}, {grade.file}: {grade.message}", markup=False)
