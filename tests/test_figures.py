"""A figure is complete, finite and of a known kind, or there is none."""

import json
from dataclasses import asdict

import pytest

from medlab.figures import Figure, Kind

GOOD = {"name": "flash", "value": 12, "unit": "bytes", "kind": "exact", "how": "the whole firmware"}


def test_a_figure_survives_json():
    figure = Figure(**GOOD)
    assert figure.kind is Kind.EXACT
    assert json.loads(json.dumps(asdict(figure))) == GOOD
    assert Figure(**json.loads(json.dumps(asdict(figure)))) == figure


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"kind": "guessed"}, "kind 'guessed' is not one of exact, host"),
        ({"value": float("inf")}, "not finite"),
        ({"value": True}, "True is not finite"),
        ({"value": "12"}, "'12' is not finite"),
        ({"how": ""}, "how is empty"),
        ({"unit": ""}, "unit is empty"),
    ],
)
def test_a_bad_figure_is_rejected_with_the_reason(change, fault):
    with pytest.raises(ValueError, match=fault):
        Figure(**GOOD | change)
