"""Boards: a folder each under hardware_labs/boards/, built for and emulated here.

board.yaml names the core, clock and memory, what tells the chip from others, and the devices of its
emulation (devices.MODELS, with the addresses at which the chip has them).
"""

import importlib.util
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import yaml

from medlab.edge.boards import toolchain
from medlab.edge.boards.hardware_labs import find_hardware_labs, names, sources
from medlab.errors import BadInput

BUDGET = 1_000_000_000  # instructions: some ten seconds of emulation
OUT = "firmware.elf"
CORES = ("cortex-m4", "cortex-m7")
PARTS = {
    "flash": {"at", "size"},
    "ram": {"at", "size"},
    "chip": {"at", "mask", "value"},
    "tools": set(),
    "emulation": set(),
}
KEYS = {"title", "core", "clock_hz", "flash", "ram", "serial", "chip", "tools", "emulation"}


def load(name: str) -> "Board":
    """Read a board's folder; raise BadInput for an unknown name or a bad board.yaml."""
    if name not in names():
        raise BadInput(f"there is no board {name}: there are {', '.join(names())}")
    path = find_hardware_labs() / "boards" / name / "board.yaml"
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as problem:
        raise BadInput(f"{path} is no YAML: {str(problem).splitlines()[0]}") from None
    _check(said, path)
    return Board(name, path.parent, **{key: said[key] for key in sorted(KEYS)})


def _check(said, path: Path) -> None:
    if not isinstance(said, dict) or set(said) != KEYS:
        raise BadInput(f"{path} must have the keys {', '.join(sorted(KEYS))}")
    if said["core"] not in CORES:
        raise BadInput(f"{path}: core {said['core']!r} is none of {', '.join(CORES)}")
    for key, wanted in PARTS.items():
        if not isinstance(said[key], dict) or not wanted <= set(said[key]):
            raise BadInput(f"{path}: {key} must have {', '.join(sorted(wanted))}")


