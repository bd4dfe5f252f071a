import csv
import io
from dataclasses import replace

import pytest

from medlab.classroom.gradebook.scores import Level, Score
from medlab.classroom.gradebook.scoring_sheet import Answer, answers_in, code_of, read_scores, sheet
from medlab.course.audience import LEARNER, notebook
from medlab.course.rubrics import Criterion, Rubric, load_rubrics
from medlab.errors import BadInput

SECRET = "s3cret"


@pytest.fixture
def rubrics(tiny_course):
    return load_rubrics(tiny_course)


@pytest.fixture
def questions(rubrics):
    return {"add-two": {"why": rubrics["clinician-answer"]}}


def answer(student="ada", text="Zero is a value, NaN is none."):
    return Answer(student, "add-two", "why", "Why leave NaN out?", text, "clinician-answer")


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def filled(path, text, **levels):
    """Write a sheet with levels filled in, as a person would: levels by student."""
    rows = rows_of(text)
    columns = [name for name in rows[0] if "/" in name]
    for row in rows:
        given = levels.get(row.get("student") or row.get("code"), "")
        row |= dict(zip(columns, given, strict=False))
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def read(path, questions, *answers, students=("ada", "bob")):
    return read_scores(path, answers, questions, students, SECRET)


def test_the_answers_of_a_notebook_are_found_with_their_question(tiny_unit):
    made = notebook(tiny_unit, LEARNER)
    next(cell for cell in made.cells if cell.id == "written-why").source = "NaN is no number.\n"
    [found] = answers_in(tiny_unit, "ada", made)
    assert (found.student, found.question, found.text) == ("ada", "why", "NaN is no number.")
    assert found.asked == "Why leave NaN out?"


def test_an_empty_answer_is_not_on_the_sheet(tiny_unit):
    assert list(answers_in(tiny_unit, "ada", notebook(tiny_unit, LEARNER))) == []


def test_a_sheet_has_a_row_for_each_answer_and_explains_each_level(rubrics):
    text = sheet([answer("bob", "second"), answer()], rubrics, {})
    ada, bob = rows_of(text)
    assert (ada["student"], bob["answer"]) == ("ada", "second")
    heads = [name for name in ada if "/" in name]
    assert [head.split("\n")[0] for head in heads] == [
        "clinician-answer/correct",
        "clinician-answer/plain",
    ]
    assert "1: It is half right." in heads[0]


@pytest.mark.parametrize("evil", ["=HYPERLINK(1)", "+1", "-1", "@x", "\tx", "x\r=cmd()"])
def test_no_cell_of_a_sheet_is_a_formula(rubrics, evil):
    text = sheet([answer("ada", evil), answer(evil.strip(), "x")], rubrics, {})
    for row in csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row)


def test_a_very_long_answer_fits_a_spreadsheets_cell(rubrics):
    [row] = rows_of(sheet([answer(text="word " * 20_000)], rubrics, {}))
    assert len(row["answer"]) < 32_767
    assert "cut here" in row["answer"]


def test_levels_come_back_as_a_score_of_the_text_that_was_read(tmp_path, rubrics, questions):
    path = filled(tmp_path / "s.csv", sheet([answer()], rubrics, {}), ada="21")
    [score], remarks = read(path, questions, answer())
    assert score.key == answer().key
    assert [(one.level, one.top, one.meaning) for one in score.levels] == [
        (2, 2, "It is right."),
        (1, 1, "It is plain."),
    ]
    assert remarks == []


def test_a_row_without_levels_is_not_scored_yet(tmp_path, rubrics, questions):
    answers = [answer(), answer("bob")]
    path = filled(tmp_path / "s.csv", sheet(answers, rubrics, {}), ada="21")
    scores, _ = read(path, questions, *answers)
    assert [score.student for score in scores] == ["ada"]


def test_earlier_levels_are_filled_in_and_come_after_what_is_new(tmp_path, rubrics, questions):
    answers = [answer(), answer("bob")]
    path = filled(tmp_path / "s.csv", sheet(answers, rubrics, {}), ada="10")
    [score], _ = read(path, questions, *answers)
    again = sheet(answers, rubrics, {score.key: score})
    assert [row["student"] for row in rows_of(again)] == ["bob", "ada"]
    path.write_text(again)
    assert read(path, questions, *answers)[0] == [score]


