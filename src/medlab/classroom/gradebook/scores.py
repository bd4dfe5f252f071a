"""Manual scores of written answers, and how they become points.

A score belongs to the text that was read: it is stored by student, unit, question and the SHA-256
of the answer. Grading again keeps it; an answer that changed needs grading again.
"""

import hashlib
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass

from medlab.classroom.results import ExerciseResult, Grade, Status, TestResult, whole
from medlab.text import one_line

MANUALLY = (Status.NEEDS_GRADING, Status.SCORED_MANUALLY)


@dataclass(frozen=True)
class Level:
    """The level that an answer reached in one criterion of a rubric."""

    criterion: str
    question: str
    level: int
    top: int  # the highest level there is
    meaning: str  # what the level means


@dataclass(frozen=True)
class Score:
    """The manual score of one answer."""

    student: str
    unit: str
    question: str
    answer_sha256: str
    levels: tuple[Level, ...]
    comment: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.student, self.unit, self.question, self.answer_sha256


def points_for(levels: Iterable[Level], most: float) -> float:
    """Return most * sum of levels / sum of top levels, rounded to hundredths of a point."""
    reached = list(levels)
    earned = most * sum(one.level for one in reached) / sum(one.top for one in reached)
    return whole(round(earned, 2))


def answer_sha256(answer: str) -> str:
    """Return the SHA-256 of an answer, as 64 hex digits; space around it does not count."""
    return hashlib.sha256(answer.strip().encode("utf-8", "surrogatepass")).hexdigest()


def with_scores(
    grade: Grade,
    answers: Mapping[str, str],
    scores: Mapping[tuple, Score],
    counted: Mapping[str, float],
) -> Grade:
    """Return the grade with the manual scores of its written answers.

    answers holds the text of each written answer; counted holds the most points of each question
    of the unit that anyone in the class has a score for: there, an empty answer counts 0.
    """
    made = deepcopy(grade)
    made.exercises = [
        _scored(result, scores.get(_key(grade, result, answers))) for result in grade.exercises
    ]
    if not made.exercises:  # it could not be graded: there is nothing to add up
        return made
    by_machine = [result for result in made.exercises if result.kind == "exercise"]
    manual = [
        result
        for result in made.exercises
        if result.status == Status.SCORED_MANUALLY or _blank(result, counted)
    ]
    both = by_machine + manual
    made.score = whole(round(sum(result.points for result in both), 2))
    made.max = sum(result.max for result in both)
    if any(result.status == Status.SCORED_MANUALLY for result in manual):
        made.status = Status.GRADED
    return made


def _key(grade: Grade, result: ExerciseResult, answers: Mapping[str, str]) -> tuple:
    sha256 = answer_sha256(answers.get(result.name, ""))
    return grade.student, grade.unit, result.name, sha256


def _blank(result: ExerciseResult, counted: Mapping[str, float]) -> bool:
    return result.kind == "written" and result.name in counted and result.points == 0


def _scored(result: ExerciseResult, score: Score | None) -> ExerciseResult:
    """Return a written answer's result with its manual score, if it has one."""
    if result.kind != "written" or score is None or result.status not in MANUALLY:
        return result
    points = points_for(score.levels, result.max)
    message = one_line(score.comment) or "see the levels below"
    criteria = [_criterion(level) for level in score.levels]
    return ExerciseResult(
        result.name, "written", points, result.max, Status.SCORED_MANUALLY, message, tests=criteria
    )


def _criterion(level: Level) -> TestResult:
    """Return a level in the form of a test: its points are levels, not points of the grade."""
    status = {level.top: Status.PASSED, 0: Status.FAILED}.get(level.level, Status.PARTLY)
    about = f"{level.criterion}: {level.question}"
    return TestResult(about, level.level, level.top, status, level.meaning)
