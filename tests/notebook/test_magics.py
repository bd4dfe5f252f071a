"""`%unit`, `%%check` and `%%needs` in a real IPython shell."""

import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medlab.course import load_syllabus, load_unit
from medlab.notebook import progress

UNWRITTEN = "def add(a, b):\n    raise NotImplementedError"
WRITTEN = "def add(a, b):\n    return a + b"
WRONG = "def add(a, b):\n    return a - b"
CHECK = '%%check add\nassert add(1, 2) == 3, f"expected 3, got {add(1, 2)}: is a sign wrong?"'
NOT_YET = "add: not yet. expected 3, got -1: is a sign wrong?"


@pytest.fixture
def in_work(tiny_course, monkeypatch):
    """The work folder of the tiny course, where a learner's notebook runs."""
    work = tiny_course / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


def test_running_the_first_cell_again_says_nothing_and_forgets_no_failure(notebook, tiny_course):
    first_cell = "%load_ext medlab\n%unit add-two"
    notebook.run(first_cell)
    notebook.run(WRONG)
    notebook.run(CHECK)
    assert notebook.run(first_cell) == ""
    assert "Hint 1 of 3" in notebook.run(CHECK)


def test_a_correct_answer_passes(notebook):
    notebook.run(WRITTEN)
    assert notebook.run(CHECK) == "add: passed"


def test_a_wrong_answer_shows_the_message_of_the_assert_and_raises_nothing(notebook):
    notebook.run(WRONG)
    assert notebook.run(CHECK) == NOT_YET
    assert notebook.result.success


def test_what_medlab_refuses_is_told_without_a_line_of_the_units_own_helper(notebook):
    notebook.run("from medlab.errors import BadInput")
    notebook.run("def add(a, b):\n    raise BadInput('dot.c:9:21: error: expected a semicolon')")
    assert notebook.run(CHECK) == "add: not yet. dot.c:9:21: error: expected a semicolon"


def test_the_panel_says_in_html_what_it_says_in_text(notebook):
    notebook.run(WRONG)
    notebook.run(CHECK)
    assert "✗ add: not yet" in notebook.html()
    assert "expected 3, got -1: is a sign wrong?" in notebook.html()


def test_an_untouched_exercise_is_not_attempted_yet(notebook):
    notebook.run(UNWRITTEN)
    assert notebook.run(CHECK) == "add: not attempted yet"


def test_an_exercise_whose_cell_never_ran_is_not_attempted_yet(notebook):
    shown = notebook.run(CHECK)
    assert shown == "add: not attempted yet. Run the cell that defines `add` first."


def test_a_check_that_stops_in_another_unwritten_function_names_it(notebook):
    notebook.run(UNWRITTEN)
    notebook.run("def mean(v):\n    return add(*v) / 2")
    shown = notebook.run('%%check mean\nassert mean([1, 3]) == 2, "divide"')
    assert shown.endswith("The check stopped in `add`, which is not written yet.")


