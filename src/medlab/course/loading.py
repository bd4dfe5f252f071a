"""Load units from the course: parsed from their source and checked against the rules."""

import hashlib
import json
import re

from medlab.course import rules
from medlab.course.cells import read_cells
from medlab.course.syllabus import UnitEntry
from medlab.course.unit import Unit
from medlab.errors import BadInput

EXERCISE = re.compile(r'(?m)^# %% .*\bexercise="(\w+)"')


def load_unit(entry: UnitEntry) -> Unit:
    """Read and check a unit's source file.

    Raises BadInput, with file and line, for a malformed marker, an unknown name, points that do
    not add up, an assert without a message, or a solution outside a function; and for a unit of a
    learners' release, which has no source.
    """
    if entry.released:
        raise BadInput(
            "hints, solutions and hidden tests are not part of this learners' release: "
            "ask your instructor"
        )
    text = entry.source.read_bytes() if entry.source.is_file() else b""
    cells = tuple(read_cells(entry.source, entry.slug))
    unit = Unit(entry, cells, hashlib.sha256(text).hexdigest()[:12])
    rules.check(unit, entry.source)
    return unit


def exercise_names(entry: UnitEntry) -> list[str]:
    """Return the names of a unit's exercises, in order, without checking the unit.

    They come from its source; in a learners' release from the notebook's metadata. Raises BadInput
    if that file cannot be read.
    """
    path = entry.notebook if entry.released else entry.source
    try:
        text = path.read_text(encoding="utf-8")
        return _names_in_notebook(text) if entry.released else EXERCISE.findall(text)
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): restore it") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BadInput(f"{path} is damaged: restore the released one") from None


def _names_in_notebook(text: str) -> list[str]:
    marks = [cell["metadata"].get("medlab", {}) for cell in json.loads(text)["cells"]]
    return [medlab["exercise"] for medlab in marks if "exercise" in medlab]
