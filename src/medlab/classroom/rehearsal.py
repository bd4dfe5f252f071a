"""Rehearsals: before a class is graded, each unit's own solution must have full marks.

A rehearsal is kept in the user's cache folder, so that the next run of the same unit, on the same
machine and with the same isolation and limits, skips it. A failed one is never kept.
"""

import contextlib
import functools
import hashlib
import json
import os
import platform
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs

import medlab
from medlab.classroom.classroom import Classroom
from medlab.classroom.referee.pace import Pace
from medlab.classroom.results import Status
from medlab.classroom.submissions.restoring import RestoredNotebook
from medlab.classroom.workers import SittingOutcome
from medlab.course import Unit
from medlab.course.audience import answered
from medlab.errors import BadInput
from medlab.files import write_text
from medlab.scale import scale
from medlab.text import one_line


@dataclass(frozen=True)
class Rehearsal:
    """A solution with full marks, and how long it took on this machine."""

    seconds: float  # wall-clock time of the sitting
    cells: dict[str, float]  # seconds of each cell, by id
    tests: dict[str, float]  # seconds of each hidden test

    @property
    def pace(self) -> Pace:
        return Pace(self.cells, self.tests)


def solved(unit: Unit) -> RestoredNotebook:
    """Return a unit's notebook with its own solutions."""
    return RestoredNotebook(answered(unit, {e.name: e.solution for e in unit.exercises}))


def check_rehearsal(unit: Unit, outcome: SittingOutcome) -> Rehearsal:
    """Return a rehearsal from its outcome; raise BadInput if it lacks full marks."""
    where = f"{unit.entry.source}: the unit's own solution"
    if outcome.judged is None:
        problem = one_line(outcome.trouble.strip().splitlines()[-1])
        raise BadInput(f"{where} could not be graded ({problem}): nothing was graded")
    for result in outcome.judged.exercises:
        if result.kind == "exercise" and result.points != result.max:
            raise BadInput(
                f"{where} of '{result.name}' scores {result.points} of {result.max} "
                f"({result.message}): {_cure(result.status)}; nothing was graded"
            )
    pace = outcome.judged.pace
    return Rehearsal(outcome.seconds, dict(pace.cells), dict(pace.tests))


def _cure(status: Status) -> str:
    if status == Status.TIMEOUT:
        return "give it more --cell-seconds or --sitting-seconds"
    return "fix the unit"


class RehearsalStore:
    """The rehearsals that are kept for one setting: a file for each unit's version."""

    def __init__(self, folder: Path | None, setting: str = ""):
        """Keep rehearsals in a folder; without one, for this run only."""
        self._folder, self._setting = folder, setting
        self._known: dict[str, Rehearsal] = {}

    @classmethod
    def of(cls, room: Classroom) -> "RehearsalStore":
        """Return the store for a classroom's isolation and limits on this machine.

        A cluster's machines come and go, so nothing is kept for them.
        """
        if room.dask:
            return cls(None)
        setting = {"jail": room.jail, "limits": asdict(room.limits), "scale": scale()}
        folder = platformdirs.user_cache_path("medlab") / "rehearsals"
        return cls(folder, json.dumps([setting, _machine(), _software()], sort_keys=True))

    def find(self, unit: Unit) -> Rehearsal | None:
        """Return the rehearsal of a unit, if there was one."""
        if unit.version not in self._known and self._folder:
            with contextlib.suppress(OSError, ValueError, TypeError):
                self._known[unit.version] = Rehearsal(**json.loads(self._path(unit).read_bytes()))
        return self._known.get(unit.version)

    def keep(self, unit: Unit, rehearsal: Rehearsal) -> None:
        """Keep a rehearsal with full marks, where the folder can be written."""
        self._known[unit.version] = rehearsal
        if self._folder:
            with contextlib.suppress(BadInput):
                write_text(self._path(unit), json.dumps(asdict(rehearsal)) + "\n")

    def _path(self, unit: Unit) -> Path:
        key = json.dumps([unit.slug, unit.version, unit.entry.libraries, self._setting])
        return self._folder / f"{unit.slug}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"


def _machine() -> list:
    return [platform.node(), platform.machine(), os.cpu_count()]


@functools.cache
def _software() -> str:
    """Return a digest of Python, of the installed distributions and of medlab's own source."""
    digest = hashlib.sha256(f"{sys.version} {medlab.__version__}".encode())
    for folder in filter(os.path.isdir, sys.path):
        names = sorted(name for name in os.listdir(folder) if name.endswith(".dist-info"))
        digest.update("\n".join(names).encode("utf-8", "surrogateescape"))
    for path in sorted(Path(medlab.__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
