"""Firmware onto a real board, by whichever flash tool is installed.

Before anything is written the tool is asked which chip it sees; another than the board's is
refused. Not tried on a physical board: the tools' commands are tested against stand-ins for them.
"""

import json
import re
import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from medlab.edge.boards import programs
from medlab.edge.boards.board import Board
from medlab.edge.boards.firmware import Firmware
from medlab.errors import BadInput

PATIENCE_S = 180
BAUD = 115200


@dataclass(frozen=True)
class Tool:
    """A flash tool for a board and a firmware: what to run, and how to read its answers."""

    program: str
    board: Board
    firmware: Firmware
    probe: ClassVar[str] = " and its debug probe"  # what else has to be plugged in

    @property
    def target(self) -> str:
        """What the tool calls this board."""
        return self.board.tools[self.program]

    def asks(self) -> list[str]:
        """Return the command that tells which chip is there."""
        raise NotImplementedError

    def chip(self, said: str) -> int | str | None:
        """Return the chip's id from the answer, None where no board is plugged in."""
        raise NotImplementedError

    def is_right(self, chip: int | str) -> bool:
        """Tell whether an id is this board's."""
        return chip & self.board.chip["mask"] == self.board.chip["value"]

    def writes(self) -> list[str]:
        """Return the command that writes the firmware and starts it."""
        raise NotImplementedError

    def wanted(self) -> str:
        """Return the id that the board should have, in words."""
        return f"0x{self.board.chip['value']:x}"


class PyOcd(Tool):
    """pyocd, through any debug probe."""

    def asks(self) -> list[str]:
        # cortex_m: no assumption about the chip before its id is known.
        read = f"read32 0x{self.board.chip['at']:08x} 4"
        return ["pyocd", "commander", "--no-wait", "--target", "cortex_m", "--command", read]

    def chip(self, said: str) -> int | None:
        found = re.search(rf"(?im)^{self.board.chip['at']:08x}:\s+([0-9a-f]{{8}})", said)
        return int(found[1], 16) if found else None

    def writes(self) -> list[str]:
        return ["pyocd", "flash", "--no-wait", "--target", self.target, str(self.firmware.elf)]


class StFlash(Tool):
    """st-flash and st-info, through ST's debug probe."""

    def asks(self) -> list[str]:
        return ["st-info", "--chipid"]

    def chip(self, said: str) -> int | None:
        found = re.search(r"0x([0-9a-fA-F]+)", said)
        return int(found[1], 16) or None if found else None

    def writes(self) -> list[str]:
        start, _ = self.firmware.image()
        return ["st-flash", "--reset", "write", str(_binary(self.firmware)), f"0x{start:08x}"]


class ArduinoCli(Tool):
    """arduino-cli, over USB; it knows boards by their names."""

    probe: ClassVar[str] = ""

    def asks(self) -> list[str]:
        return ["arduino-cli", "board", "list", "--format", "json"]

    def chip(self, said: str) -> str | None:
        """Return the name of the board that is plugged in; this one's, if several are."""
        names = [name for name, _ in _arduinos(said)]
        return self.target if self.target in names else next(iter(names), None)

    def is_right(self, chip: int | str) -> bool:
        return chip == self.target

    def writes(self) -> list[str]:
        said = _run(self.asks()) if shutil.which("arduino-cli") else ""
        port = next((port for name, port in _arduinos(said) if name == self.target), "PORT")
        binary = str(_binary(self.firmware))
        upload = ["arduino-cli", "upload", "--fqbn", self.target]
        return [*upload, "--port", port, "--input-file", binary]

    def wanted(self) -> str:
        return self.target


def _arduinos(said: str) -> list[tuple[str, str]]:
    """Return (name, port) of each board that arduino-cli recognised."""
    try:
        listed = json.loads(said or "{}")
    except ValueError:
        return []
    ports = listed.get("detected_ports") or [] if isinstance(listed, dict) else listed
    return [
        (board.get("fqbn", "?"), port.get("port", {}).get("address", ""))
        for port in ports
        for board in port.get("matching_boards") or []
    ]


TOOLS = {"pyocd": PyOcd, "st-flash": StFlash, "arduino-cli": ArduinoCli}


def plan(board: Board, firmware: Firmware, tool: str = "", must_be_there: bool = True) -> Tool:
    """Choose a flash tool: the named one, else the first of the board's that is installed.

    Raises BadInput for a tool that the board cannot be flashed with and, if it must be there, where
    none is installed.
    """
    if tool and tool not in board.tools:
        raise BadInput(f"{board.name} is flashed with {' or '.join(board.tools)}, not with {tool}")
    wanted = [tool] if tool else list(board.tools)
    found = [name for name in wanted if shutil.which(name)]
    if not found and must_be_there:
        raise BadInput(
            f"no flash tool: install {' or '.join(wanted)} (pip install pyocd), "
            "or see the commands with --dry-run"
        )
    return TOOLS[(found or wanted)[0]](next(iter(found or wanted)), board, firmware)


def commands(tool: Tool) -> list[str]:
    """Return what would be run, as lines for a shell: which chip is there, then the writing."""
    return [shlex.join(tool.asks()), shlex.join(tool.writes())]


def flash(tool: Tool) -> None:
    """Write the firmware, if the chip is the board's. Raises BadInput with the reason if not."""
    chip = tool.chip(_run(tool.asks()))
    if chip is None:
        raise BadInput(
            f"{tool.program} finds no board: plug in {tool.board.name}{tool.probe} by USB"
        )
    if not tool.is_right(chip):
        seen = chip if isinstance(chip, str) else f"0x{chip & tool.board.chip['mask']:x}"
        raise BadInput(
            f"the board that is plugged in says {seen}, but {tool.board.name} is "
            f"{tool.wanted()}: nothing was written"
        )
    _run(tool.writes(), must_succeed=True)


def _run(command: list[str], must_succeed: bool = False) -> str:
    """Run a tool; return all that it said."""
    absent = f"{command[0]} is not installed: it comes with its flash tool"
    late = f"{command[0]} gave no answer in {PATIENCE_S} s: unplug the board, plug it in"
    done = programs.run(command, PATIENCE_S, absent, late)
    if must_succeed and done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise BadInput(f"{command[0]} could not write the firmware: {(lines or ['no reason'])[-1]}")
    return done.stdout + done.stderr


def _binary(firmware: Firmware) -> Path:
    """Write the flash's content beside the ELF file, for tools that want it plain."""
    path = firmware.elf.with_suffix(".bin")
    path.write_bytes(firmware.image()[1])
    return path


@contextmanager
def listening(port: str) -> Iterator:
    """Open a serial port before the board starts; give what reads it: seconds -> text pieces.

    Without a port, without pyserial or where the port cannot be opened, it gives one line that says
    so: a firmware that was written stays written.
    """
    if not port:
        yield _say("name the serial port with --port to see what the board says\n")
        return
    try:
        import serial
    except ImportError:
        yield _say("pyserial is not installed: pip install pyserial to see what the board says\n")
        return
    try:
        line = serial.Serial(port, BAUD, timeout=0.1)
    except serial.SerialException:
        yield _say(
            f"cannot open serial port {port}: see which there are, and name it with --port\n"
        )
        return
    with line:
        yield lambda seconds: _heard(line, seconds)


def _say(text: str):
    return lambda _seconds: iter([text])


def _heard(line, seconds: float) -> Iterator[str]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if content := line.read(256):
            yield content.decode("utf-8", errors="replace")
