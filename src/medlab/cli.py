"""The command line: parsing and printing, nothing else. Rooms are imported when a command runs."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from medlab.edge.board_cli import board
from medlab.edge.cli import app as edge
from medlab.errors import BadInput

app = typer.Typer(
    help="medlab: write a unit, open it, solve it, grade it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich's help panels would cost a third of a second at every start
)


app.add_typer(board, name="board")
app.add_typer(edge, name="edge")

INTERRUPTED = 130  # typer's exit status for Ctrl-C


def main() -> None:
    """Run a command; what a person got wrong is one line and exit status 2."""
    try:
        app()
    except BadInput as problem:
        print(f"medlab: {problem}", file=sys.stderr)
        sys.exit(2)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            print("medlab: stopped; what was finished is kept", file=sys.stderr)
        raise


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
    _close_build(check, changes, syllabus, len(slugs or syllabus.units))


def _close_build(check: bool, changes: list, syllabus, units: int) -> None:
    if not changes:
        print(f"{units} units, all notebooks in step with course/")
    elif check:
        for change in changes:
            print(f"{change.what}: {change.path.relative_to(syllabus.root)}")
        raise BadInput("generated notebooks are out of step with course/: run 'medlab build'")


@app.command()
def release(
    out: Annotated[Path, typer.Option(help="A new folder, or an earlier release.")],
    nbgrader: Annotated[
        bool, typer.Option("--nbgrader", help="A course folder for nbgrader: for instructors.")
    ] = False,
) -> None:
    """Write what learners get: notebooks without solutions, hidden tests or hints."""
    from medlab.course import find_course, load_syllabus
    from medlab.course import release as releasing

    syllabus = load_syllabus(find_course())
    if nbgrader:
        units = releasing.release_to_nbgrader(syllabus, out)
        print(f"{len(units)} assignments for nbgrader in {out}")
        print("They hold solutions and hidden tests: keep this folder from learners")
    else:
        units = releasing.release_to_learners(syllabus, out)
        print(f"{len(units)} units for learners in {out}: no solutions, hidden tests or hints")


@app.command()
def start(
    slug: Annotated[str | None, typer.Argument()] = None,
    next_: Annotated[bool, typer.Option("--next", help="The next unit of the syllabus.")] = False,
    fresh: Annotated[bool, typer.Option(help="Start over; the old copy is kept aside.")] = False,
) -> None:
    """Copy a unit's notebook into work/, where it is yours to solve."""
    from medlab.course import find_course
    from medlab.notebook import start as starting

    if bool(slug) == next_:
        raise BadInput("name one unit, or say --next: 'medlab progress' lists them")
    root = find_course()
    print(starting.start(root, slug or starting.next_unit(root), fresh=fresh))


@app.command()
def check(notebook: Path) -> None:
    """Run a notebook's visible checks from top to bottom; exit status 1 if one does not pass."""
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
    level: Annotated[int, typer.Option(help="1 a nudge, 2 the idea, 3 a skeleton.")] = 1,
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


@app.command()
def doctor() -> None:
    """Tell what this machine has, and what each missing tool would enable."""
    from rich.console import Console

    from medlab.doctor import report

    report(Console())


@app.command()
def sample(
    out: Annotated[Path, typer.Option(help="Folder to write <student>/*.ipynb to.")],
    unit: Annotated[
        list[str] | None, typer.Option(help="This unit only; may be said again.")
    ] = None,
) -> None:
    """Write a generated class of 12 submissions for each unit."""
    from medlab.classroom.sample import write_sample_class
    from medlab.course import find_course, load_syllabus

    paths = list(write_sample_class(load_syllabus(find_course()), out, unit or ()))
    print(f"{len(paths)} generated submissions in {out}")


