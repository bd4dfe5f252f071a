"""`medlab start`, `check`, `hint` and `progress`: what a learner runs."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from medlab.cli.groups import new_group
from medlab.errors import BadInput

app = new_group()


@app.command()
def start(
    slug: Annotated[str | None, typer.Argument()] = None,
    next_: Annotated[bool, typer.Option("--next", help="The next unit of the syllabus.")] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start over; the old copy is renamed, not deleted.")
    ] = False,
) -> None:
    """Copy a unit's notebook into work/, where you solve it."""
    from medlab.course import find_course
    from medlab.notebook import start as starting

    if bool(slug) == next_:
        raise BadInput("name one unit or pass --next: 'medlab progress' lists the units")
    root = find_course()
    copy = starting.start(root, slug or starting.next_unit(root), fresh=fresh)
    print(copy)
    if not next_:  # a program asks for the next one, and opens it
        print(f"open it with: jupyter lab {copy}", file=sys.stderr)


@app.command()
def check(notebook: Path) -> None:
    """Run a notebook's visible checks from top to bottom.

    Exit status 1 if any of them does not pass.
    """
    from medlab.classroom.checking import check_notebook
    from medlab.course import find_course, load_syllabus

    outcomes = check_notebook(load_syllabus(find_course()), notebook)
    for outcome in outcomes:
        print(outcome.message)
    passed = sum(outcome.passed for outcome in outcomes)
    print(f"{passed} of {len(outcomes)} visible checks pass; grading adds hidden tests")
    if passed < len(outcomes):
        raise typer.Exit(1)


@app.command()
def hint(
    slug: str,
    exercise: str,
    level: Annotated[int, typer.Option(help="1: a nudge, 2: the idea, 3: a skeleton.")] = 1,
) -> None:
    """Show a hint for an exercise."""
    from rich.console import Console
    from rich.markdown import Markdown

    from medlab.course import find_course, load_syllabus, load_unit
    from medlab.notebook import hints

    unit = load_unit(load_syllabus(find_course()).find(slug))
    Console().print(Markdown(hints.hint(unit, exercise, level)))


@app.command()
def progress() -> None:
    """Show which units and exercises pass their visible checks."""
    from rich.console import Console
    from rich.table import Table

    from medlab.course import find_course
    from medlab.notebook.progress import NOTE, ladder

    table = Table("unit", "hours", "checks passed", "state")
    for row in ladder(find_course()):
        table.add_row(row.slug, f"{row.hours:g}", f"{row.passed} of {row.exercises}", row.state)
    Console().print(table)
    print(NOTE)
