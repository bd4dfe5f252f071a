"""The curriculum: its syllabus, its units and the notebooks built from them."""

from medlab.course.syllabus import Syllabus, UnitEntry, find_course, load_syllabus
from medlab.course.unit import Exercise, Unit, exercise_names, load_unit

__all__ = [
    "Exercise",
    "Syllabus",
    "Unit",
    "UnitEntry",
    "exercise_names",
    "find_course",
    "load_syllabus",
    "load_unit",
]
