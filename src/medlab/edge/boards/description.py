"""board.yaml, read and checked: a board's core, memory, chip and devices."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from medlab.errors import BadInput
from medlab.files import read_yaml

CORES = ("cortex-m4", "cortex-m7")
PARTS = {
    "flash": {"at", "size"},
    "ram": {"at", "size"},
    "chip": {"at", "mask", "value"},
    "tools": set(),
    "emulation": set(),
}
KEYS = {"title", "core", "clock_hz", "flash", "ram", "serial", "chip", "tools", "emulation"}


@dataclass(frozen=True)
class BoardDescription:
    """A board's core, memory, chip and devices."""

    name: str
    folder: Path
    title: str
    core: str
    clock_hz: int
    flash: dict  # at, size
    ram: dict  # at, size
    serial: str  # where the serial port comes out, in words
    chip: dict  # at, mask, value: where the chip's id is read, and what it must be
    tools: dict  # flash tool: the tool's name for this board, in order of preference
    emulation: dict  # name of a device: its model and the model's settings

    @cached_property
    def flash_range(self) -> range:
        """The addresses of flash memory."""
        return range(self.flash["at"], self.flash["at"] + self.flash["size"])

    @cached_property
    def ram_range(self) -> range:
        """The addresses of RAM."""
        return range(self.ram["at"], self.ram["at"] + self.ram["size"])


def read_description(path: Path) -> dict:
    """Return the fields of a board.yaml, all but name and folder; raise BadInput for a bad one."""
    fields = read_yaml(path)
    _check(fields, path)
    return fields


def _check(fields, path: Path) -> None:
    if not isinstance(fields, dict) or set(fields) != KEYS:
        raise BadInput(f"{path} must have the keys {', '.join(sorted(KEYS))}")
    if fields["core"] not in CORES:
        raise BadInput(f"{path}: core {fields['core']!r} is not one of {', '.join(CORES)}")
    for key, wanted in PARTS.items():
        if not isinstance(fields[key], dict) or not wanted <= set(fields[key]):
            raise BadInput(f"{path}: {key} must have {', '.join(sorted(wanted))}")
