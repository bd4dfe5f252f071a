"""A course that medlab released goes round through nbgrader: out to learners, back, graded."""

import nbformat
import pytest
from tests.support.nbgrader_course import NbgraderCourse, answer, hidden_ids

from medlab.course import nbgrader_export

pytest.importorskip("fcntl", reason="nbgrader's exchange needs a Unix system")


@pytest.fixture
def course(tiny_unit, tmp_path) -> NbgraderCourse:
    return NbgraderCourse(tmp_path / "course", tiny_unit)


def test_an_assignment_is_fetched_submitted_collected_and_graded(course, tmp_path):
    course.generate()
    learner = tmp_path / "learner"
    exchange = f"--Exchange.root={tmp_path / 'exchange'}"
    for folder in (learner, tmp_path / "exchange"):
        folder.mkdir()
    (tmp_path / "exchange").chmod(0o777)  # nbgrader wants an exchange that everybody may write to

    course.run("release_assignment", "add-two", exchange)
    course.run("fetch_assignment", "add-two", "--course=medlab", exchange, folder=learner)
    path = learner / "add-two" / "add-two.ipynb"
    fetched = nbformat.read(path, as_version=4)
    assert not any(cell.source for cell in fetched.cells if nbgrader_export.is_hidden(cell))
    add = course.unit.exercise("add")
    nbformat.write(answer(fetched, {add.cell_id: add.solution}), path)
    course.run("submit", "add-two", "--course=medlab", exchange, folder=learner)
    course.run("collect", "add-two", exchange)
    course.autograde()

    [student] = [path.name for path in (course.root / "submitted").iterdir()]
    points = course.grades(student)
    assert [points[name] for name in hidden_ids(course.unit, "add")] == [1, 1]
    assert [points[name] for name in hidden_ids(course.unit, "mean")] == [0, 0]