@app.command()
def grade(
    submissions: Annotated[Path, typer.Argument(help="Holds <student>/*.ipynb.")],
    out: Annotated[Path, typer.Option(help="Folder for grades.csv, feedback/ and gradebook.db.")],
    seed: Annotated[
        int, typer.Option(min=0, max=2**31 - 1, help="Another seed, other random numbers.")
    ] = 0,
    unit: Annotated[str, typer.Option(help="Grade this unit only.")] = "",
    gradebook: Annotated[str, typer.Option(help="Database URL; default OUT/gradebook.db.")] = "",
    cell_seconds: Annotated[float, typer.Option(help="Longest time of one cell or call.")] = 120,
    sitting_seconds: Annotated[float, typer.Option(help="Longest time of one notebook.")] = 600,
    again: Annotated[bool, typer.Option(help="Grade also what was graded before.")] = False,
    workers: Annotated[int, typer.Option(min=0, help="Sittings at a time; 0: one per core.")] = 0,
    jail: Annotated[
        str, typer.Option(envvar="MEDLAB_JAIL", help="auto, namespaces, bubblewrap or limits.")
    ] = "auto",
    dask: Annotated[str, typer.Option(help="Address of a Dask scheduler.")] = "",
    sheet: Annotated[
        Path | None, typer.Option(help="Write written answers here, for a person to score.")
    ] = None,
    blind: Annotated[bool, typer.Option(help="Codes in place of names on the sheet.")] = False,
    scores: Annotated[Path | None, typer.Option(help="Read a filled scoring sheet.")] = None,
    late: Annotated[
        Path | None, typer.Option(help="CSV of times: student, unit, handed_in, due, excused.")
    ] = None,
    late_percent: Annotated[float, typer.Option(help="Off for each day begun.")] = 10,
    late_grace: Annotated[float, typer.Option(help="Minutes that do not count.")] = 0,
    late_floor: Annotated[float, typer.Option(help="Percent that always stay.")] = 0,
) -> None:
    """Grade a class: hidden tests run here, learners' code in kernels of its own."""
    from medlab.classroom.gradebook.lateness import LatePolicy
    from medlab.classroom.grading import grade_class
    from medlab.classroom.marking import Marking
    from medlab.classroom.opening import open_classroom
    from medlab.classroom.pages.console import print_grades, with_progress
    from medlab.course import find_course, load_syllabus
    from medlab.sandbox.limits import Limits

    syllabus = load_syllabus(find_course())
    if unit:
        syllabus.find(unit)
    classroom = open_classroom(
        syllabus,
        out,
        submissions,
        gradebook,
        seed=seed,
        again=again,
        limits=Limits(cell_seconds, sitting_seconds=sitting_seconds),
        workers=workers or os.cpu_count() or 1,
        jail=jail,
        dask=dask,
    )
    print(f"jail: {classroom.jail}")
    desk = Marking(classroom, submissions, unit)
    if late:
        desk.take_times(late, LatePolicy(late_percent, late_grace, late_floor))
    if scores:
        _say_scores(*desk.take_scores(scores))
    grades = with_progress(grade_class(classroom, submissions, unit))
    print_grades(grades, classroom.gradebook.lateness())
    if sheet:
        print(f"scoring sheet: {sheet} ({desk.write_sheet(sheet, blind)} answers await a score)")
    print(f"grades: {out / 'grades.csv'}\nfeedback: {out / 'feedback'}")


def _say_scores(count: int, remarks: list[str]) -> None:
    for remark in remarks:
        print(f"medlab: {remark}", file=sys.stderr)
    print(f"{count} scores read")


GRADEBOOK = Annotated[str, typer.Option(help="Database URL; default gradebook.db beside --out.")]


@app.command()
def report(
    out: Annotated[Path, typer.Option(help="The HTML page to write.")],
    gradebook: GRADEBOOK = "",
) -> None:
    """Show what a class found hard: difficulty, discrimination and slips of each exercise."""
    from medlab.classroom.gradebook.database import open_earlier
    from medlab.classroom.pages.item_analysis import report_page
    from medlab.files import write_text

    write_text(out, report_page(open_earlier(gradebook, out.parent).newest()))
    print(f"report: {out}")


