"""Pickles, and objects that would run code where they are unpacked."""

import pytest
from tests.support.hostile import Attack

REDUCE = """
import os, pickle
import numpy as np

class Evil(float):
    def __reduce__(self):
        return (os.system, ("touch @FOLDER@/other/@MARK@",))

def mean(values):
    return {value}
"""
FORGED = """
import base64, json, os, pickle
import medlab.classroom.referee.answering as answering

class Evil:
    def __reduce__(self):
        return (os.system, ("touch @FOLDER@/other/@MARK@",))

of = base64.b64encode(pickle.dumps(Evil())).decode()
told = {{"!": "{kind}", "of": of, "dtype": "O", "shape": [1], "scalar": False, "at": of}}
answering.answer = lambda *_: answering.Answer(json.dumps({{"value": told}}))
def mean(values): return 0
"""
ATTACKS = {
    "pickle-object": Attack({"mean": REDUCE.format(value="Evil()")}),
    "pickle-bytes": Attack({"mean": REDUCE.format(value="pickle.dumps(Evil())")}),
    "pickle-array": Attack({"mean": REDUCE.format(value="np.array([Evil()], dtype=object)")}),
    "pickle-forged": Attack({"mean": FORGED.format(kind="pickle")}),
    "pickle-forged-array": Attack({"mean": FORGED.format(kind="array")}),
    "pickle-forged-handle": Attack({"mean": FORGED.format(kind="held")}),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_is_unpacked(graded, name):
    graded.holds(name, 2)
