"""Objects that say they equal everything."""

import pytest
from tests.support.hostile import Attack

EQUAL = """
class Equal{base}:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    __gt__ = __le__ = __ge__ = __bool__ = __eq__
    def __hash__(self): return 0
    def __array_ufunc__(self, *a, **k): return True
    def __sub__(self, other): return 0.0
    __rsub__ = __abs__ = __sub__

def mean(values):
    return Equal({value})
"""
ATTACKS = {
    "equal-object": Attack({"mean": EQUAL.format(base="", value="")}),
    "equal-float": Attack({"mean": EQUAL.format(base="(float)", value="0.0")}),
    "equal-text": Attack({"mean": EQUAL.format(base="(str)", value="")}),
    "equal-list": Attack({"mean": EQUAL.format(base="(list)", value="")}),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_object_that_equals_everything_equals_nothing_to_the_grader(graded, name):
    graded.holds(name, 2)