def test_a_librarys_own_not_implemented_error_is_an_error(notebook, tmp_path, monkeypatch):
    (tmp_path / "decoder.py").write_text(
        "def decode():\n    raise NotImplementedError('codec 7')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    notebook.run("import decoder\ndef add(a, b):\n    return decoder.decode()")
    assert notebook.run(CHECK) == "add: not yet. NotImplementedError in add, line 3: codec 7"


def test_an_exception_is_one_line_with_the_line_in_the_learners_own_cell(notebook):
    notebook.run("def add(a, b):\n    numbers = [a]\n    return numbers[1] + b")
    shown = notebook.run(CHECK)
    assert shown == "add: not yet. IndexError in add, line 3: list index out of range"


def test_the_line_is_the_learners_also_when_a_library_raised(notebook):
    notebook.run("import json\ndef add(a, b):\n    return json.loads('')")
    shown = notebook.run(CHECK)
    assert shown.startswith("add: not yet. JSONDecodeError in add, line 3: Expecting value")


def test_a_method_and_a_comprehension_are_named_by_what_the_learner_wrote(notebook):
    notebook.run(
        "class Sum:\n    def of(self, values):\n        return [v + None for v in values]\n"
        "def add(a, b):\n    return Sum().of([a, b])"
    )
    assert "TypeError in Sum.of, line 3: " in notebook.run(CHECK)


def test_an_error_of_the_check_cell_itself_counts_its_lines_as_the_editor_does(notebook):
    notebook.run(WRITTEN)
    shown = notebook.run("%%check add\nx = 1\nadd(x)")
    assert shown.startswith("add: not yet. TypeError in this cell, line 3: add() missing 1")


def test_a_check_before_the_cells_above_it_says_so_and_counts_as_no_failure(notebook, tiny_course):
    notebook.run("%load_ext medlab\n%unit add-two")
    notebook.run(WRONG)
    shown = notebook.run("%%check add\nassert np.isclose(add(1, 2), 3), 'no'")
    missing = "`np` is not defined"
    fix = "run the cells above, or define it under this name."
    assert shown == f"add: stopped. {missing}: {fix}"
    assert "Hint" not in notebook.run(CHECK)
    assert "Hint 1 of 3" in notebook.run(CHECK)


def test_a_check_that_trips_over_none_asks_for_the_return(notebook):
    notebook.run("def add(a, b):\n    a + b")
    assert notebook.run("%%check add\nassert add(1, 2) + 0 == 3, 'no'").endswith(
        "is a `return` missing?"
    )
    assert notebook.run("%%check add\nassert add(1, 2).real == 3, 'no'").endswith(
        "has no attribute 'real'; is a `return` missing?"
    )
    notebook.run("def add(a, b):\n    return None + b")  # the learner's own line says enough
    assert "return" not in notebook.run(CHECK)


def test_a_syntax_error_in_the_check_cell_is_one_line(notebook):
    shown = notebook.run("%%check add\nx = 1\nassert (x ==, 'no'")
    assert shown.startswith("add: not yet. SyntaxError in this cell, line 3: ")
    assert "\n" not in shown


def test_an_assert_without_a_message_shows_what_did_not_hold(notebook):
    notebook.run(WRONG)
    shown = notebook.run("%%check add\nassert add(1, 2) == 3")
    assert shown == "add: not yet. This assertion failed: `assert add(1, 2) == 3`"


def test_a_failed_assert_of_the_learners_own_is_told_from_the_checks(notebook):
    notebook.run("def add(a, b):\n    assert a > 5, 'too small'\n    return a + b")
    assert notebook.run(CHECK) == "add: not yet. AssertionError in add, line 2: too small"


@pytest.mark.parametrize(
    ("raised", "shown"),
    [
        ("raise SystemExit(3)", "add: not yet. SystemExit in add, line 2: 3"),
        ("return add(a, b)", "add: not yet. RecursionError in add, line 2: "),
        ("raise KeyboardInterrupt", "add: stopped. The check was interrupted. Run it again."),
        ("raise ValueError('two\\nlines')", "add: not yet. ValueError in add, line 2: two lines"),
        ("raise ValueError", "add: not yet. ValueError in add, line 2"),
        ("return undefined", "add: not yet. NameError in add, line 2: name 'undefined' is not def"),
    ],
)
def test_whatever_the_learner_raises_is_one_line_and_run_all_goes_on(notebook, raised, shown):
    notebook.run(f"def add(a, b):\n    {raised}")
    panel = notebook.run(CHECK)
    assert panel.startswith(shown)
    assert "\n" not in panel
    assert notebook.result.success


def test_an_exception_that_cannot_be_printed_is_still_one_line(notebook):
    notebook.run(
        "class Mute(Exception):\n    def __str__(self):\n        raise ValueError\n"
        "def add(a, b):\n    raise Mute"
    )
    assert notebook.run(CHECK) == "add: not yet. Mute in add, line 5"


def test_a_long_repr_keeps_the_expected_and_the_likely_slip(notebook):
    notebook.run("def add(a, b):\n    return 'x' * 10_000")
    cell = '%%check add\nassert add(1, 2) == 3, f"expected 3, got {add(1, 2)}: a string?"'
    shown = notebook.run(cell)
    assert len(shown) < 600
    assert shown.startswith("add: not yet. expected 3, got xxx")
    assert shown.endswith("xxx: a string?")


def test_what_a_learner_returns_cannot_put_markup_into_the_panel(notebook):
    notebook.run("def add(a, b):\n    return '<script>alert(1)</script>'")
    notebook.run(CHECK)
    assert "<script>" not in notebook.html()
    assert "&lt;script&gt;" in notebook.html()


@pytest.mark.filterwarnings("ignore:`make_tokens_by_line`")
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=st.text(max_size=40))
def test_no_text_in_a_check_cell_raises(notebook, body):
    notebook.run(f"%%check add\npass\nif True:\n  r'''{body}'''")
    notebook.run("%%check add\npass #" + body.replace("\n", " ").replace("\r", " "))
    assert notebook.result.success


