"""A sample class: made-up students whose submissions cover what a real class hands in."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from medlab.course import Syllabus, Unit, load_unit
from medlab.course.audience import LEARNER, answered, notebook
from medlab.course.build import text_of
from medlab.errors import BadInput
from medlab.files import write_text

SIZE = 12  # submissions for each unit
NOT_A_NOTEBOOK = "This file was renamed to .ipynb.\n"


def write_sample_class(syllabus: Syllabus, out: Path, slugs: Iterable[str] = ()) -> Iterator[Path]:
    """Write out/<student>/<slug>.ipynb for a generated class of 12; yield the paths.

    For every unit, or the chosen ones: the solution, every shipped mistake, the untouched notebook,
    a file that is not a notebook, and a notebook that raises half-way. Raises BadInput for a folder
    that holds anything but an earlier sample: nobody's real work is overwritten.
    """
    _refuse_others(out)
    for entry in [syllabus.find(slug) for slug in slugs] or syllabus.units:
        for number, text in enumerate(_texts(load_unit(entry)), start=1):
            path = out / student(number) / f"{entry.slug}.ipynb"
            write_text(path, text)
            yield path


def student(number: int) -> str:
    """Return the name of a made-up student, from 1."""
    return f"student-{number:02}"


def spread_mistakes(unit: Unit, seats: int) -> list[dict[str, str]]:
    """Deal a unit's mistakes out to seats, never two of one exercise to the same seat."""
    dealt: list[dict[str, str]] = [{} for _ in range(seats)]
    turn = 0
    for exercise in unit.exercises:
        for mistake in exercise.mistakes:
            free = (s for s in range(turn, turn + seats) if exercise.name not in dealt[s % seats])
            seat = next(free) % seats
            dealt[seat][exercise.name] = mistake.source
            turn = seat + 1
    return dealt


def _refuse_others(out: Path) -> None:
    ours = {student(number) for number in range(1, SIZE + 1)}
    try:
        others = sorted(p.name for p in out.iterdir() if p.name not in ours) if out.exists() else []
    except OSError as error:
        raise BadInput(f"{out} cannot be used ({error.strerror}): choose a new folder") from None
    if others:
        raise BadInput(
            f"{out} holds '{others[0]}', which is not a generated student: choose a new folder"
        )


def _texts(unit: Unit) -> list[str]:
    solution = {exercise.name: exercise.solution for exercise in unit.exercises}
    seats = spread_mistakes(unit, SIZE - 4)
    made = [
        answered(unit, solution),
        *(answered(unit, solution | mistakes) for mistakes in seats),
        notebook(unit, LEARNER),
        _raising(unit, solution),
    ]
    return [*map(text_of, made), NOT_A_NOTEBOOK]


def _raising(unit: Unit, solution: dict[str, str]) -> NotebookNode:
    """Solve a unit and add a cell that raises behind the exercise in the middle."""
    made = answered(unit, solution)
    middle = unit.exercises[len(unit.exercises) // 2].cell_id
    at = next(i for i, cell in enumerate(made.cells) if cell.id == middle)
    broken = nbformat.v4.new_code_cell("raise RuntimeError('half-way')", id="half-way")
    made.cells.insert(at + 1, broken)
    return made
