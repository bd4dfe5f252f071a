"""Flashing, against stand-ins for the tools: they answer as told and note how they were run."""

import json
import os
import sys
import time
import types

import pytest

from medlab.edge.boards import flashing, serial_port
from medlab.errors import BadInput

ANSWERS = {
    ("stm32h7", "pyocd"): "5c001000:  20036450    |..d.|",
    ("nrf52840", "pyocd"): "10000100:  00052840    |@(..|",
    ("stm32f405", "st-info"): "0x0413",
    ("stm32h7", "st-info"): "0x0450",
}
NANO = "arduino:mbed_nano:nano33ble"


def arduinos(*names):
    ports = [
        {"matching_boards": [{"name": "x", "fqbn": name}], "port": {"address": f"/dev/tty{i}"}}
        for i, name in enumerate(names)
    ]
    return json.dumps({"detected_ports": ports})


@pytest.fixture
def firmware(build):
    return lambda name: build("int main(void) { return 0; }", name)


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """Make a stand-in for a tool: tools("pyocd", answer); tools.ran lists what was run."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.path.dirname(sys.executable)}:/usr/bin:/bin")
    # What is really installed must not be found.
    monkeypatch.setattr(flashing.shutil, "which", lambda name: which(folder, name))
    log = folder / "log"

    def make(name, answer="", status=0):
        script = (
            f"#!/bin/bash\necho {name} \"$@\" >>{log}\ncat <<'END'\n{answer}\nEND\nexit {status}\n"
        )
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)

    make.ran = lambda: log.read_text().splitlines() if log.exists() else []
    return make


def which(folder, name):
    return str(folder / name) if (folder / name).exists() else None


def test_pyocd_writes_after_it_has_seen_the_right_chip(tools, firmware):
    board, program = firmware("stm32h7")
    tools("pyocd", ANSWERS["stm32h7", "pyocd"])
    flashing.flash(flashing.plan(board, program))
    asked, wrote = tools.ran()
    assert asked == "pyocd commander --no-wait --target cortex_m --command read32 0x5c001000 4"
    assert wrote == f"pyocd flash --no-wait --target stm32h743xx {program.elf}"


def test_st_flash_writes_the_plain_image_to_where_flash_begins(tools, firmware):
    board, program = firmware("stm32f405")
    tools("st-info", ANSWERS["stm32f405", "st-info"])
    tools("st-flash")
    flashing.flash(flashing.plan(board, program))
    binary = program.elf.with_suffix(".bin")
    assert tools.ran()[1] == f"st-flash --reset write {binary} 0x08000000"
    assert binary.read_bytes() == program.image()[1]


def test_arduino_cli_uploads_to_the_port_where_the_board_is(tools, firmware):
    board, program = firmware("nrf52840")
    tools("arduino-cli", arduinos("arduino:avr:uno", NANO))
    flashing.flash(flashing.plan(board, program))
    binary = program.elf.with_suffix(".bin")
    upload = f"arduino-cli upload --fqbn {NANO} --port /dev/tty1 --input-file {binary}"
    assert tools.ran()[-1] == upload


@pytest.mark.parametrize(
    ("name", "tool", "answer", "says"),
    [
        ("nrf52840", "pyocd", "10000100:  00052832    |2(..|", "reports 0x52832, .* is 0x52840"),
        ("stm32h7", "pyocd", "5c001000:  20036480    |..d.|", "reports 0x480, .* is 0x450"),
        ("stm32f405", "st-flash", "0x0411", "reports 0x411, .* is 0x413"),
        ("nrf52840", "arduino-cli", arduinos("arduino:avr:uno"), "reports arduino:avr:uno"),
    ],
)
def test_another_chip_is_refused_and_nothing_is_written(tools, firmware, name, tool, answer, says):
    board, program = firmware(name)
    tools(tool, answer)
    tools("st-info", answer)
    with pytest.raises(BadInput, match=f"{says}.*nothing was written"):
        flashing.flash(flashing.plan(board, program, tool))
    assert len(tools.ran()) == 1, "only asked, never wrote"


@pytest.mark.parametrize(
    ("name", "tool", "answer"),
    [
        ("stm32h7", "pyocd", "No connected debug probes"),
        ("stm32f405", "st-flash", "0x0000"),
        ("stm32f405", "st-flash", "Couldn't find any ST-Link devices"),
        ("nrf52840", "arduino-cli", "{}"),
        ("nrf52840", "arduino-cli", "no JSON at all"),
    ],
)
def test_a_board_that_is_not_plugged_in_is_one_line(tools, firmware, name, tool, answer):
    board, program = firmware(name)
    tools(tool, answer)
    tools("st-info", answer, status=1)
    probe = "" if tool == "arduino-cli" else " and its debug probe"
    with pytest.raises(BadInput, match=f"{tool} finds no board: plug in {name}{probe} by USB"):
        flashing.flash(flashing.plan(board, program, tool))


def test_no_flash_tool_is_one_line_that_says_what_to_install(tools, firmware):
    board, program = firmware("stm32f405")
    with pytest.raises(BadInput, match="no flash tool: install st-flash or pyocd"):
        flashing.plan(board, program)


def test_a_tool_that_cannot_flash_this_board_is_refused(tools, firmware):
    board, program = firmware("stm32f405")
    with pytest.raises(BadInput, match="stm32f405 is flashed with st-flash or pyocd"):
        flashing.plan(board, program, "arduino-cli")


def test_a_dry_run_needs_no_tool_and_runs_nothing(tools, firmware):
    for name in ("stm32f405", "nrf52840", "stm32h7"):
        board, program = firmware(name)
        assert len(flashing.commands(flashing.plan(board, program, must_be_there=False))) == 2
    assert tools.ran() == []


def test_a_tool_that_fails_to_write_gives_its_last_line(tools, firmware):
    board, program = firmware("stm32f405")
    tools("st-info", "0x0413")
    tools("st-flash", "step one\nflash write failed", status=1)
    with pytest.raises(BadInput, match="could not write the firmware: flash write failed"):
        flashing.flash(flashing.plan(board, program))


# --- listening ---


def heard(port, seconds=0.3):
    with serial_port.open_port(port) as listen:
        return "".join(listen(seconds))


@pytest.fixture
def pyserial(monkeypatch):
    """A stand-in for pyserial, with one port on which a board says hello twice."""
    made = types.ModuleType("serial")
    made.SerialException = OSError
    said = [b"hello ", b"again\n"]

    class Serial:
        def __init__(self, port, baud, timeout):
            if port != "/dev/ttyACM0":
                raise OSError(port)
            self.opened = (port, baud)

        __enter__ = lambda self: self  # noqa: E731
        __exit__ = lambda self, *error: None  # noqa: E731

        def read(self, count):
            return said.pop(0) if said else time.sleep(0.05) or b""

    made.Serial = Serial
    monkeypatch.setitem(sys.modules, "serial", made)


def test_what_the_board_says_is_heard(pyserial):
    assert heard("/dev/ttyACM0") == "hello again\n"


def test_no_port_is_a_line_not_an_error():
    assert heard("") == "name the serial port with --port to see the board's output\n"


def test_a_port_that_is_not_there_is_a_line_not_an_error(pyserial):
    assert "cannot open serial port /dev/ttyNONE" in heard("/dev/ttyNONE")


def test_without_pyserial_a_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "serial", None)
    assert "pip install pyserial" in heard("/dev/ttyACM0")
