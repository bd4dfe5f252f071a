"""A grade: one submission, graded; with its form as a file."""

import json
from dataclasses import asdict, dataclass, field, replace

from medlab.classroom.referee.hidden_tests import NOT_ATTEMPTED, ExerciseResult
from medlab.text import one_line

SCHEMA = 1
GRADED = "graded"
SCORED = (GRADED, NOT_ATTEMPTED)  # any other status says why there is no score


@dataclass
class Grade:
    """What one submission scored, exercise by exercise."""

    student: str
    unit: str  # slug; empty if the submission names none
    unit_version: str
    submission_sha256: str
    seed: int
    file: str
    status: str = GRADED  # graded, not attempted, or what is wrong with the submission
    message: str = ""
    score: float = 0  # from the exercises; written answers count once a person has scored them
    max: float = 0
    seconds: float = 0  # of wall-clock time on the grader's machine
    jail: str = ""  # what kept the learner's code apart: namespaces, bubblewrap or limits
    exercises: list[ExerciseResult] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def take(self, exercises: list[ExerciseResult], notes: list[str]) -> None:
        """Add up the results of a sitting."""
        self.exercises = [_printable(result) for result in exercises]
        self.notes = [one_line(note) for note in notes]
        by_machine = [result for result in exercises if result.kind == "exercise"]
        self.score = sum(result.points for result in by_machine)
        self.max = sum(result.max for result in by_machine)
        if all(result.status == NOT_ATTEMPTED for result in exercises):
            self.status = NOT_ATTEMPTED

    @property
    def scored(self) -> bool:
        """Whether the submission was graded, be it with 0."""
        return self.status in SCORED

    def as_json(self) -> str:
        """Return the text of grade.json; its form is classroom/grade.schema.json."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=1, ensure_ascii=False) + "\n"


def _printable(result: ExerciseResult) -> ExerciseResult:
    """Return a result whose messages, which quote learners' code, are safe to keep and to show."""
    tests = [replace(test, message=one_line(test.message)) for test in result.tests]
    return replace(result, message=one_line(result.message), tests=tests)