def test_a_check_counts_where_python_ignores_asserts():
    code = (
        "from IPython.core.interactiveshell import InteractiveShell as S; s = S.instance();"
        "s.run_cell('%load_ext medlab'); s.run_cell('%%check add\\nassert False, 1')"
    )
    shown = subprocess.run([sys.executable, "-O", "-c", code], capture_output=True, text=True)
    assert "add: not yet. 1" in shown.stdout


def test_the_last_expression_of_a_check_is_shown_unless_a_semicolon_ends_it(notebook):
    notebook.run(WRITTEN)
    assert notebook.run("%%check add\nadd(1, 2)") == "3\n\nadd: passed"
    assert notebook.run("%%check add\nadd(1, 2);") == "add: passed"


def test_a_check_without_a_name_is_one_line(notebook):
    shown = notebook.run("%%check\nassert True, 'yes'")
    assert shown == "write the exercise's name after %%check, such as %%check to_hounsfield"


def test_an_unknown_exercise_is_one_line_that_names_those_there_are(notebook, tiny_course):
    notebook.run("%unit add-two")
    shown = notebook.run("%%check ad\nassert True, 'yes'")
    assert shown == "ad: this unit has no such exercise. There are add, mean."


def test_an_unknown_unit_is_one_line_with_near_matches(notebook, tiny_course):
    shown = notebook.run("%unit add-too")
    assert "there is no unit 'add-too'" in shown
    assert "did you mean add-two?" in shown
    assert "\n" not in shown


