"""Tensors that are not what they say, and a torch that was changed in place, in a torch unit."""

from pathlib import Path

import pytest
from tests.support.hostile import Attack, Class, write_course

HALF = "def half(x):\n    return x / 2"
SCALE = "def scale(x):\n    return (x - x.min()) / (x.max() - x.min())"
UNIT = f"""
# %% [markdown]
# # Scale

# %% tags=["parameters"]
SEED = 0

# %%
import torch

# %% hidden="setup"
import torch

# %% exercise="half" points=2
{HALF.replace("return", "### BEGIN SOLUTION@return").replace("@", chr(10) + "    ")}
    ### END SOLUTION

# %% check="half"
assert half(torch.ones(1)) == 0.5, "half of 1 is 0.5"

# %% hidden="half" points=2 about="all of it"
assert torch.equal(learner.half(torch.arange(4.0)), torch.arange(4.0) / 2), "half"

# %% mistake="half" because="doubles" keeps=0 says="half"
def half(x):
    return x * 2

# %% mistake="half" because="returns it" keeps=0 says="half"
def half(x):
    return x

# %% [markdown] hint="half"
# Divide.

# %% exercise="scale" points=3
{SCALE.replace("return", "### BEGIN SOLUTION@return").replace("@", chr(10) + "    ")}
    ### END SOLUTION

# %% check="scale"
assert scale(torch.tensor([1.0, 3.0])).tolist() == [0, 1], "from 0 to 1"

# %% hidden="scale" points=3 about="from 0 to 1"
x = torch.as_tensor(rng.random(8))
expected = (x - x.min()) / (x.max() - x.min())
got = learner.scale(x)
assert isinstance(got, torch.Tensor), "a tensor"
assert got.shape == expected.shape, "as many as came"
assert torch.allclose(got, expected), "the smallest becomes 0, the largest 1"
assert bool((got == expected).float().mean() > 0.5), "exactly so"

# %% mistake="scale" because="halves" keeps=0 says="smallest"
def scale(x):
    return x / 2

# %% mistake="scale" because="returns a number" keeps=0 says="tensor"
def scale(x):
    return 1.0

# %% [markdown] hint="scale"
# Subtract and divide.

# %% [markdown]
# Why?

# %% [markdown] written="why" points=2 rubric="clinician-answer"
# To compare.
"""
CLASS = """
import numpy as np
class Sly(torch.Tensor):
    BODY
def scale(x):
    return torch.zeros(8, dtype=torch.float64).as_subclass(Sly)
"""
FAKE = """
class Array:
    __module__ = "numpy"
    dtype, shape = np.dtype("<f8"), SHAPE
    def tobytes(self): return b"RAW"
Array.__module__ = "numpy"
Sly.numpy = Sly.detach = Sly.cpu = lambda self: Array()
Sly.detach = Sly.cpu = lambda self: self
"""
WRONG = "def scale(x): return torch.zeros(8, dtype=torch.float64)\n"
FORGED = """
import json
import medlab.classroom.referee.answering as a
def forged(*_):
    what = {"!": "array", "dtype": "<f8", "scalar": False, "shape": SHAPE, "of": ""}
    return a.Answer(json.dumps({"value": {"!": "tensor", "of": what}}))
a.answer = forged
"""
TRICKS = {
    "equal": CLASS.replace("BODY", "def __eq__(self, other): return torch.ones(8) == 1"),
    "function": CLASS.replace(
        "BODY",
        "@classmethod\n    def __torch_function__(cls, *a, **k): return True",
    ),
    "numpy": CLASS.replace("BODY", "def numpy(self): return np.full(8, np.nan)"),
    "detach": CLASS.replace("BODY", "def detach(self): raise SystemExit"),
    "huge": CLASS.replace("BODY", "pass") + FAKE.replace("SHAPE", "(10**15,)").replace("RAW", ""),
    "hollow": CLASS.replace("BODY", "pass")
    + FAKE.replace("SHAPE", "(0, 10**15)").replace("RAW", ""),
    "objects": CLASS.replace("BODY", "def numpy(self): return np.array([print] * 8)"),
    "comparisons": WRONG
    + "torch.allclose = torch.equal = lambda *a, **k: True\ntorch.Tensor.__eq__ = lambda *a: True",
    "crossing": WRONG + "torch.Tensor.numpy = lambda self: __import__('numpy').ones(8)",
    "arriving": WRONG + "torch.as_tensor = torch.from_numpy = lambda *a, **k: torch.zeros(8)",
    "no-tensor": WRONG
    + "torch.Tensor = type('Tensor', (), {'__instancecheck__': lambda *a: True})",
    "nan": "def scale(x): return x * float('nan')",
    "forged": WRONG + FORGED.replace("SHAPE", "[2**60]"),
    "forged-hollow": WRONG + FORGED.replace("SHAPE", "[0, 2**60]"),
    "forged-many-axes": WRONG + FORGED.replace("SHAPE", "[9] * 10**6"),
    "forged-large-axes": WRONG + FORGED.replace("SHAPE", "[10**4000] * 9000"),
}


def write_torch_course(root: Path) -> None:
    write_course(root)
    (root / "course/first/add-two.py").write_text(UNIT.lstrip())
    syllabus = root / "course" / "syllabus.yaml"
    syllabus.write_text(syllabus.read_text().replace("hours: 1,", "hours: 1, libraries: [torch],"))


@pytest.fixture(scope="module")
def torch_class(tmp_path_factory):
    """All tricks in one class; the exercise before them is answered honestly."""
    honest = {"half": HALF, "scale": SCALE}
    made = Class(tmp_path_factory.mktemp("torch") / "k", write_torch_course, honest)
    for name in ("a-honest", "z-honest"):
        made.hand_in(name, Attack())
    for name, source in TRICKS.items():
        made.hand_in(f"torch-{name}", Attack({"scale": source}))
    yield made.grade("--cell-seconds", "10")
    made.close()


@pytest.mark.parametrize("name", TRICKS)
def test_a_tensor_that_lies_and_a_patched_torch_earn_nothing(torch_class, name):
    grade = torch_class.holds(f"torch-{name}", 2)
    assert grade["status"] == "graded"
    assert torch_class.exercise(f"torch-{name}", "scale")["status"] != "passed"


def test_the_grader_stays_small(torch_class):
    assert torch_class.peak_bytes < 1_500_000_000
