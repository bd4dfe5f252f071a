"""`medlab build` and `medlab release`: what the course's authors run."""

from pathlib import Path
from typing import Annotated

import typer

from medlab.cli.groups import new_group
from medlab.errors import BadInput

app = new_group()


@app.command()
def build(
    slugs: Annotated[list[str] | None, typer.Argument(metavar="[SLUG]...")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only list the notebooks that are out of date.")
    ] = False,
) -> None:
    """Build the notebooks of all units, or of those named."""
    from medlab.course import build as builder
    from medlab.course import find_course, load_syllabus

    syllabus = load_syllabus(find_course())
    changed = 0
    for change in (builder.check if check else builder.build)(syllabus, slugs or ()):
        print(f"{change.what}: {change.path.relative_to(syllabus.root)}", flush=True)
        changed += 1
    if check and changed:
        raise BadInput("notebooks are out of date with course/: run 'medlab build'")
    if not changed:
        print(f"{len(slugs or syllabus.units)} units, all notebooks up to date with course/")


@app.command()
def release(
    out: Annotated[Path, typer.Option(help="A new folder, or an earlier release.")],
    nbgrader: Annotated[
        bool, typer.Option("--nbgrader", help="Write a course folder for nbgrader instead.")
    ] = False,
) -> None:
    """Write the notebooks that learners get, without answers."""
    from medlab.course import find_course, load_syllabus
    from medlab.course import release as releasing

    syllabus = load_syllabus(find_course())
    if nbgrader:
        units = releasing.release_to_nbgrader(syllabus, out)
        print(f"{len(units)} assignments for nbgrader in {out}")
        print("They contain solutions and hidden tests: do not share this folder with learners")
    else:
        units = releasing.release_to_learners(syllabus, out)
        print(f"{len(units)} units for learners in {out}: no solutions, hidden tests or hints")
