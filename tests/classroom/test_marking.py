"""What instructors do around grading, through the real command line."""

import contextlib
import csv
import io
import json
import re
import shutil
import sys
from pathlib import Path

import jsonschema
import pytest

from medlab import cli
from medlab.classroom import results
from medlab.classroom.gradebook.database import open_earlier
from medlab.classroom.marking import Marking
from medlab.classroom.opening import open_classroom
from medlab.classroom.pages.feedback import feedback_page
from medlab.classroom.results import Grade, Status, TestResult, summarise
from medlab.course.audience import answered
from medlab.course.build import text_of
from medlab.files import write_text

SCHEMA = Path(results.__file__).with_name("grade.schema.json")
LATE = "student,unit,handed_in,due\nada,add-two,2026-03-02 13:00,2026-03-01 12:00\n"


def medlab(folder, *arguments, exit_status=0):
    """Run the command line in this process, since starting it takes longer than most commands."""
    said, complained = io.StringIO(), io.StringIO()
    status = 0
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(complained),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(sys, "argv", ["medlab", *map(str, arguments)])
        try:
            cli.main()
        except SystemExit as ended:
            status = ended.code
    assert status == exit_status, complained.getvalue()
    assert "Traceback" not in complained.getvalue()
    return complained.getvalue().strip() if exit_status else said.getvalue()


