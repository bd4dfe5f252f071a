"""One dial for size."""

import pytest

from medlab.errors import BadInput
from medlab.scale import pick, scale


@pytest.mark.parametrize(("name", "value"), [("ci", 1), ("laptop", 2), ("gpu", 3), ("", 1)])
def test_the_dial_picks_a_value(monkeypatch, name, value):
    monkeypatch.setenv("MEDLAB_SCALE", name)
    assert pick(ci=1, laptop=2, gpu=3) == value


def test_without_the_dial_the_small_size_is_used(monkeypatch):
    monkeypatch.delenv("MEDLAB_SCALE", raising=False)
    assert scale() == "ci"


def test_another_word_is_refused_in_one_line(monkeypatch):
    monkeypatch.setenv("MEDLAB_SCALE", "huge")
    with pytest.raises(BadInput, match="'huge': set it to one of ci, laptop, gpu"):
        scale()
