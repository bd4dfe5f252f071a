"""Answers that are gigantic, deep, or slow to take in."""

import pytest
from tests.support.hostile import Attack

FORGE = """
import medlab.classroom.referee.answering as answering
def text(): return TEXT
answering.answer = lambda *_: answering.Answer(text())
def mean(values): return 0
"""
FORGED = {
    "deep": "'[' * 10**6",
    "broken": """'{"value": '""",
    "many": """'{"value": [' + '[],' * 10**7 + '[]]}'""",
    "huge-number": """'{"value": ' + '9' * 10**7 + '}'""",
    "odd-error": """'{"error": {"kind": 1, "more": 2}}'""",
    "long-type": (
        """'{"value": {"!": "array", "dtype": "' + 'i4,' * 10**6 + '", '"""
        """ '"shape": [1], "scalar": false, "of": "AAAA"}}'"""
    ),
    # Numbers with one hash value: putting n of them into a set takes n * n / 2 steps.
    "colliding": (
        """'{"value": {"!": "set", "of": [' """
        """+ ','.join(str(n * (2**61 - 1)) for n in range(200_000)) + ']}}'"""
    ),
}
ATTACKS = {
    f"answer-{name}": Attack({"mean": FORGE.replace("TEXT", text)}) for name, text in FORGED.items()
} | {
    "answer-gigantic": Attack({"mean": "def mean(values): return bytes(300_000_000)"}),
    "answer-nested": Attack({"mean": "def mean(v):\n    x = []\n    x.append(x)\n    return x"}),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_answer_is_taken_in_quickly_or_not_at_all(graded, name):
    assert graded.holds(name, 2)["seconds"] < 30


def test_the_grader_stays_small(graded):
    assert graded.peak_bytes < 1_500_000_000
