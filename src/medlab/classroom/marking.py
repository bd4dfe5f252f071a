"""The instructor's desk: what people decide about a class, put to the machine's grades."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from medlab.classroom.gradebook.grades_csv import grades_csv
from medlab.classroom.gradebook.lateness import Lateness, LatePolicy, read_times
from medlab.classroom.gradebook.scores import with_scores
from medlab.classroom.gradebook.scoring_sheet import Answer, answers_in, read_scores, sheet
from medlab.classroom.grading import Classroom
from medlab.classroom.pages.feedback import feedback_page, handed_in
from medlab.classroom.results import Grade
from medlab.classroom.submissions.reading import Submission
from medlab.classroom.submissions.restoring import restore
from medlab.classroom.submissions.roster import submissions_of
from medlab.course.rubrics import load_rubrics
from medlab.files import write_text


class Marking:
    """What people decide about the submissions of one folder."""

    def __init__(self, classroom: Classroom, folder: Path, slug: str = ""):
        """Look at the submissions of a folder, or at those of one unit, once they are needed."""
        self._room, self._book = classroom, classroom.gradebook
        self._folder, self._slug = folder, slug
        self._slugs = {entry.slug for entry in classroom.syllabus.units}
        self._rubrics = load_rubrics(classroom.syllabus.root)

    @cached_property
    def _submissions(self) -> dict[tuple[str, str], Submission]:
        """What can be graded, by student and unit."""
        found = submissions_of(self._folder, self._slug, self._slugs)
        return {
            (one.student, one.slug): one
            for one in found
            if not one.problem and one.slug in self._slugs
        }

    def write_sheet(self, path: Path, blind: bool = False) -> int:
        """Write the scoring sheet of the class; return how many answers still await a score."""
        answers, scores = self._answers(), self._book.scores()
        secret = self._room.secret if blind else ""
        write_text(path, sheet(answers, self._rubrics, scores, secret))
        return sum(answer.key not in scores for answer in answers)

    def take_scores(self, path: Path) -> tuple[int, list[str]]:
        """Keep the scores of a filled sheet; return how many, and remarks for a person.

        Raises BadInput for the first row at fault; then none is kept.
        """
        scores, remarks = read_scores(
            path, self._answers(), self._questions(), self._students(), self._room.secret
        )
        self._book.put_scores(scores)
        return len(scores), remarks

    def take_times(self, path: Path, policy: LatePolicy) -> int:
        """Keep what late work costs; return how many rows; raise BadInput and keep none."""
        found = read_times(path, policy, self._students(), self._slugs)
        self._book.put_lateness(found)
        return len(found)

    def settle(self, grades: list[Grade]) -> list[Grade]:
        """Return the grades with people's scores; rewrite the pages and tables that they change."""
        scores, lateness = self._book.scores(), self._book.lateness()
        if not scores and not lateness:
            return grades
        counted = self._counted(scores)
        settled = [self._settle(grade, scores, counted, lateness) for grade in grades]
        unnamed = [grade for grade in settled if not grade.unit]
        text = grades_csv(self._book.newest() + unnamed, lateness)
        write_text(self._room.out / "grades.csv", text)
        return settled

    def _settle(self, grade: Grade, scores: Mapping, counted: Mapping, lateness: Mapping) -> Grade:
        submission = self._submissions.get((grade.student, grade.unit))
        if submission is None or not grade.exercises:
            return grade
        unit = self._room.unit(grade.unit)
        answers = {answer.question: answer.text for answer in answers_in(unit, submission)}
        settled = with_scores(grade, answers, scores, counted.get(grade.unit, {}))
        if settled != grade:
            self._book.add(settled)
        self._rewrite(settled, submission, lateness.get((grade.student, grade.unit)))
        return settled

    def _rewrite(self, grade: Grade, submission: Submission, late: Lateness | None) -> None:
        """Bring grade.json and the feedback page up to date, keeping the outputs on the page."""
        path, unit = self._room.feedback_path(grade), self._room.unit(grade.unit)
        earlier = path.read_text(encoding="utf-8") if path.is_file() else ""
        notebook = restore(unit, submission.cells).notebook
        page = feedback_page(grade, unit, notebook, late=late, kept=handed_in(earlier))
        if page != earlier:
            write_text(path.with_suffix(".grade.json"), grade.as_json())
            write_text(path, page)

    def _students(self) -> set[str]:
        here = {student for student, _ in self._submissions}
        return here | {grade.student for grade in self._book.newest()}

    def _answers(self) -> list[Answer]:
        return [
            answer
            for (_, slug), submission in self._submissions.items()
            for answer in answers_in(self._room.unit(slug), submission)
        ]

    def _questions(self) -> dict[str, dict]:
        """Return the rubric of every question, by unit."""
        units = [self._room.unit(slug) for slug in self._slugs]
        return {
            unit.slug: {written.name: self._rubrics[written.rubric] for written in unit.written}
            for unit in units
        }

    def _counted(self, scores: Mapping) -> dict[str, dict[str, float]]:
        """Return the points of every question that somebody has a score for, by unit."""
        asked = {(slug, question) for _, slug, question, _ in scores}
        return {
            slug: {
                w.name: w.points for w in self._room.unit(slug).written if (slug, w.name) in asked
            }
            for slug in {slug for slug, _ in asked} & self._slugs
        }
