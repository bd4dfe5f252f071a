"""A learner's progress: which visible checks pass, in work/progress.json.

This is a learner's own record, not a grade: anyone can edit the file, and `medlab grade`
never reads it.

    {"schema": 1, "units": {"<slug>": {"<exercise>": true}}}      the latest result of each check
"""

import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from medlab import locks
from medlab.course import exercise_names, load_syllabus
from medlab.errors import BadInput
from medlab.files import free_name, write_text

FILE = Path("work/progress.json")
SCHEMA = 1
NOT_STARTED, STARTED, PASSED = "not started", "started", "all checks pass"
NOTE = "These are visible checks only. Grades come from `medlab grade`."

Results = dict[str, dict[str, bool]]  # slug -> exercise -> whether its latest check passed


@dataclass(frozen=True)
class Row:
    """One unit's progress."""

    slug: str
    title: str
    hours: float
    passed: int  # exercises whose latest visible check passed
    exercises: int
    state: str  # NOT_STARTED, STARTED or PASSED


class _DamagedFile(Exception):
    """The file exists but is not a progress file."""


def record(root: Path, slug: str, exercise: str, passed: bool) -> None:
    """Write one check's result to root/work/progress.json; raise BadInput if that fails.

    Two notebooks may record at once: each waits for the other, and a reader sees a whole file.
    """
    path = root / FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _lock(path):
            results = _load(path)
            results.setdefault(slug, {})[exercise] = bool(passed)
            stored = {"schema": SCHEMA, "units": results}
            write_text(path, json.dumps(stored, indent=1, sort_keys=True) + "\n")
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}") from None


def read(root: Path) -> Results:
    """Return all recorded results; a damaged file is moved aside with a notice, and {} returned."""
    path = root / FILE
    try:
        return _parse(path)
    except _DamagedFile:
        with _lock(path):
            return _load(path)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None


def ladder(root: Path) -> list[Row]:
    """Return one row per unit of the syllabus, in order."""
    results = read(root)
    return [_row(root, entry, results.get(entry.slug)) for entry in load_syllabus(root).units]


def _row(root: Path, entry, results: dict[str, bool] | None) -> Row:
    names = exercise_names(entry)
    passed = sum((results or {}).get(name, False) for name in names)
    state = NOT_STARTED
    if results is not None or (root / "work" / f"{entry.slug}.ipynb").exists():
        state = PASSED if passed == len(names) else STARTED
    return Row(entry.slug, entry.title, entry.hours, passed, len(names), state)


def _load(path: Path) -> Results:
    """Parse the file, moving a damaged one aside; the caller holds the lock."""
    try:
        return _parse(path)
    except _DamagedFile:
        aside = free_name(path.with_name(path.name + ".damaged"))
        path.rename(aside)
        print(
            f"{path} was damaged: renamed to {aside.name}, progress starts from scratch",
            file=sys.stderr,
        )
        return {}


def _parse(path: Path) -> Results:
    try:
        units = json.loads(path.read_bytes())["units"]
        return {
            slug: {name: _yes_or_no(passed) for name, passed in results.items()}
            for slug, results in units.items()
        }
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise _DamagedFile from None


def _yes_or_no(passed: object) -> bool:
    if not isinstance(passed, bool):
        raise ValueError(passed)
    return passed


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold the lock of the file beside it."""
    with path.with_name(f".{path.name}.lock").open("w") as file:
        locks.wait_for(file.fileno())
        yield
