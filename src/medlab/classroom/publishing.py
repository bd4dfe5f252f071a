"""Publish grades: the record, the feedback page and a row of the gradebook for each submission."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nbformat import NotebookNode

from medlab.classroom.classroom import Classroom
from medlab.classroom.gradebook.scores import with_scores
from medlab.classroom.gradebook.scoring_sheet import written_answers
from medlab.classroom.pages.feedback import feedback_page
from medlab.classroom.record import Record
from medlab.classroom.results import Grade, Status
from medlab.files import write_text


@dataclass(frozen=True)
class Publication:
    """A grade with manual scores, and what is written about it."""

    grade: Grade
    notebook: NotebookNode | None
    page: str


class Publisher:
    """Write what becomes of submissions, with the manual scores and the lateness of this moment."""

    def __init__(self, room: Classroom):
        self._room, self._book = room, room.gradebook
        self._scores, self._lateness = self._book.scores(), self._book.lateness()
        self._counted = self._scored_questions()

    def render(self, grade: Grade, notebook: NotebookNode | None) -> Publication:
        """Apply manual scores to a grade and render its page; nothing is written yet."""
        scored = self._with_scores(grade, notebook)
        late = self._lateness.get((grade.student, grade.unit)) if grade.exercises else None
        unit = self._room.unit(grade.unit) if grade.unit else None
        return Publication(scored, notebook, feedback_page(scored, unit, notebook, late))

    def publish(self, new: Publication) -> Grade:
        """Write a new grade: notebook, page, grade.json, and last its row of the gradebook."""
        self._write(new)
        self._book.add(new.grade)
        return new.grade

    def publish_problem(self, grade: Grade, status: Status, message: str) -> Grade:
        """Write why a submission has no grade; a problem that is known gets no second row."""
        counts = self._book.standing(grade.student, grade.unit) if grade.unit else None
        if counts:
            message += (
                f" (until then {counts.score:g} of {counts.max:g} points from an earlier file "
                "count)"
            )
        grade = replace(grade, status=status, message=message)
        last = self._book.last(grade)
        self._write(self.render(grade, None))
        if last is None or _without_time(last) != _without_time(grade):
            self._book.add(grade)
        return grade

    def update(self, earlier: Grade) -> Grade:
        """Bring an earlier grade and its page up to date with manual scores and lateness."""
        path = self._room.feedback_path(earlier)
        if path.is_file() and not self._scores and not self._lateness:
            return earlier
        new = self.render(earlier, self._record(earlier).notebook())
        if not path.is_file() or path.read_bytes() != new.page.encode():
            write_text(path, new.page)
        if new.grade != earlier:
            self._record(earlier).update_grade(new.grade)
            self._book.add(new.grade)
        return new.grade

    def _write(self, new: Publication) -> None:
        """Write the record and the page; grade.json comes last and vouches for both."""
        record = self._record(new.grade)
        sha256 = record.keep_notebook(new.notebook)
        write_text(self._room.feedback_path(new.grade), new.page)
        record.keep_grade(new.grade, sha256)

    def _record(self, grade: Grade) -> Record:
        return self._room.record(grade.student, grade.unit or grade.file)

    def _with_scores(self, grade: Grade, notebook: NotebookNode | None) -> Grade:
        if not self._scores or notebook is None or not grade.exercises:
            return grade
        answers = written_answers(self._room.unit(grade.unit), notebook)
        return with_scores(grade, answers, self._scores, self._counted.get(grade.unit, {}))

    def _scored_questions(self) -> Mapping[str, dict[str, float]]:
        """Return the points of every question that anyone in the class has a score for, by unit."""
        asked = {(slug, question) for _, slug, question, _ in self._scores}
        slugs = {slug for slug, _ in asked} & {entry.slug for entry in self._room.syllabus.units}
        return {
            slug: {
                w.name: w.points for w in self._room.unit(slug).written if (slug, w.name) in asked
            }
            for slug in slugs
        }


def _without_time(grade: Grade) -> Grade:
    return replace(grade, seconds=0)