@dataclass(frozen=True)
class Board:
    """A board: what board.yaml says, and what can be done with it."""

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

    def build(
        self,
        sources: Sequence[Path],
        out: Path,
        defines: Mapping[str, object] | None = None,
        compiler: toolchain.Toolchain | None = None,
    ):
        """Compile C files with the board's start-up and lib/ into the ELF file out.

        Returns a Firmware. Folders of the sources are searched for headers. Raises BadInput for
        what does not compile.
        """
        _need("elftools", "pyelftools")
        from medlab.edge.boards.firmware import Firmware

        compiler = compiler or toolchain.find()
        library = find_hardware_labs() / "lib"
        own = [*sorted(library.glob("*.c")), *sorted(self.folder.glob("*.c"))]
        folders = dict.fromkeys([*(source.parent for source in sources), library, self.folder])
        _make_folder(out.parent)
        script = self.folder / "linker.ld"
        # Another process may be reading the last build of this file: it is replaced in one step.
        with (
            _written(out),
            tempfile.TemporaryDirectory(dir=out.parent, prefix=".building-") as unfinished,
        ):
            made = Path(unfinished) / out.name
            compiler.link(self.core, [*sources, *own], made, script, library, folders, defines)
            made.replace(out)
        firmware = Firmware(out, self.name, compiler.name)
        self._check_fit(firmware)
        return firmware

    def build_text(
        self,
        files: Mapping[str, str],
        defines: Mapping[str, object] | None = None,
        compiler: toolchain.Toolchain | None = None,
    ) -> bytes:
        """Compile C given as text, {name of a file: its text}, and return the ELF file's content.

        Raises BadInput for what does not compile, with the place as NAME:LINE:COLUMN.
        """
        _check_names(files)
        with tempfile.TemporaryDirectory(prefix="firmware-") as made:
            folder = Path(made).resolve()
            for name, text in files.items():
                (folder / name).write_text(text, encoding="utf-8")
            try:
                return self.build(sources(folder), folder / OUT, defines, compiler).elf.read_bytes()
            except BadInput as problem:
                raise BadInput(str(problem).replace(f"{folder}{os.sep}", "")) from None

    def run(
        self,
        firmware,
        feed: Sequence[int] = (),
        budget: int = BUDGET,
        watch: Sequence[str] = (),
        rises: Sequence[int] = (),
        lead_off: Sequence[range] = (),
        follow_arena: bool = False,
        follow_reads: str = "",
    ):
        """Run firmware on the emulated board, from reset to its end; return Run.

        feed: the sensor's samples, whole numbers from -32768 to 65535; after them the sensor has
        stopped. budget: instructions after which a firmware that goes on is stopped. watch: names
        of functions whose calls are counted one by one. rises: the cycles at which the board's line
        rises, which asks for an interrupt. lead_off: numbers of samples, from 0, at which the
        sensor's front end says that an electrode is off. follow_arena: note how much main writes of
        `arena`, a compiled model's memory; the run takes twice as long. follow_reads: name of a
        variable; note which of its bytes are read.
        """
        _need("unicorn", "unicorn")
        _need("capstone", "capstone")
        from medlab.edge.boards.emulator import machine
        from medlab.edge.boards.run import Run

        machine, outcome = machine.run(
            lambda: self.machine(
                firmware, feed, watch, rises, lead_off, follow_arena, follow_reads
            ),
            budget,
        )
        machine.release()
        sent = _sent(machine)
        return Run(self, firmware, sent.text, sent.at, _used(machine), budget, outcome)

    def machine(
        self,
        firmware,
        feed: Sequence[int] = (),
        watch: Sequence[str] = (),
        rises: Sequence[int] = (),
        lead_off: Sequence[range] = (),
        follow_arena: bool = False,
        follow_reads: str = "",
    ):
        """Return the emulated board with firmware in its flash, ready to run once."""
        from medlab.edge.boards.devices.sensor import Feed
        from medlab.edge.boards.emulator.machine import Machine

        _check_watched(firmware, watch)
        self._check_fit(firmware)
        self._check_loadable(firmware)
        machine = Machine(self.core, self.flash_range, self.ram_range, self._devices())
        self._set_rises(machine, rises)
        given = Feed(feed, lead_off)
        for device in machine.devices:
            if hasattr(device, "feed"):
                device.feed = given
        machine.load(firmware, watch)
        if follow_arena:
            machine.follow_arena()
        if follow_reads:
            machine.follow_reads(follow_reads)
        return machine

    def _set_rises(self, machine, rises: Sequence[int]) -> None:
        from medlab.edge.boards.devices.interrupts import Line

        lines = [device for device in machine.devices if isinstance(device, Line)]
        if len(rises) and not lines:
            raise BadInput(f"{self.name} has no line that could rise: take another board")
        for line in lines:
            line.rises = sorted(map(int, rises))

    @cached_property
    def flash_range(self) -> range:
        """The addresses of flash memory."""
        return range(self.flash["at"], self.flash["at"] + self.flash["size"])

    @cached_property
    def ram_range(self) -> range:
        """The addresses of RAM."""
        return range(self.ram["at"], self.ram["at"] + self.ram["size"])

    def _devices(self) -> list:
        from medlab.edge.boards.devices.models import MODELS
        from medlab.edge.boards.devices.registers import Registers

        id_word = Registers(self.chip["at"], 4, always={0: self.chip["value"]})
        made = [id_word]
        for name, said in self.emulation.items():
            settings = dict(said)
            try:
                made.append(MODELS[settings.pop("model")](**settings))
            except (KeyError, TypeError) as problem:
                raise BadInput(
                    f"{self.folder / 'board.yaml'}: emulation of {name}: {problem}"
                ) from None
        return made

    def _check_fit(self, firmware) -> None:
        for section in firmware.sections:
            if section.address not in self.flash_range and section.address not in self.ram_range:
                raise BadInput(
                    f"{firmware.elf.name}: section {section.name} at 0x{section.address:08x} lies "
                    f"outside the memory of {self.name}: put it into .text, .rodata, .data or .bss"
                )

    def _check_loadable(self, firmware) -> None:
        for address, content in firmware.segments:
            last = address + len(content) - 1
            if address not in self.flash_range or last not in self.flash_range:
                raise BadInput(f"{firmware.elf.name} does not fit into the flash of {self.name}")
        limit, top = (firmware.symbols.get(f"__stack_{end}", 0) for end in ("limit", "top"))
        if limit not in self.ram_range or not limit < top <= self.ram_range.stop:
            raise BadInput(f"{firmware.elf.name} has no stack: link it by the board's linker.ld")


def _check_names(files: Mapping[str, str]) -> None:
    for name, text in files.items():
        if Path(name).name != name or Path(name).suffix not in (".c", ".h"):
            raise BadInput(f"{name!r} is no name of a C file: one like kernel.c or kernel.h")
        if not isinstance(text, str):
            raise BadInput(f"{name} must be text, not {type(text).__name__}")
    if not any(name.endswith(".c") for name in files):
        raise BadInput("there is no C file: give at least one, such as {'main.c': '...'}")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        told = f"cannot make the folder {folder} ({problem.strerror})"
        raise BadInput(f"{told}: name another with --out") from None
    if not os.access(folder, os.W_OK):
        raise BadInput(f"cannot write into {folder}: make it writable, or name another with --out")


@contextmanager
def _written(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        mend = "make room and its folder writable, or name another file"
        raise BadInput(f"{out} cannot be written ({problem.strerror}): {mend}") from None


def _need(module: str, package: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise BadInput(f"{package} is not installed: pip install 'medlab[edge]'")


def _check_watched(firmware, watch: Sequence[str]) -> None:
    missing = [name for name in watch if name not in firmware.symbols]
    if missing:
        raise BadInput(
            f"{firmware.elf.name} has no function {missing[0]}: "
            "define it under this name; one that is static may be part of another"
        )


class _Sent(NamedTuple):
    text: bytes
    at: tuple[int, ...]  # the cycle of each byte


def _sent(machine) -> _Sent:
    from medlab.edge.boards.devices.serial import Serial

    ports = [device for device in machine.devices if isinstance(device, Serial)]
    at = (cycle for port in ports for cycle in port.sent_at)
    return _Sent(b"".join(bytes(port.sent) for port in ports), tuple(at))


def _used(machine) -> int:
    feeds = [device.feed for device in machine.devices if hasattr(device, "feed")]
    return feeds[0].used if feeds else 0
