"""Build the notebooks of a course from its units, and tell when they are out of step."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat.notebooknode import NotebookNode

from medlab.course.audience import INSTRUCTOR, LEARNER, notebook
from medlab.course.contents import contents
from medlab.course.execute import execute
from medlab.course.loading import load_unit
from medlab.course.syllabus import Syllabus
from medlab.course.unit import Unit
from medlab.files import write_text


@dataclass(frozen=True)
class Change:
    """A generated file that was, or would have to be, written or removed."""

    path: Path
    what: str  # written, removed, missing, differs, left over


def build(syllabus: Syllabus, slugs: Iterable[str] = ()) -> Iterator[Change]:
    """Write the notebooks of the named units, or of all; yield what changed.

    A solutions notebook is executed only when its unit's source has changed since it last was.
    """
    wanted = _wanted(syllabus, slugs)
    for unit in wanted:
        yield from _write(unit.entry.notebook, text_of(notebook(unit, LEARNER)))
        yield from _write_solution(syllabus.root, unit)
    if len(wanted) == len(syllabus.units):
        yield from _write(_contents(syllabus), contents(syllabus))
        for path in _left_over(syllabus):
            path.unlink()
            yield Change(path, "removed")


def check(syllabus: Syllabus, slugs: Iterable[str] = ()) -> list[Change]:
    """Return the generated files that are out of step with their source; write nothing."""
    wanted = _wanted(syllabus, slugs)
    changes = []
    for unit in wanted:
        path = unit.entry.notebook
        changes += _difference(path, _is_text(path, text_of(notebook(unit, LEARNER))))
        path = unit.entry.solution
        changes += _difference(path, path.is_file() and _is_solution_of(_read(path), unit))
    if len(wanted) == len(syllabus.units):
        path = _contents(syllabus)
        changes += _difference(path, _is_text(path, contents(syllabus)))
        changes += [Change(path, "left over") for path in _left_over(syllabus)]
    return changes


def text_of(made: NotebookNode) -> str:
    """Return a notebook as the text that is stored: the same notebook gives the same bytes."""
    return nbformat.writes(made, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _wanted(syllabus: Syllabus, slugs: Iterable[str]) -> list[Unit]:
    entries = [syllabus.find(slug) for slug in slugs] or syllabus.units
    return [load_unit(entry) for entry in entries]


def _write(path: Path, text: str) -> Iterator[Change]:
    if _is_text(path, text):
        return
    write_text(path, text)
    yield Change(path, "written")


def _write_solution(root: Path, unit: Unit) -> Iterator[Change]:
    made = _current_solution(root, unit) or _executed(unit)
    yield from _write(unit.entry.solution, text_of(made))


def _executed(unit: Unit) -> NotebookNode:
    made = execute(notebook(unit, INSTRUCTOR), unit.slug)
    made.metadata.medlab["source_version"] = unit.version
    return made


def _current_solution(root: Path, unit: Unit) -> NotebookNode | None:
    """Return the stored solution if it was made from this source, wherever it is numbered."""
    for path in sorted((root / "solutions").glob(f"*/*-{unit.slug}.ipynb")):
        stored = _read(path)
        if stored is not None and _is_solution_of(stored, unit):
            return stored
    return None


def _is_solution_of(stored: NotebookNode | None, unit: Unit) -> bool:
    if stored is None or stored.metadata.get("medlab", {}).get("source_version") != unit.version:
        return False
    fresh = notebook(unit, INSTRUCTOR)
    return [_input(cell) for cell in stored.cells] == [_input(cell) for cell in fresh.cells]


def _input(cell: NotebookNode) -> tuple:
    return cell.id, cell.cell_type, cell.source, cell.metadata


def _read(path: Path) -> NotebookNode | None:
    try:
        return nbformat.read(path, as_version=4)
    except Exception:
        # Any damage to a generated file has one fix: build it again.
        return None


def _is_text(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def _contents(syllabus: Syllabus) -> Path:
    return syllabus.root / "notebooks" / "README.md"


def _difference(path: Path, same: bool) -> list[Change]:
    if not path.is_file():
        return [Change(path, "missing")]
    return [] if same else [Change(path, "differs")]


def _left_over(syllabus: Syllabus) -> list[Path]:
    """Return notebooks in the generated folders that no unit accounts for."""
    made = {path for unit in syllabus.units for path in (unit.notebook, unit.solution)}
    folders = ("notebooks", "solutions")
    found = (path for folder in folders for path in (syllabus.root / folder).glob("*/*.ipynb"))
    return sorted(path for path in found if path not in made)
