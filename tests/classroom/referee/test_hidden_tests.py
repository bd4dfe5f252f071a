"""What the referee makes of what a learner's code raised."""

from types import SimpleNamespace

import pytest

from medlab.classroom.referee.hidden_tests import Referee
from medlab.classroom.referee.proxy import LearnerError
from medlab.course.unit import HiddenTest

UNIT = SimpleNamespace(hidden_setup="", entry=SimpleNamespace(source="unit.py"))


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("ValueError", "your code raised ValueError in built, line 16: dot.c:9:21: error"),
        ("BadInput", "dot.c:9:21: error"),  # medlab's own: says all itself
    ],
)
def test_what_medlab_refuses_is_told_without_a_line_of_the_units_own_helper(kind, told):
    def built():
        raise LearnerError(kind, "dot.c:9:21: error", function="built", line=16)

    test = HiddenTest("built", "learner.built()", 1, "it builds", 1, 1)
    result = Referee(UNIT, b"key").judge(test, SimpleNamespace(built=built))
    assert (result.status, result.message) == ("error", told)


def test_a_test_that_trips_over_none_asks_for_the_return():
    test = HiddenTest("add", "learner.add()['sum']", 1, "it adds", 1, 1)
    result = Referee(UNIT, b"key").judge(test, SimpleNamespace(add=lambda: None))
    assert (result.status, result.points) == ("failed", 0)
    assert result.message.endswith("not subscriptable; is a `return` missing?)")
