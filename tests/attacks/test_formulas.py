"""Names that a spreadsheet would run."""

import csv
import io

import pytest
from tests.support.hostile import FULL, Attack

NAMES = ("=1+1", "+1", "-1", "@SUM(A1)", "=HYPERLINK('x','y')")
ATTACKS = {f"formula-{place}": Attack(student=name) for place, name in enumerate(NAMES)}


@pytest.mark.parametrize("name", NAMES)
def test_no_cell_of_the_table_starts_a_formula(graded, name):
    graded.holds(name, FULL)
    cells = [cell for row in csv.reader(io.StringIO(graded.csv)) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert any(name in cell for cell in cells)
