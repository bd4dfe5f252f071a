"""The one vocabulary of results: statuses, and what a test, an exercise and a submission scored.

Everything that grades, keeps or shows results uses it; it imports none of them.
"""

import json
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum

from medlab.text import one_line

SCHEMA = 2  # of grade.json: classroom/grade.schema.json


class Status(StrEnum):
    """How a test, an exercise or a submission ended; the value is what people read."""

    # Of a submission. The first two come with a score, the others say why there is none.
    GRADED = "graded"
    NOT_ATTEMPTED = "not attempted"  # also of an exercise or a test
    NOT_A_NOTEBOOK = "not a notebook"
    NO_UNIT = "no unit"
    UNKNOWN_UNIT = "unknown unit"
    DUPLICATE = "duplicate"
    DUPLICATE_STUDENT = "duplicate student"
    MISSING = "missing"
    EMPTY = "empty"
    NOT_GRADED = "could not be graded"
    # Of an exercise or a test.
    PASSED = "passed"
    PARTLY = "partly"  # some of the points
    FAILED = "failed"
    ERROR = "error"
    TIMEOUT = "timeout"
    KILLED = "killed"
    # Of a written answer.
    NEEDS_GRADING = "needs manual grading"
    SCORED_MANUALLY = "scored manually"


SCORED = (Status.GRADED, Status.NOT_ATTEMPTED)
# What makes a grading the same grading, so that it need not be done again.
KEY = ("student", "unit", "unit_version", "submission_sha256", "seed")


@dataclass
class TestResult:
    """What one hidden test found."""

    __test__ = False  # not a class of tests for pytest

    about: str
    points: int
    max: int
    status: Status
    message: str  # for the learner, one line
    seconds: float = field(default=0.0, compare=False)  # wall-clock time; not part of the grade


@dataclass
class ExerciseResult:
    """What an exercise, or a written answer, scored."""

    name: str
    kind: str  # exercise or written
    points: float | None  # None until a written answer is scored
    max: int
    status: Status
    message: str
    tests: list[TestResult] = field(default_factory=list)


@dataclass
class Grade:
    """What one submission scored, exercise by exercise."""

    student: str
    unit: str  # slug; empty if the submission names none
    unit_version: str
    submission_sha256: str
    seed: int
    file: str
    status: Status = Status.GRADED
    message: str = ""
    score: float = 0  # of the exercises, and of written answers once they are scored
    max: float = 0
    seconds: float = 0  # of wall-clock time on the grader's machine
    jail: str = ""  # isolation of the learner's code: namespaces, bubblewrap or limits
    exercises: list[ExerciseResult] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    # Of a newer file that could not be graded, while this grade counts; not part of grade.json.
    then: Status | None = None

    def take(self, exercises: list[ExerciseResult], notes: list[str]) -> None:
        """Add up the results of a sitting."""
        self.exercises = [_printable(result) for result in exercises]
        self.notes = [one_line(note) for note in notes]
        by_machine = [result for result in exercises if result.kind == "exercise"]
        self.score = sum(result.points for result in by_machine)
        self.max = sum(result.max for result in by_machine)
        if all(result.status == Status.NOT_ATTEMPTED for result in exercises):
            self.status = Status.NOT_ATTEMPTED

    @property
    def scored(self) -> bool:
        """Whether the submission has a score, be it 0."""
        return self.status in SCORED

    @property
    def outcome(self) -> str:
        """The status in words, such as 'graded, then not a notebook'."""
        return f"{self.status}, then {self.then}" if self.then else str(self.status)

    def as_json(self, notebook_sha256: str = "") -> str:
        """Return the text of grade.json, as classroom/grade.schema.json describes it."""
        content = {"schema": SCHEMA, **asdict(self), "notebook_sha256": notebook_sha256}
        del content["then"]
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def summarise(
    name: str, points: int, tests: list[TestResult], cell_error: str = ""
) -> ExerciseResult:
    """Add up an exercise's tests; cell_error is what its own cell raised, if it did."""
    lost = [test for test in tests if test.status != Status.PASSED]
    status, message = (lost[0].status, lost[0].message) if lost else (Status.PASSED, "")
    if lost and cell_error and "is not defined" in message:
        status, message = Status.ERROR, cell_error
    scored = sum(test.points for test in tests)
    return ExerciseResult(name, "exercise", scored, points, status, message, tests)


def not_attempted(name: str, points: int, kind: str = "exercise") -> ExerciseResult:
    """Return the result of an untouched exercise or an empty written answer."""
    return ExerciseResult(name, kind, 0, points, Status.NOT_ATTEMPTED, "")


def needs_grading(name: str, points: int) -> ExerciseResult:
    """Return the result of a written answer that nobody has scored yet."""
    message = "your instructor grades this answer"
    return ExerciseResult(name, "written", None, points, Status.NEEDS_GRADING, message)


def whole(points: float) -> float | int:
    """Return points as a whole number where they are one."""
    return int(points) if float(points).is_integer() else points


def _printable(result: ExerciseResult) -> ExerciseResult:
    """Return a result whose messages, which quote learners' code, are safe to keep and to show."""
    tests = [replace(test, message=one_line(test.message)) for test in result.tests]
    return replace(result, message=one_line(result.message), tests=tests)
