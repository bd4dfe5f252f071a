"""The command line: parsing and printing, nothing else. Rooms are imported when a command runs."""

import sys
from typing import Annotated

import typer

from medlab.errors import BadInput

app = typer.Typer(
    help="medlab: write a unit, open it, solve it, grade it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich's help panels would cost a third of a second at every start
)


def main() -> None:
    """Run a command; what a person got wrong is one line and exit status 2."""
    try:
        app()
    except BadInput as problem:
        print(f"medlab: {problem}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("medlab: stopped; what was finished is kept", file=sys.stderr)
        sys.exit(130)


@app.callback()
def medlab() -> None:
    """medlab: write a unit, open it, solve it, grade it."""


@app.command()
def build(
    slugs: Annotated[list[str] | None, typer.Argument(metavar="[SLUG]...")] = None,
    check: Annotated[bool, typer.Option(help="Only tell what is out of step.")] = False,
) -> None:
    """Build the notebooks of all units, or of those named."""
    from medlab.course import build as builder
    from medlab.course import find_course, load_syllabus

    syllabus = load_syllabus(find_course())
    if check:
        changes = builder.check(syllabus, slugs or ())
    else:
        changes = []
        for change in builder.build(syllabus, slugs or ()):
            print(f"{change.what}: {change.path.relative_to(syllabus.root)}", flush=True)
            changes.append(change)
    _close_build(check, changes, syllabus)


def _close_build(check: bool, changes: list, syllabus) -> None:
    if not changes:
        print(f"{len(syllabus.units)} units, all notebooks in step with course/")
    elif check:
        for change in changes:
            print(f"{change.what}: {change.path.relative_to(syllabus.root)}")
        raise BadInput("generated notebooks are out of step with course/: run 'medlab build'")
