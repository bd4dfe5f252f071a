from dataclasses import replace

from medlab.classroom.referee.pace import FACTOR, LEAST_SECONDS, Pace, name_of

PACE = Pace({"check-f": 4.0, "code-1": 0.1}, {"f/1": 3.0, "f/2": 0.01})


def test_a_cell_may_take_a_multiple_of_what_the_solution_needed():
    assert PACE.seconds_for_cell("check-f", 120) == 4 * FACTOR


def test_nothing_gets_less_than_ten_seconds():
    assert LEAST_SECONDS == 10
    assert PACE.seconds_for_cell("code-1", 120) == 10


def test_the_limit_that_the_instructor_set_holds():
    assert PACE.seconds_for_cell("check-f", 5) == 5


def test_a_cell_of_the_learners_own_may_take_as_long_as_the_longest():
    assert PACE.seconds_for_cell("added-0", 120) == 4 * FACTOR


def test_before_a_rehearsal_the_instructors_limit_holds_alone(tiny_unit):
    test = tiny_unit.exercises[0].hidden[0]
    assert Pace().seconds_for_cell("check-f", 120) == 120
    assert Pace().seconds_for_test(test, 120) == 120


def test_a_test_has_its_own_limit(tiny_unit):
    first = tiny_unit.exercises[0].hidden[0]
    pace = Pace(tests={name_of(first): 3.0})
    assert pace.seconds_for_test(first, 120) == 3 * FACTOR
    assert pace.seconds_for_test(replace(first, number=first.number + 9), 120) == 120