@app.command()
def similar(
    submissions: Annotated[Path, typer.Argument(help="Holds <student>/*.ipynb.")],
    out: Annotated[Path, typer.Option(help="The HTML page to write.")],
    unit: Annotated[str, typer.Option(help="Compare this unit only.")] = "",
) -> None:
    """Show answers that are alike: something to look at, never a verdict."""
    from medlab.classroom.pages.similarity import similarity_page
    from medlab.classroom.submissions.roster import submissions_of
    from medlab.classroom.submissions.similarity import compare
    from medlab.course import find_course, load_syllabus, load_unit
    from medlab.files import write_text

    syllabus = load_syllabus(find_course())
    entries = [syllabus.find(unit)] if unit else syllabus.units
    units = {entry.slug: load_unit(entry) for entry in entries}
    slugs = [entry.slug for entry in syllabus.units]
    pairs, compared = compare(units, submissions_of(submissions, unit, slugs))
    write_text(out, similarity_page(pairs, compared))
    print(f"{len(pairs)} pairs to look at: {out}")


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="The CSV file to write.")],
    format_: Annotated[str, typer.Option("--format", help="canvas, moodle or csv.")] = "csv",
    gradebook: GRADEBOOK = "",
) -> None:
    """Write the newest grades for another gradebook: Canvas, Moodle or a plain table."""
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


data = typer.Typer(
    help="Data sets: make a stand-in, fetch the real one, verify either.", no_args_is_help=True
)
app.add_typer(data, name="data")


@data.command("list")
def data_list() -> None:
    """List the data sets, and what of them is on this machine."""
    from medlab.datasets import cache, registry
    from medlab.datasets.fetching import is_there, real_folder
    from medlab.datasets.verifying import stand_ins

    for data_set in registry.DATA_SETS:
        made = len(stand_ins(data_set))
        real = "fetched" if is_there(real_folder(data_set)) else "not fetched"
        print(f"{data_set.name}: {data_set.title}")
        print(f"  stand-in: {f'made ({made})' if made else 'not made'}")
        print(f"  real: {data_set.real.title}, {real}")
        print(f"  card: {data_set.card}")
    print(f"They lie in {cache.root()}; MEDLAB_DATA names another folder")


@data.command("make")
def data_make(
    name: str,
    out: Annotated[Path | None, typer.Option(help="A new folder; default: the cache.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="A maker's setting; an unknown one lists them all."
        ),
    ] = None,
) -> None:
    """Write a stand-in: generated, seeded, in the folders and formats of the real data set."""
    from medlab.datasets import cache, find
    from medlab.datasets.settings import parse

    data_set = find(name)
    settings = parse(data_set, set_ or [])
    if out is None:
        print(cache.folder(name, **settings))
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"{out} is there and not empty: remove it, or name another")
    print(cache.make(data_set, out, settings))


@data.command("fetch")
def data_fetch(
    name: str,
    out: Annotated[Path | None, typer.Option(help="A new folder; default: the cache.")] = None,
    agree: Annotated[bool, typer.Option("--agree", help="I have read the terms.")] = False,
) -> None:
    """Show a real data set's licence and terms, and download it once you agree."""
    from medlab.datasets import fetching, find

    data_set = find(name)
    target = out or fetching.real_folder(data_set)
    print(fetching.notice(data_set, target))
    if out is None and fetching.is_there(target):
        print(f"It is there: 'medlab data verify {name}' checks it")
        return
    if not data_set.real.files:
        print(fetching.by_hand(data_set))
        raise typer.Exit(1)
    fetching.check_place(data_set, target)
    if not agree:
        _ask_to_agree()
    for remark in fetching.fetch(data_set, target, progress=sys.stderr.isatty()):
        print(remark)
    _say_faults([target], data_set)


def _ask_to_agree() -> None:
    if not sys.stdin.isatty():
        raise BadInput("nobody is here to agree: read the terms, then say --agree")
    if not typer.confirm("Do you agree to the licence and the terms?"):
        raise BadInput("not agreed, nothing was downloaded")


@data.command("verify")
def data_verify(
    what: Annotated[str, typer.Argument(metavar="NAME|DIR")],
    as_: Annotated[str, typer.Option("--as", help="Which data set an unlabelled DIR holds.")] = "",
) -> None:
    """Tell what is wrong with a data set's folders; exit status 1 if something is."""
    from medlab.datasets.verifying import folders

    data_set, found = folders(what, as_)
    _say_faults(found, data_set)


def _say_faults(folders: list[Path], data_set) -> None:
    faults = 0
    for folder in folders:
        found = data_set.load().verify(folder)
        faults += len(found)
        count = f"{len(found)} fault{'s' if len(found) > 1 else ''}"
        print(f"{folder}: {count if found else 'nothing wrong found'}")
        for fault in found:
            print(f"  {fault}")
    if faults:
        raise typer.Exit(1)
