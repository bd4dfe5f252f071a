"""The curriculum: its syllabus, its units and the notebooks built from them.

Not grading: hidden tests are read here and run in `classroom`.
"""

from medlab.course.loading import exercise_names, load_unit
from medlab.course.syllabus import Syllabus, UnitEntry, find_course, load_syllabus
from medlab.course.unit import Exercise, Unit

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
