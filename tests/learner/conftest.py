"""A course of one unit, and a real IPython shell beside it."""

import re

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

SYLLABUS = """\
title: tiny
tracks:
  - slug: first
    title: First
    units:
      - {slug: add-two, title: Add two, hours: 1, points: 5, prerequisites: [], outcomes: []}
"""

UNIT = '''\
# %% [markdown]
# # Add two

# %% tags=["parameters"]
SEED = 0

# %% exercise="add" points=2
def add(a, b):
    """Sum of two numbers."""
    ### BEGIN SOLUTION
    return a + b
    ### END SOLUTION

# %% check="add"
assert add(1, 2) == 3, f"expected 3, got {add(1, 2)}: is a sign wrong?"

# %% needs="add"
three = add(1, 2)
three

# %% hidden="add" points=2 about="any two numbers"
assert close(learner.add(2, 5), 7), "add both numbers: is a sign wrong?"

# %% mistake="add" because="subtracts" keeps=0 says="sign"
def add(a, b):
    return a - b

# %% mistake="add" because="forgets b" keeps=0 says="both"
def add(a, b):
    return a

# %% [markdown] hint="add"
# Both numbers count.
#
# ---
# $s = a + b$
#
# ---
# ```python
# return ... + ...
# ```

# %% exercise="mean" points=3
def mean(values):
    """Arithmetic mean."""
    ### BEGIN SOLUTION
    return sum(values) / len(values)
    ### END SOLUTION

# %% check="mean"
assert mean([1, 3]) == 2, f"expected 2, got {mean([1, 3])}: divided by the number of values?"

# %% hidden="mean" points=3 about="any numbers"
assert close(learner.mean([1, 3]), 2), "divide the sum by the number of values"

# %% mistake="mean" because="forgets to divide" keeps=0 says="divide"
def mean(values):
    return sum(values)

# %% mistake="mean" because="divides by two" keeps=0 says="divide"
def mean(values):
    return sum(values) / 3

# %% [markdown] hint="mean"
# How many values are there?
#
# ---
# $m = s / n$
#
# ---
# ```python
# return ... / ...
# ```
'''


@pytest.fixture
def tiny_course(tmp_path, monkeypatch):
    """The root of a course with one unit, add-two: exercises add (2 points), mean (3 points)."""
    root = tmp_path / "tiny"
    (root / "course" / "first").mkdir(parents=True)
    (root / "course" / "syllabus.yaml").write_text(SYLLABUS, encoding="utf-8")
    (root / "course" / "first" / "add-two.py").write_text(UNIT, encoding="utf-8")
    monkeypatch.setenv("MEDLAB_COURSE", str(root))
    return root


class Notebook:
    """A real IPython shell with medlab loaded, that answers with the text a cell shows."""

    def __init__(self, shell):
        self.shell = shell
        self.run("%load_ext medlab")

    def run(self, cell: str) -> str:
        with capture_output() as shown:
            self.result = self.shell.run_cell(cell, store_history=True)
        self.outputs = shown.outputs
        texts = [output.data.get("text/plain", "") for output in shown.outputs]
        text = "\n".join(filter(None, [shown.stdout, *texts])).strip()
        return re.sub(r"(?m)^Out\[\d+\]: ", "", text)

    def html(self) -> str:
        return "".join(output.data.get("text/html", "") for output in self.outputs)


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    """A fresh shell per test, with no history file and no settings of the person who tests."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    InteractiveShell.clear_instance()
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    shell = InteractiveShell.instance(config=config)
    shell.display_formatter.active_types = shell.display_formatter.format_types
    yield Notebook(shell)
    InteractiveShell.clear_instance()
