"""Changed points, changed ids."""

from tests.support.hostile import FULL, Attack, cell


def more_points(notebook):
    for one in notebook["cells"]:
        one["metadata"] = {"medlab": {"exercise": "add", "points": 1e9}, "nbgrader": {"points": 99}}
    return notebook


def swapped_ids(notebook):
    add, mean = cell(notebook, "exercise-add"), cell(notebook, "exercise-mean")
    add["id"], mean["id"] = "exercise-mean", "exercise-add"
    return notebook


WRONG = {"mean": "def mean(values): return 0"}
ATTACKS = {
    "points-changed": Attack(WRONG, edit=more_points),
    "ids-swapped": Attack(edit=swapped_ids),
}


def test_points_come_from_the_course(graded):
    assert graded.holds("points-changed", 2)["max"] == FULL


def test_answers_under_each_others_name_run_where_that_name_stands(graded):
    # Both functions are there in the end, but add is called before its definition has run.
    graded.holds("ids-swapped", 3)
