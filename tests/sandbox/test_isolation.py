import subprocess
import sys

import pytest

from medlab.errors import BadInput
from medlab.sandbox import isolation
from medlab.sandbox.isolation import Isolation, choose, isolate


@pytest.fixture
def problems(monkeypatch):
    """What is wrong with each jail, to be filled by the test."""
    found = {isolation.NAMESPACES: "", isolation.BUBBLEWRAP: ""}
    monkeypatch.setattr(isolation, "problem_with", found.__getitem__)
    return found


def test_auto_takes_the_strongest_that_works(problems):
    assert choose("auto") == "namespaces"
    problems["namespaces"] = "not here"
    assert choose("auto") == "bubblewrap"


def test_auto_refuses_limits_and_says_what_to_do(problems):
    problems |= {"namespaces": "not allowed", "bubblewrap": "bwrap is not installed"}
    with pytest.raises(BadInput, match=r"not allowed.*--jail limits, which leaves open reading"):
        choose("auto")


def test_limits_is_taken_if_asked_for_by_name(problems):
    assert choose("limits") == "limits"
    assert isolate("limits") == Isolation("limits")


def test_a_jail_that_does_not_work_is_refused_by_its_name(problems):
    problems["bubblewrap"] = "bwrap is not installed"
    with pytest.raises(BadInput, match="bwrap is not installed"):
        choose("bubblewrap")


def test_an_unknown_jail_is_refused():
    with pytest.raises(BadInput, match="there is no jail 'box'"):
        choose("box")


def test_every_kind_says_what_it_leaves_open():
    assert set(isolation.LEAVES_OPEN) == set(isolation.KINDS) - {"auto"}


def test_namespaces_and_nothing_else_need_a_fork_server():
    with pytest.raises(ValueError, match="need a fork server"):
        Isolation("namespaces")
    with pytest.raises(ValueError, match="need a fork server"):
        Isolation("limits", address="x")


def test_run_as_a_program_it_names_a_jail_that_works():
    command = [sys.executable, "-m", "medlab.sandbox.isolation"]
    named = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert isolation.choose(named) == named
