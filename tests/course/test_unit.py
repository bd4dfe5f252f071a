import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlab.course import load_unit
from medlab.course.cells import BEGIN, END, stub
from medlab.errors import BadInput


def refused(syllabus, old, new):
    """Return what is said about the tiny unit with one text replaced, and the line it names."""
    entry = syllabus.find("add-two")
    text = entry.source.read_text()
    assert old in text
    entry.source.write_text(text.replace(old, new, 1))
    with pytest.raises(BadInput) as error:
        load_unit(entry)
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(str(entry.source))
    return message


def line_of(syllabus, text):
    lines = syllabus.find("add-two").source.read_text().splitlines()
    return next(n for n, line in enumerate(lines, start=1) if text in line)


def test_a_unit_knows_its_exercises(tiny_unit):
    add, mean = tiny_unit.exercises
    assert (add.name, add.points, mean.name, mean.points) == ("add", 2, "mean", 3)
    assert [test.points for test in mean.hidden] == [2, 1]
    assert [mistake.keeps for mistake in add.mistakes] == [1, 0]
    assert len(add.hints) == 3
    assert tiny_unit.written[0].rubric == "clinician-answer"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('exercise="add" points=2', 'exercise="add" point=2', "unknown marker 'point'"),
        ('exercise="add" points=2', 'exercise="add"', "needs points="),
        ('exercise="add" points=2', 'exercise="add" points="two"', "points is a whole number"),
        ('exercise="add" points=2', 'exercise="add" points=3', "hidden tests add up to 2"),
        ('exercise="mean" points=3', 'exercise="add" points=3', "the name 'add' is taken"),
        ('check="add"', 'check="ad"', "check 'ad' has no exercise"),
        ('hint="add"', 'hint="sum"', "hint 'sum' has no exercise"),
        ('needs="add"', 'needs="add sum"', "'sum' has no exercise"),
        (
            'mistake="add" because="multiplies" keeps=0',
            'mistake="add" because="x" keeps=2',
            "loses",
        ),
        ("keeps=1 says", "says", "needs keeps="),
        ("    ### END SOLUTION\n\n\n# %% check", "\n\n# %% check", "needs ### BEGIN SOLUTION"),
        ("    ### BEGIN SOLUTION\n    return a", "### BEGIN SOLUTION\n    return a", "indent it"),
        ("    return a + b", "    ### BEGIN SOLUTION\n    return a + b", "come in pairs"),
        ("    return a + b", "    return a +", "not valid Python"),
        ('== 3, "1 + 2 is 3"', "== 3", "assert has no message"),
        ("def add(a, b):\n    return a * b", "def sub(a, b):\n    return a * b", "must define"),
        ('check="add"', 'check="add" hidden="add"', "one role"),
        ('[markdown] hint="add"', 'hint="add"', "hint must be a markdown cell"),
        ("# %% [markdown]\n# # Add two", "import numpy\n\n# %% [markdown]\n# # Add", "starts with"),
        ('rubric="clinician-answer"', "", "needs rubric="),
        ('needs="add"', 'needs="add" tags=["slow"]', "unknown tag 'slow': there are demonstration"),
        ('check="add"', 'check="add" tags=["demonstration"]', "only a plain code cell"),
    ],
)
def test_a_broken_unit_is_refused_with_file_and_line(tiny_syllabus, old, new, said):
    assert said in refused(tiny_syllabus, old, new)


def test_the_line_named_is_the_line_at_fault(tiny_syllabus):
    line = line_of(tiny_syllabus, 'is 3"')
    message = refused(tiny_syllabus, '== 3, "1 + 2 is 3"', "== 3")
    assert f"add-two.py:{line}:" in message


def test_points_must_add_up_to_those_of_the_syllabus(tiny_course, tiny_syllabus):
    path = tiny_course / "course" / "syllabus.yaml"
    path.write_text(path.read_text().replace("points: 7", "points: 8"))
    from medlab.course import load_syllabus

    with pytest.raises(BadInput, match="add up to 7, the syllabus says 8"):
        load_unit(load_syllabus(tiny_course).find("add-two"))


def test_a_missing_source_file_is_named(tiny_syllabus):
    entry = tiny_syllabus.find("add-two")
    entry.source.unlink()
    with pytest.raises(BadInput, match=r"add-two\.py does not exist"):
        load_unit(entry)


def test_an_unknown_exercise_is_answered_with_those_there_are(tiny_unit):
    with pytest.raises(BadInput, match="there are add, mean"):
        tiny_unit.exercise("sum")


LINE = st.text("abc=()", min_size=1, max_size=8)


@given(st.lists(LINE, min_size=1), st.lists(LINE, min_size=1, max_size=5))
def test_no_line_of_a_solution_region_survives_in_its_stub(around, secret):
    marked = [f"    secret_{i} {line}" for i, line in enumerate(secret)]
    solution = [*around, f"    {BEGIN}", *marked, f"    {END}", *around]
    kept = stub("\n".join(solution)).split("\n")
    assert kept == [*around, "    raise NotImplementedError", *around]
