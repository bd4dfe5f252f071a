"""The rules that a unit's source must keep, each refused with file and line."""

import ast
import textwrap
from pathlib import Path

from medlab.course.cells import BEGIN, END, SETUP, Cell, stub
from medlab.course.rubrics import RUBRICS, load_rubrics, near
from medlab.course.unit import Unit
from medlab.errors import BadInput


def check(unit: Unit, path: Path) -> None:
    """Raise BadInput for the first rule that the unit breaks."""
    _check_names(unit, path)
    for cell in unit.cells:
        if cell.role == "exercise":
            _check_exercise(cell, path)
        if cell.role in ("check", "hidden", "mistake"):
            _check_python(cell, path)
    for cell in unit.cells:
        if cell.role == "exercise":
            _check_points(unit, cell, path)
    _check_total(unit, path)
    _check_rubrics(unit, path)


def _check_names(unit: Unit, path: Path) -> None:
    exercises: dict[str, int] = {}
    for cell in unit.cells:
        if cell.role in ("exercise", "written"):
            if cell.name in exercises or cell.name == SETUP:
                raise BadInput(f"{path}:{cell.line}: the name '{cell.name}' is taken")
            exercises[cell.name] = cell.line
    names = {cell.name for cell in unit.cells if cell.role == "exercise"}
    for cell in unit.cells:
        for name in _mentions(cell):
            if name not in names:
                raise BadInput(
                    f"{path}:{cell.line}: {cell.role} '{name}' has no exercise of that name: "
                    f"there are {', '.join(sorted(names)) or 'none'}"
                )


def _mentions(cell: Cell) -> list[str]:
    """Names of exercises that a cell refers to."""
    if cell.role in ("check", "mistake", "hint"):
        return [cell.name]
    if cell.role == "hidden" and cell.name != SETUP:
        return [cell.name]
    return cell.options.get("needs", "").split()


def _check_exercise(cell: Cell, path: Path) -> None:
    _check_regions(cell, path)
    for source in (cell.source, stub(cell.source)):
        _check_defines(_parse(source, cell, path), cell, path)


def _check_regions(cell: Cell, path: Path) -> None:
    inside = False
    for number, line in enumerate(cell.source.splitlines(), start=cell.line + 1):
        begins, ends = BEGIN in line, END in line
        if (begins and inside) or (ends and not inside):
            raise BadInput(f"{path}:{number}: {BEGIN} and {END} must come in pairs")
        if begins and not line.startswith((" ", "\t")):
            raise BadInput(
                f"{path}:{number}: a solution must be inside a function, "
                "so that an untouched notebook still runs: indent it under a def"
            )
        inside = (inside or begins) and not ends
    if inside or BEGIN not in cell.source:
        raise BadInput(f"{path}:{cell.line}: exercise '{cell.name}' needs {BEGIN} and {END}")


def _check_python(cell: Cell, path: Path) -> None:
    tree = _parse(cell.source, cell, path)
    if cell.role == "mistake":
        _check_defines(tree, cell, path)
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert) and node.msg is None:
            raise BadInput(
                f"{path}:{cell.line + node.lineno}: this assert has no message: "
                "add one that names the likely slip"
            )


def _parse(source: str, cell: Cell, path: Path) -> ast.Module:
    try:
        return ast.parse(textwrap.dedent(source))
    except SyntaxError as error:
        line = cell.line + (error.lineno or 1)
        raise BadInput(f"{path}:{line}: not valid Python: {error.msg}") from None


def _check_defines(tree: ast.Module, cell: Cell, path: Path) -> None:
    kinds = (ast.FunctionDef, ast.ClassDef)
    if cell.name not in {node.name for node in tree.body if isinstance(node, kinds)}:
        raise BadInput(
            f"{path}:{cell.line}: {cell.role} '{cell.name}' must define a function or class "
            "of that name"
        )


def _check_points(unit: Unit, cell: Cell, path: Path) -> None:
    exercise = unit.exercise(cell.name)
    where = f"{path}:{cell.line}: exercise '{cell.name}'"
    if not exercise.checks:
        raise BadInput(f'{where} has no visible check: add a cell check="{cell.name}"')
    if not exercise.hidden:
        raise BadInput(f'{where} has no hidden test: add a cell hidden="{cell.name}"')
    total = sum(test.points for test in exercise.hidden)
    if total != exercise.points:
        raise BadInput(
            f"{where} is worth {exercise.points} points, its hidden tests add up to {total}"
        )
    for mistake in exercise.mistakes:
        if mistake.keeps >= exercise.points:
            raise BadInput(f"{where}: the mistake '{mistake.because}' loses no points")


def _check_total(unit: Unit, path: Path) -> None:
    total = unit.points + sum(written.points for written in unit.written)
    if total != unit.entry.points:
        raise BadInput(
            f"{path}:1: its points add up to {total}, the syllabus says {unit.entry.points}"
        )


def _check_rubrics(unit: Unit, path: Path) -> None:
    written = [cell for cell in unit.cells if cell.role == "written"]
    rubrics = load_rubrics(path.parents[2]) if written else {}
    for cell in written:
        rubric = cell.options["rubric"]
        if rubric not in rubrics:
            raise BadInput(
                f"{path}:{cell.line}: {RUBRICS} has no rubric '{rubric}': {near(rubric, rubrics)}"
            )