def hand_in(folder, unit, student, answer, solved=True):
    answers = {e.name: e.solution for e in unit.exercises} if solved else {}
    made = answered(unit, answers)
    for cell in made.cells:
        if cell.id == "written-why" and answer:
            cell.source = answer
    write_text(folder / "class" / student / "mine.ipynb", text_of(made))


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A graded class of three with written answers; made once, as it runs kernels."""
    from medlab.course import load_syllabus, load_unit

    folder = tmp_path_factory.mktemp("desk")
    root, tiny = folder / "course-root", Path(__file__).parents[1] / "tiny"
    (root / "course" / "first").mkdir(parents=True)
    for name in ("syllabus.yaml", "rubrics.yaml"):
        shutil.copy(tiny / name, root / "course" / name)
    shutil.copy(tiny / "add-two.py", root / "course" / "first")
    unit = load_unit(load_syllabus(root).find("add-two"))
    hand_in(folder, unit, "ada", "Zero is a value, NaN is none.")
    hand_in(folder, unit, "bob", "=HYPERLINK(1) is no answer <!-- end -->")
    hand_in(folder, unit, "eve", "", solved=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLAB_COURSE", str(root))
        told = medlab(folder, "grade", "class", "--out", "out", "--sheet", "sheet.csv")
    assert "(2 answers to grade)" in told
    return folder, unit


@pytest.fixture
def room(graded, tmp_path, monkeypatch):
    """A copy of the graded class for one test."""
    folder, _ = graded
    shutil.copytree(folder, tmp_path / "room")
    monkeypatch.setenv("MEDLAB_COURSE", str(tmp_path / "room" / "course-root"))
    return tmp_path / "room"


def fill(room, name="filled.csv", source="sheet.csv", **levels):
    """Fill the sheet in: levels by student."""
    with (room / source).open(encoding="utf-8-sig", newline="") as file:
        head, *rows = list(csv.reader(file))
    for row in rows:
        for at, level in zip((5, 6), levels.get(row[0], ""), strict=False):
            row[at] = level
        row[7] = "clear" if row[0] in levels else ""
    with (room / name).open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=";").writerows([head, *rows])


def handed_in(page):
    """What a page shows of the answers and their outputs."""
    return re.findall(r"<details.*?</details>", re.sub("<details open>", "<details>", page), re.S)


def grades(room):
    with (room / "out" / "grades.csv").open(newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def grade(room, *options, **expected):
    return medlab(room, "grade", "class", "--out", "out", *options, **expected)


def page_of(room, student):
    return (room / "out" / "feedback" / student / "add-two.html").read_text(encoding="utf-8")


def test_a_persons_scores_reach_the_grades_and_the_feedback(room):
    before = page_of(room, "ada")
    fill(room, ada="21", bob="00")
    told = grade(room, "--scores", "filled.csv", "--sheet", "again.csv")
    assert "2 scores read" in told
    assert "(0 answers to grade)" in told
    found = {name: (row["score"], row["max"]) for name, row in grades(room).items()}
    assert found == {"ada": ("7", "7"), "bob": ("5", "7"), "eve": ("0", "7")}
    page = page_of(room, "ada")
    assert "7 of 7 points" in page
    assert "It is plain." in page
    assert "clear" in page
    assert handed_in(page) == handed_in(before) != []
    kept = json.loads((room / "out/records/ada/add-two/grade.json").read_text())
    jsonschema.validate(kept, json.loads(SCHEMA.read_text()))
    assert kept["exercises"][-1]["points"] == 2


def test_grading_again_keeps_a_persons_scores(room):
    fill(room, ada="21")
    grade(room, "--scores", "filled.csv")
    grade(room)
    assert grades(room)["ada"]["score"] == "7"
    grade(room, "--again")
    assert grades(room)["ada"]["score"] == "7"


def test_an_answer_that_changed_is_asked_for_again_and_the_old_score_is_kept(room, graded):
    fill(room, ada="21")
    grade(room, "--scores", "filled.csv")
    hand_in(room, graded[1], "ada", "I thought again.")
    told = grade(room, "--sheet", "again.csv")
    assert "(2 answers to grade)" in told
    assert grades(room)["ada"]["score"] == "5"
    assert len(open_earlier("", room / "out").scores()) == 1


@pytest.mark.parametrize("source", ["filled.csv", "nowhere.csv"])
def test_a_sheet_at_fault_is_one_line_and_nothing_of_it_is_taken_over(room, source):
    fill(room, ada="21", bob="07")
    before = (room / "out" / "grades.csv").read_text()
    told = grade(room, "--scores", source, exit_status=2)
    assert told.startswith(f"medlab: {source}")
    assert "\n" not in told
    assert (room / "out" / "grades.csv").read_text() == before
    assert open_earlier("", room / "out").scores() == {}


def test_a_blind_sheet_holds_no_name_and_comes_back(room):
    grade(room, "--sheet", "blind.csv", "--blind")
    text = (room / "blind.csv").read_text(encoding="utf-8-sig")
    assert text.startswith("code,")
    assert "ada" not in text
    with (room / "blind.csv").open(encoding="utf-8-sig", newline="") as file:
        codes = [row["code"] for row in csv.DictReader(file)]
    fill(room, source="blind.csv", **dict.fromkeys(codes, "21"))
    grade(room, "--scores", "filled.csv")
    assert {grades(room)[name]["score"] for name in ("ada", "bob")} == {"7"}


def test_lateness_stands_beside_the_machines_score_with_its_reason(room):
    (room / "late.csv").write_text(LATE)
    told = grade(room, "--late", "late.csv", "--late-percent", "20")
    assert "ada, add-two: 1 d 1 h late: 2 days at 20 % each" in told
    ada = grades(room)["ada"]
    assert (ada["score"], ada["final"]) == ("5", "3")
    assert "3 of 5 points count: 1 d 1 h late" in page_of(room, "ada")
    assert "points count" not in page_of(room, "bob")
    grade(room)
    assert grades(room)["ada"]["final"] == "3"


def test_who_is_excused_later_gets_the_points_back(room):
    (room / "late.csv").write_text(LATE)
    grade(room, "--late", "late.csv")
    excused = LATE.replace("due\n", "due,excused\n").replace("12:00\n", "12:00,yes\n")
    (room / "late.csv").write_text(excused)
    grade(room, "--late", "late.csv")
    assert grades(room)["ada"]["final"] == "5"
    assert "excused" in page_of(room, "ada")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--late", "late.csv", "--late-percent", "150"], "between 0 and 100 percent"),
        (["--late", "bad.csv"], "bad.csv, row 2: no student 'eva'"),
    ],
)
def test_times_at_fault_are_one_line_and_change_nothing(room, options, said):
    (room / "late.csv").write_text(LATE)
    (room / "bad.csv").write_text(LATE.replace("ada", "eva"))
    assert said in grade(room, *options, exit_status=2)
    assert open_earlier("", room / "out").lateness() == {}


def test_the_report_and_the_exports_come_from_the_gradebook(room):
    medlab(room, "report", "--out", "out/report.html")
    assert "too few students (3 of at least 10)" in (room / "out" / "report.html").read_text()
    told = medlab(room, "export", "--format", "canvas", "--out", "out/canvas.csv")
    assert "2 written answers need manual grading" in told
    assert (room / "out" / "canvas.csv").read_text().splitlines()[2] == "ada,,,ada,,5"
    url = f"sqlite:///{room / 'out' / 'gradebook.db'}"
    medlab(room, "export", "--format", "moodle", "--out", "moodle.csv", "--gradebook", url)
    assert (room / "moodle.csv").read_text().splitlines()[1] == "ada,5,"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["report", "--out", "nothing/report.html"], "grade first"),
        (["export", "--out", "nothing/x.csv"], "grade first"),
        (["export", "--out", "out/x.csv", "--format", "excel"], "canvas, moodle, csv"),
        (["similar", "nobody", "--out", "x.html"], "nobody is not a folder"),
        (["similar", "class", "--out", "x.html", "--unit", "add-tow"], "did you mean add-two"),
    ],
)
def test_what_a_person_got_wrong_is_one_line(room, arguments, said):
    told = medlab(room, *arguments, exit_status=2)
    assert said in told
    assert "\n" not in told
    assert not (room / "nothing").exists()


def test_similar_answers_are_shown_side_by_side(room):
    told = medlab(room, "similar", "class", "--out", "similar.html")
    assert told == "0 pairs to look at: similar.html\n"
    assert "not a verdict" in (room / "similar.html").read_text()


def test_a_page_is_rendered_from_the_record_and_no_page_is_read(room):
    """What a learner or anybody else puts into a page changes nothing."""
    before = page_of(room, "bob")
    path = room / "out" / "feedback" / "bob" / "add-two.html"
    path.write_text("not a page of medlab's")
    fill(room, bob="10")
    grade(room, "--scores", "filled.csv")
    assert "is no answer" in page_of(room, "bob")
    assert handed_in(page_of(room, "bob")) == handed_in(before)
    path.unlink()
    grade(room)
    assert handed_in(page_of(room, "bob")) == handed_in(before)


def test_a_class_that_nobody_scored_is_not_read_twice(
    tiny_syllabus, tiny_unit, tmp_path, monkeypatch
):
    hand_in(tmp_path, tiny_unit, "ada", "")
    classroom = open_classroom(tiny_syllabus, tmp_path / "out", tmp_path / "class")
    first = classroom.submissions(tmp_path / "class")
    monkeypatch.setattr("medlab.classroom.classroom.submissions_of", None)
    assert classroom.submissions(tmp_path / "class") is first
    Marking(classroom, tmp_path / "class").write_sheet(tmp_path / "sheet.csv")


def test_partial_credit_stands_on_the_page_with_a_reason_for_each_test(tiny_unit):
    tests = [
        TestResult("plain arrays", 2, 2, Status.PASSED, ""),
        TestResult("arrays with NaN", 0, 1, Status.FAILED, "NaN is left out"),
    ]
    made = Grade("ada", "add-two", "v1", "a" * 64, 0, "a.ipynb")
    made.take([summarise("mean", 3, tests)], [])
    page = re.sub("<[^>]+>", "", feedback_page(made, tiny_unit, None))
    assert "plain arrays (2 / 2)" in page
    assert "arrays with NaN (0 / 1): NaN is left out" in page
    kept = json.loads(made.as_json())["exercises"][0]
    assert (kept["points"], kept["tests"][1]["message"]) == (2, "NaN is left out")
