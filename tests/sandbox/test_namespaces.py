"""What a jailed kernel is, sees and may use: as root and as an ordinary user."""

import os
import sys
from pathlib import Path

import pytest
from tests.support.probes import every_jail, report_of

from medlab.sandbox import isolation, namespaces

PROBE = Path(__file__).with_name("probes.py")
OTHERS = {"namespaces", "bubblewrap"}


def told(kind: str, user: str) -> dict:
    return report_of(PROBE, kind, user)


@every_jail
def test_a_jailed_kernel_has_no_privilege_and_no_way_to_one(kind, user):
    about = told(kind, user)
    assert about["uid"] != 0
    assert about["capabilities"] == 0
    assert about["no_new_privileges"] == 1
    assert about["filter"] == 2


@every_jail
def test_it_sees_its_own_processes_alone(kind, user):
    assert told(kind, user)["pids"]


def test_in_namespaces_it_is_the_first_process():
    assert told("namespaces", "ordinary")["pid"] == 1


@every_jail
def test_it_sees_an_allow_list_of_folders(kind, user):
    seen = set(told(kind, user)["root"])
    tops = {Path(path).parts[1] for path in namespaces.readable_paths()}
    # staging is empty: copies of the writable folders are put together there.
    assert seen <= tops | {"dev", "etc", "learner", "proc", "staging", "tmp"}
    assert not seen & {"boot", "home", "sys", "var", "run"}


@every_jail
def test_it_reads_made_data_and_cannot_change_them(kind, user):
    about = told(kind, user)
    assert about["made data"] == "generated"
    assert not [path for path in about["writable"] if path.endswith("/data")]


@every_jail
def test_it_writes_to_its_own_folders_alone(kind, user):
    own = {"/tmp", "/dev/shm", "/learner/work"}
    assert own <= set(told(kind, user)["writable"])
    assert "/usr" not in told(kind, user)["writable"]
    assert os.path.dirname(os.__file__) not in told(kind, user)["writable"]


@every_jail
def test_disk_and_processes_have_an_end(kind, user):
    about = told(kind, user)
    assert about["filled"] <= 5_000_000
    assert about["children"] < 40


@every_jail
def test_memory_that_no_process_limit_counts_has_an_end(kind, user):
    assert told(kind, user)["bomb"] == "killed"


@every_jail
def test_an_endless_cell_is_interrupted_and_the_kernel_lives_on(kind, user):
    assert told(kind, user)["endless"] == ["timeout", "ok"]


@every_jail
def test_it_gets_none_of_the_graders_variables_but_a_user_and_a_home(kind, user):
    about = told(kind, user)
    assert "MEDLAB_SECRET" not in about["environment"]
    assert about["user"] == "learner"
    assert about["folder"] == "/learner/work"


def test_of_a_folder_with_python_only_pythons_parts_are_shown(tmp_path, monkeypatch):
    for name in ("bin", "lib", "course", "submissions"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    shown = [path for path in namespaces.readable_paths() if Path(path).is_relative_to(tmp_path)]
    assert shown == [str(tmp_path / "bin"), str(tmp_path / "lib")]


def test_bubblewrap_is_not_for_root():
    if os.geteuid() != 0:
        pytest.skip("this is not root")
    isolation.problem_with.cache_clear()
    assert isolation.problem_with(isolation.BUBBLEWRAP)
