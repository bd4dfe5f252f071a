"""NaN, infinite, negative and huge values where a number is asked for, or a score is thought."""

import pytest
from tests.support.hostile import Attack

VALUES = ("float('nan')", "float('inf')", "-float('inf')", "-1e308", "10**4000", "10**5000")
ATTACKS = {
    f"number-{place}": Attack({"mean": f"def mean(values): return {value}"})
    for place, value in enumerate(VALUES)
} | {
    "number-as-last-line": Attack({"mean": "def mean(values): return 0\n\n999999"}),
    "number-negative": Attack({"mean": "def mean(values): return 0\n\n-1"}),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_no_value_is_a_score(graded, name):
    graded.holds(name, 2)