def test_a_blind_sheet_names_nobody_and_its_scores_find_their_students(
    tmp_path, rubrics, questions
):
    text = sheet([answer()], rubrics, {}, SECRET)
    assert "ada" not in text
    path = filled(tmp_path / "s.csv", text, **{code_of("ada", SECRET): "21"})
    [score], _ = read(path, questions, answer())
    assert score.student == "ada"
    assert code_of("ada", "another secret") != code_of("ada", SECRET)


def test_a_name_like_a_formula_comes_back_as_it_was(tmp_path, rubrics, questions):
    text = sheet([answer("=ada")], rubrics, {})
    path = filled(tmp_path / "s.csv", text, **{"'=ada": "21"})
    [score], _ = read(path, questions, answer("=ada"), students=["=ada"])
    assert score.student == "=ada"


def test_a_number_for_a_name_may_lose_its_zeros_in_a_spreadsheet(tmp_path, rubrics, questions):
    text = sheet([answer("007")], rubrics, {})
    path = filled(tmp_path / "s.csv", text.replace("\n007,", "\n7,"), **{"7": "21"})
    [score], _ = read(path, questions, answer("007"), students=["007", "070"])
    assert score.student == "007"
    with pytest.raises(BadInput, match="no student '7'"):
        read(path, questions, answer("007"), students=["007", "07"])


def test_an_answer_that_changed_meanwhile_is_remarked_on(tmp_path, rubrics, questions):
    path = filled(tmp_path / "s.csv", sheet([answer()], rubrics, {}), ada="21")
    [score], [remark] = read(path, questions, answer(text="a later answer"))
    assert score.key == answer().key
    assert "row 2: the answer has changed" in remark


def test_each_unit_has_the_columns_of_its_own_rubric(rubrics):
    other = Rubric("short", "Short", (Criterion("short", "Is it?", ("no", "yes")),))
    answers = [answer(), replace(answer(), unit="other", rubric="short")]
    first, second = rows_of(sheet(answers, rubrics | {"short": other}, {}))
    assert [value for name, value in first.items() if name.startswith("short/")] == ["n/a"]
    assert [value for name, value in second.items() if name.startswith("clin")] == ["n/a"] * 2


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("ada,", "eve,", "row 2: no student 'eve'"),
        (",why,", ",how,", "row 2: no question 'how'"),
        (",2,1,", ",3,1,", "row 2: 'clinician-answer/correct' is '3': give a level from 0 to 2"),
        (",2,1,", ",-1,1,", "is '-1'"),
        (",2,1,", ",1.5,1,", r"is '1\.5'"),
        (",2,1,", ",good,1,", "is 'good'"),
        (",2,1,", ",2,,", "row 2: 'clinician-answer/plain' is empty: give a level from 0 to 1"),
        ("/plain\n", "/plane\n", "row 2: no column 'clinician-answer/plain'"),
        ("student,", "name,", "no column 'student' or 'code'"),
        ("answer_sha256", "sha", "row 1: no column 'answer_sha256'"),
        (answer().key[-1], "12", "row 2: answer_sha256 was changed"),
    ],
)
def test_a_row_at_fault_is_named_by_its_number(tmp_path, rubrics, questions, old, new, said):
    path = filled(tmp_path / "s.csv", sheet([answer()], rubrics, {}), ada="21")
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(BadInput, match=said) as error:
        read(path, questions, answer())
    assert "\n" not in str(error.value)


def test_an_answer_scored_twice_is_refused(tmp_path, rubrics, questions):
    text = sheet([answer(), answer()], rubrics, {})
    path = filled(tmp_path / "s.csv", text, ada="21")
    with pytest.raises(BadInput, match="row 3: this answer is a duplicate"):
        read(path, questions, answer())


@pytest.mark.parametrize("written", ["2.0", "2,0", " 2 "])
def test_whole_numbers_are_read_as_spreadsheets_write_them(tmp_path, rubrics, questions, written):
    path = tmp_path / "s.csv"
    score = Score(*answer().key, (Level("correct", "", 2, 2, ""), Level("plain", "", 1, 1, "")))
    text = sheet([answer()], rubrics, {score.key: score})
    path.write_text(text.replace(",2,1,", f',"{written}",1,'))
    [found], _ = read(path, questions, answer())
    assert found.levels[0].level == 2