def test_a_notebook_far_from_any_course_still_checks(notebook, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDLAB_COURSE", str(tmp_path / "nowhere"))
    assert notebook.run("%unit add-two") == ""
    notebook.run(WRONG)
    assert notebook.run(CHECK) == NOT_YET
    assert notebook.run(CHECK) == NOT_YET


# --- hints ----------------------------------------------------------------------------------------


def test_the_second_failure_in_a_row_shows_hint_one_then_two_then_three(notebook, tiny_course):
    hints = load_unit(load_syllabus(tiny_course).find("add-two")).exercise("add").hints
    notebook.run("%unit add-two")
    notebook.run(WRONG)
    assert notebook.run(CHECK) == NOT_YET
    for level in (1, 2, 3, 3):
        shown = f"{NOT_YET}\nHint {level} of 3: {hints[level - 1]}"
        assert notebook.run(CHECK) == shown


def test_a_hint_renders_as_markdown(notebook, tiny_course):
    notebook.run("%unit add-two")
    notebook.run(WRONG)
    notebook.run(CHECK)
    notebook.run(CHECK)
    assert notebook.outputs[-1].data["text/markdown"].startswith("**Hint 1 of 3**\n\n")


def test_passing_resets_the_count_of_failures(notebook, tiny_course):
    notebook.run("%unit add-two")
    for answer in (WRONG, WRITTEN, WRONG):
        notebook.run(answer)
        shown = notebook.run(CHECK)
    assert shown == NOT_YET


def test_failures_of_one_exercise_bring_no_hint_for_another(notebook, tiny_course):
    notebook.run("%unit add-two")
    notebook.run(WRONG)
    notebook.run(CHECK)
    assert "Hint" not in notebook.run("%%check mean\nassert False, 'divide'")


def test_a_course_that_is_being_edited_takes_the_hint_away_and_not_the_check(notebook, tiny_course):
    notebook.run("%unit add-two")
    notebook.run(WRONG)
    notebook.run(CHECK)
    unit = tiny_course / "course/first/add-two.py"
    unit.write_text(unit.read_text() + '\n# %% chekc="add"\n')
    assert notebook.run(CHECK) == NOT_YET


# --- progress -------------------------------------------------------------------------------------


def test_a_check_in_work_records_its_latest_result(notebook, tiny_course, in_work):
    notebook.run("%unit add-two")
    notebook.run(WRITTEN)
    notebook.run(CHECK)
    assert progress.read(tiny_course) == {"add-two": {"add": True}}
    notebook.run(WRONG)
    notebook.run(CHECK)
    assert progress.read(tiny_course) == {"add-two": {"add": False}}


def test_an_untouched_exercise_records_nothing(notebook, tiny_course, in_work):
    notebook.run("%unit add-two")
    notebook.run(UNWRITTEN)
    notebook.run(CHECK)
    assert progress.read(tiny_course) == {}


def test_a_check_outside_work_records_nothing(notebook, tiny_course, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    notebook.run("%unit add-two")
    notebook.run(WRITTEN)
    notebook.run(CHECK)
    assert not (tiny_course / "work").exists()


def test_progress_that_cannot_be_written_costs_one_line_and_not_the_check(
    notebook, tiny_course, in_work, monkeypatch
):
    notebook.run("%unit add-two")
    notebook.run(WRITTEN)
    (in_work / "progress.json").mkdir()
    shown = notebook.run(CHECK)
    assert "progress.json cannot be" in shown
    assert shown.endswith("add: passed")


# --- needs ----------------------------------------------------------------------------------------


def test_a_cell_that_needs_an_unsolved_exercise_says_so_in_one_line(notebook):
    notebook.run(UNWRITTEN)
    shown = notebook.run("%%needs add\nthree = add(1, 2)\nthree")
    assert shown == "Solve `add` first, then run this cell again."
    assert notebook.result.success


def test_nothing_of_a_cell_runs_before_what_it_needs_is_solved(notebook):
    notebook.run(UNWRITTEN)
    shown = notebook.run("%%needs add\nprint('a minute of training')\nadd(1, 2)")
    assert shown == "Solve `add` first, then run this cell again."


def test_once_solved_the_cell_runs_as_any_other(notebook):
    notebook.run(WRITTEN)
    assert notebook.run("%%needs add\nthree = add(1, 2)\nprint('sum')\nthree") == "sum\n3"
    assert notebook.run("three") == "3"


def test_a_semicolon_silences_a_cell_that_needs(notebook):
    notebook.run(WRITTEN)
    assert notebook.run("%%needs add\nadd(1, 2);") == ""


def test_a_cell_names_the_exercise_that_is_missing_and_not_the_solved_one(notebook):
    notebook.run(WRITTEN)
    notebook.run("def mean(values):\n    raise NotImplementedError")
    shown = notebook.run("%%needs add mean\nmean([add(1, 2)])")
    assert shown == "Solve `mean` first, then run this cell again."


def test_a_name_that_a_skipped_cell_would_have_defined_waits_for_the_same_exercise(notebook):
    notebook.run(UNWRITTEN)
    notebook.run("def mean(values):\n    return 2")
    notebook.run("%%needs add\nthree = add(1, 2)")
    shown = notebook.run("%%needs mean\nsix = mean([three])")
    assert shown == "Solve `add` first, then run this cell again."
    assert notebook.run("%%needs mean\nsix") == "Solve `add` first, then run this cell again."


def test_a_cell_whose_function_was_never_run_waits_for_it(notebook):
    assert notebook.run("%%needs add\nadd(1, 2)") == "Solve `add` first, then run this cell again."


def test_a_skipped_cell_leaves_nothing_half_made(notebook):
    notebook.run(UNWRITTEN)
    notebook.run("%%needs add\nsums = {}\nsums['three'] = add(1, 2)")
    shown = notebook.run("%%needs add\nsums['three']")
    assert shown == "Solve `add` first, then run this cell again."


def test_a_skipped_cell_keeps_what_was_there_before(notebook):
    notebook.run(UNWRITTEN)
    notebook.run("sums = {'one': 1}")
    notebook.run("%%needs add\nsums = sums | {'three': add(1, 2)}")
    assert notebook.run("sums['one']") == "1"


def test_after_solving_the_waiting_cells_run(notebook):
    notebook.run(UNWRITTEN)
    notebook.run("%%needs add\nthree = add(1, 2)")
    notebook.run("%%needs add\nthree + 1")
    notebook.run(WRITTEN)
    notebook.run("%%needs add\nthree = add(1, 2)")
    assert notebook.run("%%needs add\nthree + 1") == "4"


def test_another_name_error_is_raised_as_usual(notebook):
    notebook.run(WRITTEN)
    shown = notebook.run("%%needs add\nadd(1, unknown)")
    assert isinstance(notebook.result.error_in_exec, NameError)
    assert "name 'unknown' is not defined" in shown


def test_another_error_shows_the_learners_lines_and_none_of_the_magics(notebook):
    notebook.run("def add(a, b):\n    return a / 0")
    shown = notebook.run("%%needs add\nx = 1\nadd(x, 2)")
    assert isinstance(notebook.result.error_in_exec, ZeroDivisionError)
    assert "3 add(x, 2)" in shown
    assert "return a / 0" in shown
    assert "run_cell_magic" not in shown
    assert "medlab" not in shown


def test_a_syntax_error_is_raised_as_usual(notebook):
    shown = notebook.run("%%needs add\nx = (")
    assert isinstance(notebook.result.error_in_exec, SyntaxError)
    assert "Cell In[3], line 2" in shown


def test_a_figure_is_kept_when_the_cell_ran_and_closed_when_it_was_skipped(notebook):
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    plt.close("all")
    cell = "%%needs add\nimport matplotlib.pyplot as plt\nplt.figure()\nplt.plot([add(1, 2)])"
    notebook.run(UNWRITTEN)
    notebook.run(cell)
    assert plt.get_fignums() == []
    notebook.run(WRITTEN)
    assert "Line2D" in notebook.run(cell)
    assert len(plt.get_fignums()) == 1
    plt.close("all")


def test_ipythons_own_syntax_works_in_both_cells(notebook):
    notebook.run(WRITTEN)
    assert notebook.run("%%needs add\nx = %pwd\nx == __import__('os').getcwd()") == "True"
    assert notebook.run("%%check add\nx = %pwd\nassert x, 'a folder'") == "add: passed"


def test_curly_braces_and_dollars_in_a_magics_line_are_not_expanded(notebook):
    notebook.run("add = 'expanded'")
    assert notebook.run("%%check {add}\npass") == "{add}: passed"


def test_loading_the_magics_loads_nothing_heavy():
    code = (
        "import sys, IPython; before = set(sys.modules); import medlab.notebook.magics;"
        "print(' '.join(set(sys.modules) - before))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"papermill", "sqlalchemy", "jupytext", "matplotlib", "numpy", "nbformat", "yaml"}
    assert not heavy & {name.split(".")[0] for name in loaded}
