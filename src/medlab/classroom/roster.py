"""Who handed in what: one submission for each student and unit, whatever the folders hold."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from medlab.classroom.submission import Submission, find_submissions


def submissions_of(folder: Path, slug: str = "") -> list[Submission]:
    """Return what is to be graded: one submission for each student and unit.

    Two notebooks of one unit, or two students whose names differ only in case, become rows that
    say so. With a slug, other units' notebooks are left alone.
    """
    found = list(find_submissions(folder))
    by_name: dict[str, set[str]] = {}
    for one in found:
        by_name.setdefault(one.student.casefold(), set()).add(one.student)
    twins = {name for names in by_name.values() if len(names) > 1 for name in names}
    chosen = [
        one for one in _one_each(found) if not slug or one.slug == slug or slug in one.path.stem
    ]
    if slug:
        chosen += _missing(found, chosen, slug)
    return sorted((_marked(one, twins) for one in chosen), key=lambda one: (one.student, one.path))


def _one_each(found: list[Submission]) -> list[Submission]:
    """Join notebooks of the same student and unit into one row that names them."""
    groups: dict[tuple, list[Submission]] = {}
    for one in found:
        groups.setdefault((one.student, one.slug or one.path), []).append(one)
    return [group[0] if len(group) == 1 else _duplicate(group) for group in groups.values()]


def _duplicate(group: list[Submission]) -> Submission:
    names = " and ".join(one.path.name for one in group)
    return replace(
        group[0], problem="duplicate", message=f"{names} are both of this unit: keep one"
    )


def _missing(found: list[Submission], chosen: list[Submission], slug: str) -> Iterator[Submission]:
    """Yield a row for each student who handed in no notebook of the unit."""
    there = {one.student for one in chosen}
    for student in sorted({one.student for one in found} - there):
        folder = next(one.path.parent for one in found if one.student == student)
        yield Submission(
            student, folder / slug, slug, problem="missing", message="no notebook of this unit here"
        )


def _marked(one: Submission, twins: set[str]) -> Submission:
    if one.student not in twins:
        return one
    told = f"another student is called '{one.student}' but for case: rename one folder"
    return replace(one, problem="duplicate student", message=told)
