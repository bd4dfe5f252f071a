"""Who handed in what: one submission for each student and unit, whatever the folders hold."""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from medlab.classroom.results import Status
from medlab.classroom.submissions.reading import Submission, find_submissions
from medlab.text import file_name, printable


def submissions_of(folder: Path, slug: str = "", slugs: Iterable[str] = ()) -> list[Submission]:
    """Return what is to be graded: one submission for each student and unit.

    Two notebooks of one unit, or two students whose names look the same get a row that says so.
    slugs are the course's units: a notebook of none of them becomes such a row too. With a slug,
    other units' notebooks are left alone. Raises BadInput for a folder without students.
    """
    found = [_named(one) for one in find_submissions(folder)]
    units = tuple(slugs)
    if units:
        found = [_of_course(one, units) for one in found]
    found = _one_each(_with_guesses(found, units or (slug,)))
    chosen = [one for one in found if not slug or one.slug == slug]
    if slug:
        chosen += _missing(found, chosen, slug)
    twins = _twins(one.student for one in found)
    return sorted((_marked(one, twins) for one in chosen), key=lambda one: (one.student, one.path))


def _named(one: Submission) -> Submission:
    """Take the folder's name as the student's, without characters that files cannot hold."""
    return replace(one, student=file_name(one.student))


def _of_course(one: Submission, units: tuple[str, ...]) -> Submission:
    """Turn a notebook of no unit, or of none of these, into a row with that status."""
    if one.problem or one.slug in units:
        return one
    if not one.slug:
        message = "its metadata names no unit: copy your answers into the notebook of the course"
        return replace(one, problem=Status.NO_UNIT, message=message)
    message = f"this course has no unit '{printable(one.slug[:80])}': hand in one of its notebooks"
    return replace(one, slug="", problem=Status.UNKNOWN_UNIT, message=message)


def _with_guesses(found: list[Submission], units: tuple[str, ...]) -> list[Submission]:
    """Guess from a file's name which unit it was meant for, unless another file is of that unit."""
    taken = {(one.student, one.slug) for one in found}
    placed = []
    for one in found:
        guess = _guess(one.path.stem, units) if one.problem and not one.slug else ""
        if guess and (one.student, guess) not in taken:
            taken.add((one.student, guess))
            placed.append(replace(one, slug=guess))
        else:
            placed.append(one)
    return placed


def _guess(stem: str, units: tuple[str, ...]) -> str:
    return max((unit for unit in units if unit in stem), key=len, default="")


def _one_each(found: list[Submission]) -> list[Submission]:
    """Join notebooks of the same student and unit into one row that names them."""
    groups: dict[tuple, list[Submission]] = {}
    for one in found:
        groups.setdefault((one.student, one.slug or one.path), []).append(one)
    return [_joined(group) for group in groups.values()]


def _joined(group: list[Submission]) -> Submission:
    """Return the one submission; copies of one file, such as 'x (1).ipynb', count as one."""
    if len({one.sha256 for one in group}) == 1:
        return group[0]
    names = " and ".join(printable(one.path.name) for one in group)
    message = f"{names} are both of this unit: hand in one of them"
    return replace(group[0], problem=Status.DUPLICATE, message=message)


def _missing(found: list[Submission], chosen: list[Submission], slug: str) -> Iterator[Submission]:
    """Yield a row for each student who handed in no notebook of the unit."""
    there = {one.student for one in chosen}
    others: dict[str, list[Submission]] = {}
    for one in found:
        others.setdefault(one.student, []).append(one)
    for student in sorted(others.keys() - there):
        files = [printable(o.path.name) for o in others[student] if o.problem != Status.EMPTY]
        message = "no notebook of this unit here" + (f", only {', '.join(files)}" if files else "")
        yield Submission(student, Path(slug), slug, problem=Status.MISSING, message=message)


def _twins(students: Iterable[str]) -> set[str]:
    """Return the students whose names differ from another's only in case or in encoding."""
    alike: dict[str, set[str]] = {}
    for student in students:
        key = unicodedata.normalize("NFKC", student).casefold()
        alike.setdefault(key, set()).add(student)
    return {name for names in alike.values() if len(names) > 1 for name in names}


def _marked(one: Submission, twins: set[str]) -> Submission:
    if one.student not in twins:
        return one
    message = (
        f"another student's folder differs from '{one.student}' only in case or accents: "
        "rename one of the two; neither was graded"
    )
    return replace(one, problem=Status.DUPLICATE_STUDENT, message=message)
