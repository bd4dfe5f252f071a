"""Hints of an exercise: a nudge, then the formula, then a skeleton."""

from medlab.course import Unit
from medlab.errors import BadInput


def hint(unit: Unit, exercise: str, level: int = 1) -> str:
    """Return one level of an exercise's hints, as Markdown.

    Levels count from 1. Raises BadInput for an exercise or a level that there is not, and names
    those there are.
    """
    hints = unit.exercise(exercise).hints
    if not hints:
        raise BadInput(f"exercise '{exercise}' of '{unit.slug}' has no hints: read its docstring")
    if not 1 <= level <= len(hints):
        raise BadInput(f"there is no hint {level} for '{exercise}': choose from 1 to {len(hints)}")
    return hints[level - 1]
