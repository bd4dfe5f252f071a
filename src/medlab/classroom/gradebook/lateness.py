"""What handing in late costs.

The score itself stays as it is; the score after lateness is shown beside it, with the reason.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from medlab.classroom.gradebook.csv_table import read_rows
from medlab.classroom.results import Grade, whole
from medlab.errors import BadInput

COLUMNS = ("student", "unit", "handed_in", "due")
YES, NO = {"yes", "y", "true", "1", "x"}, {"", "no", "n", "false", "0"}
DAY = timedelta(days=1)


@dataclass(frozen=True)
class LatePolicy:
    """What each day, or part of a day, takes off the points that were earned."""

    percent: float = 10  # off for each day or part of a day, counted from the due time
    grace_minutes: float = 0  # up to which late is not late
    floor: float = 0  # percent of the earned points that always stay

    def __post_init__(self):
        if not 0 <= self.percent <= 100 or not 0 <= self.floor <= 100:
            raise BadInput("a late policy takes off and leaves between 0 and 100 percent")
        if not (self.grace_minutes >= 0 and math.isfinite(self.grace_minutes)):
            raise BadInput("the grace period is a number of minutes from 0")

    def days(self, late: timedelta) -> int:
        """Return the days that count: 0 within the grace, else begun days since the due time."""
        return 0 if late <= timedelta(minutes=self.grace_minutes) else -(-late // DAY)

    def keeps(self, late: timedelta) -> float:
        """Return the percentage of the earned points that stays."""
        return max(self.floor, 100 - self.percent * self.days(late))


@dataclass(frozen=True)
class Lateness:
    """What one student's submission of one unit keeps, and why."""

    student: str
    unit: str
    keeps: float  # percent of the earned points
    reason: str

    def reduced(self, score: float) -> float:
        """Return the score after lateness, rounded to hundredths of a point."""
        return whole(round(score * self.keeps / 100, 2))


Late = Mapping[tuple[str, str], Lateness]  # by student and unit


def final_score(grade: Grade, lateness: Late) -> float:
    """Return the points that count: after lateness, where there was some."""
    late = lateness.get((grade.student, grade.unit))
    return late.reduced(grade.score) if late else grade.score


def read_times(
    path: Path, policy: LatePolicy, students: set[str], units: set[str]
) -> list[Lateness]:
    """Read a CSV of times: student, unit, handed_in, due and, if wanted, excused.

    Times are in ISO form, such as 2026-03-01 23:59 or with an offset, 2026-03-01T23:59+01:00.
    Raises BadInput with the row's number for the first wrong row; then nothing is kept.
    """
    found: dict[tuple[str, str], Lateness] = {}
    for where, row in read_rows(path, COLUMNS):
        one = _lateness(row, policy, students, units, where)
        if (one.student, one.unit) in found:
            raise BadInput(f"{where}: {one.student} and {one.unit} are a duplicate: keep one row")
        found[one.student, one.unit] = one
    return list(found.values())


def _lateness(row: dict, policy: LatePolicy, students: set, units: set, where: str) -> Lateness:
    student, unit = row["student"], row["unit"]
    if student not in students:
        raise BadInput(f"{where}: no student '{student}' in this class: correct the name")
    if unit not in units:
        raise BadInput(f"{where}: no unit '{unit}' in this course: correct the slug")
    late = _difference(row, where)
    if _excused(row.get("excused", ""), where):
        return Lateness(student, unit, 100, "excused")
    return Lateness(student, unit, policy.keeps(late), _reason(policy, late))


def _difference(row: dict, where: str) -> timedelta:
    handed_in, due = (_time(row, name, where) for name in ("handed_in", "due"))
    if (handed_in.tzinfo is None) != (due.tzinfo is None):
        raise BadInput(f"{where}: give both times an offset such as +01:00, or neither")
    return handed_in - due


def _time(row: dict, name: str, where: str) -> datetime:
    try:
        return datetime.fromisoformat(row[name])
    except ValueError:
        raise BadInput(
            f"{where}: {name} is '{row[name]}': write a time such as 2026-03-01 23:59"
        ) from None


def _excused(value: str, where: str) -> bool:
    if value.lower() not in YES | NO:
        raise BadInput(f"{where}: excused is '{value}': write yes, or nothing")
    return value.lower() in YES


def _reason(policy: LatePolicy, late: timedelta) -> str:
    if late <= timedelta(0):
        return "in time"
    if not policy.days(late):
        return f"{_words(late)} late, within the grace period of {policy.grace_minutes:g} min"
    days = policy.days(late)
    counted = f"{days} {'day' if days == 1 else 'days'} at {policy.percent:g} % each"
    floor = policy.keeps(late) > 100 - policy.percent * days
    stays = f", but at least {policy.floor:g} % are kept" if floor else ""
    return f"{_words(late)} late: {counted}{stays}"


def _words(late: timedelta) -> str:
    return " ".join(_parts(late))


def _parts(late: timedelta) -> Iterator[str]:
    minutes = -(-late // timedelta(minutes=1))
    for size, unit in ((1440, "d"), (60, "h"), (1, "min")):
        count, minutes = divmod(minutes, size)
        if count:
            yield f"{count} {unit}"
