"""`medlab sample`, `grade`, `report`, `similar` and `export`: what an instructor runs."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from medlab.cli.groups import new_group

app = new_group()

Submissions = Annotated[Path, typer.Argument(help="A folder with <student>/*.ipynb.")]
Page = Annotated[Path, typer.Option(help="The HTML page to write.")]
EarlierGradebook = Annotated[
    str, typer.Option("--gradebook", help="Database URL; default: gradebook.db beside --out.")
]

# The options of `medlab grade`.
Out = Annotated[Path, typer.Option(help="Folder for grades.csv, feedback/ and gradebook.db.")]
Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Random seed of the hidden tests.")]
Unit = Annotated[str, typer.Option(help="Grade this unit only.")]
Gradebook = Annotated[str, typer.Option(help="Database URL; default: OUT/gradebook.db.")]
CellSeconds = Annotated[float, typer.Option(help="Time limit of one cell or call.")]
SittingSeconds = Annotated[float, typer.Option(help="Time limit of one notebook.")]
Again = Annotated[bool, typer.Option("--again", help="Regrade everything.")]
Workers = Annotated[
    int, typer.Option(min=0, help="Notebooks graded at the same time; 0: one per core.")
]
Jail = Annotated[
    str, typer.Option(envvar="MEDLAB_JAIL", help="auto, namespaces, bubblewrap or limits.")
]
Dask = Annotated[str, typer.Option(help="Address of a Dask scheduler.")]
Sheet = Annotated[
    Path | None, typer.Option(help="Write the answers that need manual grading to this file.")
]
Blind = Annotated[
    bool, typer.Option("--blind", help="Use codes instead of names on the scoring sheet.")
]
Scores = Annotated[Path | None, typer.Option(help="Read a filled scoring sheet.")]
Late = Annotated[
    Path | None, typer.Option(help="CSV of times: student, unit, handed_in, due, excused.")
]
LatePercent = Annotated[float, typer.Option(help="Percent deducted per day begun.")]
LateGrace = Annotated[float, typer.Option(help="Minutes late without a deduction.")]
LateFloor = Annotated[float, typer.Option(help="Lowest percent that lateness can leave.")]


@app.command()
def sample(
    out: Annotated[Path, typer.Option(help="Folder to write <student>/*.ipynb to.")],
    unit: Annotated[list[str] | None, typer.Option(help="This unit only; can be repeated.")] = None,
) -> None:
    """Write a generated class of 12 submissions for each unit."""
    from medlab.classroom.sample import write_sample_class
    from medlab.course import find_course, load_syllabus

    paths = list(write_sample_class(load_syllabus(find_course()), out, unit or ()))
    print(f"{len(paths)} generated submissions in {out}")


@app.command()
def grade(
    submissions: Submissions,
    out: Out,
    seed: Seed = 0,
    unit: Unit = "",
    gradebook: Gradebook = "",
    cell_seconds: CellSeconds = 120,
    sitting_seconds: SittingSeconds = 600,
    again: Again = False,
    workers: Workers = 0,
    jail: Jail = "auto",
    dask: Dask = "",
    sheet: Sheet = None,
    blind: Blind = False,
    scores: Scores = None,
    late: Late = None,
    late_percent: LatePercent = 10,
    late_grace: LateGrace = 0,
    late_floor: LateFloor = 0,
) -> None:
    """Grade a class: a score and a feedback page for every submission.

    Hidden tests run in this process, each submission's code in an isolated kernel.
    """
    from medlab.classroom.gradebook.lateness import LatePolicy
    from medlab.classroom.grading import grade_class
    from medlab.classroom.marking import Marking
    from medlab.cli.console import print_grades, with_progress
    from medlab.sandbox.limits import Limits

    limits = Limits(cell_seconds, sitting_seconds=sitting_seconds)
    options = {"seed": seed, "again": again, "limits": limits, "jail": jail, "dask": dask}
    options["workers"] = workers
    classroom = _open_classroom(submissions, out, unit, gradebook, **options)
    print(f"jail: {classroom.jail}")
    marking = Marking(classroom, submissions, unit)
    if late:
        marking.take_times(late, LatePolicy(late_percent, late_grace, late_floor))
    if scores:
        _print_scores(*marking.take_scores(scores))
    grades = with_progress(grade_class(classroom, submissions, unit))
    print_grades(grades, classroom.gradebook.lateness(), classroom.remarks)
    if sheet:
        print(f"scoring sheet: {sheet} ({marking.write_sheet(sheet, blind)} answers to grade)")
    print(f"grades: {out / 'grades.csv'}\nfeedback: {out / 'feedback'}")


def _open_classroom(submissions: Path, out: Path, unit: str, gradebook: str, **options):
    from medlab.classroom.opening import open_classroom
    from medlab.course import find_course, load_syllabus

    syllabus = load_syllabus(find_course())
    return open_classroom(syllabus, out, submissions, gradebook, unit, **options)


def _print_scores(count: int, remarks: list[str]) -> None:
    for remark in remarks:
        print(f"medlab: {remark}", file=sys.stderr)
    print(f"{count} scores read")


@app.command()
def report(out: Page, gradebook: EarlierGradebook = "") -> None:
    """Write a page on how difficult each exercise was for a class.

    It shows the difficulty, discrimination and common mistakes of each exercise.
    """
    from medlab.classroom.gradebook.database import open_earlier
    from medlab.classroom.pages.item_analysis import report_page
    from medlab.files import write_text

    write_text(out, report_page(open_earlier(gradebook, out.parent).newest()))
    print(f"report: {out}")


@app.command()
def similar(
    submissions: Submissions,
    out: Page,
    unit: Annotated[str, typer.Option(help="Compare this unit only.")] = "",
) -> None:
    """Write a page of answers that are similar.

    Similarity is a reason to look at two answers, not a verdict.
    """
    from medlab.classroom.pages.similarity import similarity_page
    from medlab.classroom.submissions.similarity import compare_class
    from medlab.course import find_course, load_syllabus
    from medlab.files import write_text

    pairs, compared = compare_class(load_syllabus(find_course()), submissions, unit)
    write_text(out, similarity_page(pairs, compared))
    print(f"{len(pairs)} pairs to look at: {out}")


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="The CSV file to write.")],
    format_: Annotated[str, typer.Option("--format", help="canvas, moodle or csv.")] = "csv",
    gradebook: EarlierGradebook = "",
) -> None:
    """Export the latest grades for Canvas, Moodle or a plain table."""
    from medlab.classroom.gradebook import export as forms
    from medlab.classroom.gradebook.database import open_earlier
    from medlab.course import find_course, load_syllabus
    from medlab.files import write_text

    book = open_earlier(gradebook, out.parent)
    grades = book.newest()
    write_text(out, forms.export(format_, grades, book.lateness(), load_syllabus(find_course())))
    print(f"{len(grades)} grades: {out}")
    ungraded = forms.count_ungraded(grades)
    if ungraded:
        print(f"{ungraded} written answers need manual grading: their points are not in it")
