"""Write firmware to a real board, with whichever flash tool is installed.

Before anything is written the tool reports which chip it sees; one that is not the board's is
rejected. Not tried on a physical board: the tools' commands are tested against stand-ins for them.
"""

import json
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from medlab.edge.boards import programs
from medlab.edge.boards.board import Board
from medlab.edge.boards.firmware import Firmware
from medlab.errors import BadInput

PATIENCE_S = 180


@dataclass(frozen=True)
class FlashTool:
    """A flash tool for a board and a firmware: what to run, and how to read its answers."""

    program: str
    board: Board
    firmware: Firmware
    also_needs: ClassVar[str] = " and its debug probe"  # what else has to be plugged in

    @property
    def target(self) -> str:
        """What the tool calls this board."""
        return self.board.tools[self.program]

    def probe_command(self) -> list[str]:
        """Return the command that reports the chip's id."""
        raise NotImplementedError

    def chip(self, output: str) -> int | str | None:
        """Return the chip's id from that command's output, None where no board is plugged in."""
        raise NotImplementedError

    def is_expected(self, chip: int | str) -> bool:
        """Return whether an id is this board's."""
        return chip & self.board.chip["mask"] == self.board.chip["value"]

    def write_command(self) -> list[str]:
        """Return the command that writes the firmware and starts it."""
        raise NotImplementedError

    def expected_chip(self) -> str:
        """Return the id that the board should have, in words."""
        return f"0x{self.board.chip['value']:x}"


class PyOcd(FlashTool):
    """pyocd, through any debug probe."""

    def probe_command(self) -> list[str]:
        # cortex_m: no assumption about the chip before its id is known.
        read = f"read32 0x{self.board.chip['at']:08x} 4"
        return ["pyocd", "commander", "--no-wait", "--target", "cortex_m", "--command", read]

    def chip(self, output: str) -> int | None:
        found = re.search(rf"(?im)^{self.board.chip['at']:08x}:\s+([0-9a-f]{{8}})", output)
        return int(found[1], 16) if found else None

    def write_command(self) -> list[str]:
        return ["pyocd", "flash", "--no-wait", "--target", self.target, str(self.firmware.elf)]


class StFlash(FlashTool):
    """st-flash and st-info, through ST's debug probe."""

    def probe_command(self) -> list[str]:
        return ["st-info", "--chipid"]

    def chip(self, output: str) -> int | None:
        found = re.search(r"0x([0-9a-fA-F]+)", output)
        return int(found[1], 16) or None if found else None

    def write_command(self) -> list[str]:
        start, _ = self.firmware.image()
        return ["st-flash", "--reset", "write", str(_binary(self.firmware)), f"0x{start:08x}"]


class ArduinoCli(FlashTool):
    """arduino-cli, over USB; it knows boards by their names."""

    also_needs: ClassVar[str] = ""

    def probe_command(self) -> list[str]:
        return ["arduino-cli", "board", "list", "--format", "json"]

    def chip(self, output: str) -> str | None:
        """Return the name of the board that is plugged in; this one's, if several are."""
        names = [name for name, _ in _arduinos(output)]
        return self.target if self.target in names else next(iter(names), None)

    def is_expected(self, chip: int | str) -> bool:
        return chip == self.target

    def write_command(self) -> list[str]:
        output = _run(self.probe_command()) if shutil.which("arduino-cli") else ""
        port = next((port for name, port in _arduinos(output) if name == self.target), "PORT")
        binary = str(_binary(self.firmware))
        upload = ["arduino-cli", "upload", "--fqbn", self.target]
        return [*upload, "--port", port, "--input-file", binary]

    def expected_chip(self) -> str:
        return self.target


def _arduinos(output: str) -> list[tuple[str, str]]:
    """Return (name, port) of each board that arduino-cli recognises."""
    try:
        listed = json.loads(output or "{}")
    except ValueError:
        return []
    ports = listed.get("detected_ports") or [] if isinstance(listed, dict) else listed
    return [
        (board.get("fqbn", "?"), port.get("port", {}).get("address", ""))
        for port in ports
        for board in port.get("matching_boards") or []
    ]


TOOLS = {"pyocd": PyOcd, "st-flash": StFlash, "arduino-cli": ArduinoCli}


def plan(board: Board, firmware: Firmware, tool: str = "", must_be_there: bool = True) -> FlashTool:
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
            "or print the commands with --dry-run"
        )
    return TOOLS[(found or wanted)[0]](next(iter(found or wanted)), board, firmware)


def commands(tool: FlashTool) -> list[str]:
    """Return what would be run, as lines for a shell: which chip is there, then the writing."""
    return [shlex.join(tool.probe_command()), shlex.join(tool.write_command())]


def flash(tool: FlashTool) -> None:
    """Write the firmware, if the chip is the board's. Raises BadInput with the reason if not."""
    chip = tool.chip(_run(tool.probe_command()))
    if chip is None:
        raise BadInput(
            f"{tool.program} finds no board: plug in {tool.board.name}{tool.also_needs} by USB"
        )
    if not tool.is_expected(chip):
        seen = chip if isinstance(chip, str) else f"0x{chip & tool.board.chip['mask']:x}"
        raise BadInput(
            f"the connected board reports {seen}, but {tool.board.name} is "
            f"{tool.expected_chip()}: nothing was written"
        )
    _run(tool.write_command(), must_succeed=True)


def _run(command: list[str], must_succeed: bool = False) -> str:
    """Run a tool; return its output."""
    absent = f"{command[0]} is not installed: it comes with its flash tool"
    late = f"{command[0]} timed out after {PATIENCE_S} s: unplug the board and plug it in again"
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
