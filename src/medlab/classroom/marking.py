"""Marking: manual scores and lateness, which an instructor decides about a class."""

from functools import cached_property
from pathlib import Path

from medlab.classroom.classroom import Classroom
from medlab.classroom.gradebook.lateness import LatePolicy, read_times
from medlab.classroom.gradebook.scoring_sheet import Answer, answers_in, read_scores, sheet
from medlab.classroom.submissions.reading import Submission
from medlab.course.rubrics import load_rubrics
from medlab.files import write_text


class Marking:
    """What an instructor decides about the submissions of one folder.

    Scores and times go to the gradebook; the next grading of the class applies them.
    """

    def __init__(self, classroom: Classroom, folder: Path, slug: str = ""):
        """Look at the submissions of a folder, or at those of one unit, once they are needed."""
        self._room, self._book = classroom, classroom.gradebook
        self._folder, self._slug = folder, slug
        self._slugs = {entry.slug for entry in classroom.syllabus.units}
        self._rubrics = load_rubrics(classroom.syllabus.root)

    @cached_property
    def _submissions(self) -> list[Submission]:
        found = self._room.submissions(self._folder, self._slug)
        return [one for one in found if not one.problem and one.slug in self._slugs]

    def write_sheet(self, path: Path, blind: bool = False) -> int:
        """Write the scoring sheet of what was graded; return how many answers need a score."""
        answers, scores = self._graded_answers(), self._book.scores()
        secret = self._room.secret if blind else ""
        write_text(path, sheet(answers, self._rubrics, scores, secret))
        return sum(answer.key not in scores for answer in answers)

    def take_scores(self, path: Path) -> tuple[int, list[str]]:
        """Keep the scores of a filled sheet; return how many, and remarks for the instructor.

        Raises BadInput for the first row at fault; then none is kept.
        """
        scores, remarks = read_scores(
            path, self._submitted_answers(), self._questions(), self._students(), self._room.secret
        )
        self._book.put_scores(scores)
        return len(scores), remarks

    def take_times(self, path: Path, policy: LatePolicy) -> int:
        """Keep what late work costs; return how many rows; raise BadInput and keep none."""
        found = read_times(path, policy, self._students(), self._slugs)
        self._book.put_lateness(found)
        return len(found)

    def _students(self) -> set[str]:
        here = {submission.student for submission in self._submissions}
        return here | {grade.student for grade in self._book.newest()}

    def _graded_answers(self) -> list[Answer]:
        """Return the written answers in the records of the class."""
        records = [(one, self._room.record(one.student, one.slug)) for one in self._submissions]
        return [
            answer
            for one, record in records
            if (notebook := record.notebook())
            for answer in answers_in(self._room.unit(one.slug), one.student, notebook)
        ]

    def _submitted_answers(self) -> list[Answer]:
        return [
            answer
            for one in self._submissions
            for answer in answers_in(
                self._room.unit(one.slug), one.student, self._room.restored(one).notebook
            )
        ]

    def _questions(self) -> dict[str, dict]:
        """Return the rubric of every question, by unit."""
        units = [self._room.unit(slug) for slug in self._slugs]
        return {
            unit.slug: {written.name: self._rubrics[written.rubric] for written in unit.written}
            for unit in units
        }
