import pytest

from medlab.course import find_course, load_unit
from medlab.course.rubrics import load_rubrics
from medlab.errors import BadInput


def broken(root, old, new):
    path = root / "course" / "rubrics.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(BadInput) as error:
        load_rubrics(root)
    message = str(error.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def test_a_rubric_knows_its_criteria_and_its_highest_sum(tiny_course):
    rubric = load_rubrics(tiny_course)["clinician-answer"]
    assert [(c.name, c.top) for c in rubric.criteria] == [("correct", 2), ("plain", 1)]
    assert rubric.criteria[0].levels[1] == "It is half right."
    assert rubric.top == 3


def test_the_rubrics_of_this_course_can_be_read():
    assert "clinician-answer" in load_rubrics(find_course())


def test_a_course_without_rubrics_has_none(tmp_path):
    assert load_rubrics(tmp_path) == {}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("clinician-answer:", "Clinician answer:", "name it with a-z"),
        ("title: An answer in words", "title:", "needs a 'title'"),
        ("criteria:", "criterions:", "list 'criteria'"),
        ("name: plain", "name: correct", "duplicate criterion 'correct'"),
        ("question: Is it plain?", "question: 3", "criterion 2 needs a 'question'"),
        (
            "{0: It needs the code., 1: It is plain.}",
            "{0: It needs the code.}",
            "number the levels 0, 1",
        ),
        ("{0: It needs the code., 1:", "{0: It needs the code., 2:", "number the levels 0, 1"),
        ("1: It is half right.", "1: ", "describe each"),
        ("title: An answer", "title: [An answer", "not valid YAML"),
    ],
)
def test_a_broken_rubric_is_refused_in_one_line(tiny_course, old, new, said):
    assert said in broken(tiny_course, old, new)


@pytest.mark.parametrize(
    ("rubric", "said"), [("clinican-answer", "did you mean clinician-answer?"), ("x", "there are")]
)
def test_a_unit_that_names_an_unknown_rubric_is_refused_with_file_and_line(
    tiny_syllabus, rubric, said
):
    entry = tiny_syllabus.find("add-two")
    text = entry.source.read_text()
    line = text[: text.index("written=")].count("\n") + 1
    entry.source.write_text(text.replace("clinician-answer", rubric))
    with pytest.raises(BadInput, match=f"add-two.py:{line}: .*no rubric '{rubric}': {said[:8]}"):
        load_unit(entry)


def test_a_unit_with_a_written_answer_needs_a_file_of_rubrics(tiny_syllabus):
    (tiny_syllabus.root / "course" / "rubrics.yaml").unlink()
    with pytest.raises(BadInput, match="has no rubric 'clinician-answer': write it there"):
        load_unit(tiny_syllabus.find("add-two"))
