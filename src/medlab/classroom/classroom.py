"""A classroom: a course, an output folder and a gradebook, with what one run shares."""

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from medlab.classroom.gradebook.database import Gradebook
from medlab.classroom.record import Record
from medlab.classroom.results import Grade
from medlab.classroom.submissions.reading import Submission
from medlab.classroom.submissions.restoring import RestoredNotebook, restore
from medlab.classroom.submissions.roster import submissions_of
from medlab.course import Syllabus, Unit, load_unit
from medlab.sandbox.isolation import AUTO, choose
from medlab.sandbox.limits import Limits

LOG = "grading.log"  # tracebacks, for the instructor alone


@dataclass
class Classroom:
    """Settings of a run, where its files are, and what it reads once."""

    syllabus: Syllabus
    out: Path
    gradebook: Gradebook
    secret: str
    seed: int = 0
    limits: Limits = field(default_factory=Limits)
    again: bool = False  # regrade everything
    jail: str = AUTO
    workers: int = 1  # 0: one for each core
    dask: str = ""  # address of a scheduler; empty: workers on this machine
    remarks: set[str] = field(default_factory=set)  # about a run, for the instructor
    _units: dict[str, Unit] = field(default_factory=dict)
    _submissions: dict[tuple[Path, str], list[Submission]] = field(default_factory=dict)
    _restored: dict[tuple[str, str, str], RestoredNotebook] = field(default_factory=dict)

    def __post_init__(self):
        self.jail = choose(self.jail)
        self.workers = self.workers or os.cpu_count() or 1

    def unit(self, slug: str) -> Unit:
        """Return a unit, parsed once."""
        if slug not in self._units:
            self._units[slug] = load_unit(self.syllabus.find(slug))
        return self._units[slug]

    def submissions(self, folder: Path, slug: str = "") -> list[Submission]:
        """Return the submissions in a folder, or those of one unit, read once."""
        if (folder, slug) not in self._submissions:
            slugs = [entry.slug for entry in self.syllabus.units]
            self._submissions[folder, slug] = submissions_of(folder, slug, slugs)
        return self._submissions[folder, slug]

    def restored(self, submission: Submission) -> RestoredNotebook:
        """Return a submission put back into the course's notebook, once; do not change it."""
        key = submission.student, submission.slug, submission.sha256
        if key not in self._restored:
            self._restored[key] = restore(self.unit(submission.slug), submission.cells)
        return self._restored[key]

    def record(self, student: str, unit: str) -> Record:
        """Return the record of a student's submission; a file of no unit has that of its name."""
        return Record(self.out / "records" / student / unit)

    def feedback_path(self, grade: Grade) -> Path:
        """Return the path of a grade's feedback page; a file of no unit keeps its name."""
        return self.out / "feedback" / grade.student / f"{grade.unit or grade.file}.html"

    def log(self, grade: Grade, traceback: str) -> None:
        """Add a traceback to the instructor's log."""
        entry = f"{grade.student}/{grade.file}\n{traceback}\n".encode("utf-8", "backslashreplace")
        with contextlib.suppress(OSError), (self.out / LOG).open("ab") as log:
            log.write(entry)
