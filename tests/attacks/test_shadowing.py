"""Files beside the notebook that are called like modules, and modules written by a cell."""

import pytest
from tests.support.hostile import FULL, Attack

MODULES = ("json", "numpy", "random", "signal", "tempfile", "multiprocessing", "sitecustomize")
MODULES += ("usercustomize", "papermill", "zmq", "medlab", "ipykernel", "nbformat", "struct")
EVIL = b"open('@FOLDER@/other/shadowed-@MARK@', 'w').close()"
WRITTEN = """
for name in ("json", "numpy", "medlab", "sitecustomize"):
    open(name + ".py", "w").write("raise SystemExit")
import os
os._exit(0)
"""
BESIDE = Attack(beside={f"{name}.py": EVIL for name in MODULES})
ATTACKS = {"shadow-beside": BESIDE, "shadow-written": Attack(added=(("exercise-add", WRITTEN),))}


@pytest.mark.parametrize("name", ATTACKS)
def test_files_called_like_modules_are_not_imported(graded, name):
    graded.holds(name, FULL)


def test_not_even_if_the_grader_is_started_beside_them(small_class):
    small_class.hand_in("shadow", BESIDE)
    small_class.grade(cwd=small_class.submissions / "shadow").holds("shadow", FULL)
