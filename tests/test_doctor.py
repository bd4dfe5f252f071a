"""`medlab doctor` says what is here, what is not, and what to do about it."""

import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from medlab import doctor
from medlab.cli.machine import print_findings

ROOT = Path(__file__).parents[1]


@pytest.fixture
def in_the_course(monkeypatch):
    monkeypatch.setenv("MEDLAB_COURSE", str(ROOT))


def found(name):
    return next(f for f in doctor.examine() if f.name == name)


def text_of_report():
    page = io.StringIO()
    print_findings(doctor.examine(), Console(file=page, width=120))
    return page.getvalue()


@pytest.mark.usefixtures("in_the_course")
def test_every_finding_that_needs_action_has_a_note():
    assert all(f.note for f in doctor.examine() if f.state != "ok")


@pytest.mark.usefixtures("in_the_course")
def test_the_course_folder_of_this_checkout_is_found():
    assert found("course folder").found == str(ROOT)


def test_outside_a_course_the_folder_is_needed(monkeypatch):
    monkeypatch.setattr(doctor, "_course_root", lambda: None)
    finding = found("course folder")
    assert finding.state == "needed"
    assert "MEDLAB_COURSE" in finding.note


def test_a_missing_core_package_comes_with_the_command_that_brings_it(monkeypatch):
    installed = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda n: "" if n == "pydicom" else installed(n))
    assert found("pydicom").state == "needed"
    assert "Still needed" in text_of_report()
    assert "make clean setup" in text_of_report()


def test_a_missing_optional_tool_says_what_it_would_enable(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda _program: None)
    finding = found("arduino-cli")
    assert (finding.state, finding.note) == ("absent", "flashing Arduino boards")


def test_a_missing_git_comes_with_the_line_to_run(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda _program: None)
    assert found("git").note == "sudo apt-get install git"


def test_docker_without_an_engine_is_not_passed_off_as_working(monkeypatch):
    monkeypatch.setattr(doctor.Path, "exists", lambda _self: False)
    assert "no engine" in doctor._detail("docker", "/usr/bin/docker")


def test_a_full_disk_is_named():
    assert doctor._disk(free=doctor.GIB // 2).state == "needed"
    assert doctor._disk(free=2 * doctor.GIB).state == "ok"


def test_the_lock_is_read_for_this_platform_only():
    lock = (
        "six==1.17.0 \\\n    --hash=sha256:00\n"
        "colorama==0.4.6 ; sys_platform == 'none-such' \\\n    --hash=sha256:00\n"
        "numpy==2.4.6 ; python_full_version >= '3.11' \\\n    --hash=sha256:00\n"
    )
    assert doctor.locked_versions(lock) == {"six": "1.17.0", "numpy": "2.4.6"}


def test_a_version_other_than_the_locked_one_is_named(tmp_path):
    (tmp_path / "requirements.lock").write_text("rich==0.0.1 \\\n    --hash=sha256:00\n")
    finding = doctor._lock(tmp_path)
    assert finding.state == "differs"
    assert "rich" in finding.found


@pytest.mark.usefixtures("in_the_course")
def test_the_report_prints_versions_and_ends_with_a_verdict():
    report = text_of_report()
    assert doctor._version("pydicom") in report
    assert report.strip().splitlines()[-1].startswith(("Everything the course needs", "  "))


def test_the_examination_takes_less_than_a_second_of_computing():
    start = time.process_time()
    doctor.examine()
    assert time.process_time() - start < 1
