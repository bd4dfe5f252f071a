"""A learner's kernel builds firmware in its jail: boards and compiler are there, no course is."""

import base64
from pathlib import Path

from tests.support.probes import every_jail, report_of

from medlab.classroom.surroundings import hardware_labs, surroundings
from medlab.edge import boards
from medlab.edge.boards.firmware import Firmware

PROBE = Path(__file__).with_name("firmware_probe.py")


def told(kind: str, user: str) -> dict:
    return report_of(PROBE, kind, user)


@every_jail
def test_what_a_jailed_kernel_built_runs_on_the_graders_emulated_board(kind, user):
    board = boards.load("stm32f405")
    elf = base64.b64decode(told(kind, user)["elf"])
    run = board.run(Firmware.from_bytes(elf, board.name), budget=100_000)
    assert (run.text, run.exit_status) == ("built in the jail\n", 0)


@every_jail
def test_the_jailed_kernel_emulates_it_too_with_the_same_count(kind, user):
    about = told(kind, user)
    elf = base64.b64decode(about["elf"])
    board = boards.load("stm32f405")
    counted = board.run(Firmware.from_bytes(elf, board.name), budget=100_000).instructions
    assert about["in the jail"] == ["built in the jail\n", 0, counted]


@every_jail
def test_the_same_text_gives_the_same_bytes_in_the_jail(kind, user):
    assert told(kind, user)["same twice"]


@every_jail
def test_boards_are_read_in_the_jail_but_neither_written_nor_is_the_course_beside_them(kind, user):
    about = told(kind, user)
    assert about["labs"] == str(boards.find_hardware_labs())
    assert not about["can write"]
    assert set(about["beside"]) <= {"hardware_labs", "src", ".venv"}


def test_without_boards_a_jail_is_built_all_the_same(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDLAB_HARDWARE_LABS", str(tmp_path))
    assert hardware_labs() is None
    assert str(tmp_path) not in surroundings().readable
