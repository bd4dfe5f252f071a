"""A linked program: the sections, functions and memory of its ELF file."""

import bisect
import io
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from medlab.errors import BadInput

ALLOCATED, WRITABLE = 0x2, 0x1
FUNCTION, OBJECT = "STT_FUNC", "STT_OBJECT"


@dataclass(frozen=True)
class Section:
    """A part of the program in the board's memory; addresses and sizes in bytes."""

    name: str
    address: int
    size: int
    in_flash: bool  # .data is in both: kept in flash, copied to RAM at reset
    in_ram: bool


@dataclass(frozen=True)
class Symbol:
    """A named function or object; size in bytes, 0 where the compiler gave none."""

    name: str
    address: int
    size: int


@dataclass(frozen=True)
class Firmware:
    """An ELF file, for which board it was built, and by which compiler."""

    elf: Path
    board: str
    compiler: str
    # In place of the file, if there is none.
    content: bytes | None = field(default=None, repr=False)

    @classmethod
    def from_bytes(cls, elf: bytes, board: str, compiler: str = "unknown") -> "Firmware":
        """Return the firmware whose ELF file has this content.

        The file is read when a property is first used. A malicious one can keep the reader busy
        forever: apart.run reads such firmware in a child process.
        """
        return cls(Path("firmware.elf"), board, compiler, bytes(elf))

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """The sections that take room on the board, by address."""
        return tuple(sorted(self._read(_sections), key=lambda s: s.address))

    @cached_property
    def symbols(self) -> dict[str, int]:
        """Every named address, such as __stack_top; of functions without the Thumb bit."""
        return {name: address for name, address, *_ in self._read(_symbols)}

    @cached_property
    def functions(self) -> tuple[Symbol, ...]:
        """The functions by address."""
        return self._of_kind(FUNCTION)

    @cached_property
    def objects(self) -> tuple[Symbol, ...]:
        """The variables and constants by address."""
        return self._of_kind(OBJECT)

    @cached_property
    def segments(self) -> tuple[tuple[int, bytes], ...]:
        """What is loaded into flash: (address, content), by address."""
        return tuple(sorted(self._read(_segments)))

    @property
    def flash_bytes(self) -> int:
        """Bytes that the program keeps in flash: code, constants and first values of variables."""
        return sum(section.size for section in self.sections if section.in_flash)

    @property
    def ram_bytes(self) -> int:
        """Bytes of RAM that variables take, without the stack."""
        return sum(section.size for section in self.sections if section.in_ram)

    def function_at(self, address: int) -> str:
        """Return the name of the function that holds an address, '?' if none does."""
        number = bisect.bisect_right(self._starts, address) - 1
        if number < 0:
            return "?"
        found = self.functions[number]
        return "?" if found.size and address >= found.address + found.size else found.name

    def image(self) -> tuple[int, bytes]:
        """Return the address of the first byte in flash, and all from there on; gaps are 0xFF."""
        start = self.segments[0][0]
        end = max(at + len(content) for at, content in self.segments)
        image = bytearray(b"\xff" * (end - start))
        for at, content in self.segments:
            image[at - start : at - start + len(content)] = content
        return start, bytes(image)

    @cached_property
    def _starts(self) -> list[int]:
        return [function.address for function in self.functions]

    def _of_kind(self, wanted: str) -> tuple[Symbol, ...]:
        # Of two names for one address the stronger comes last: function_at finds that one.
        found = sorted(self._read(_symbols), key=lambda symbol: (symbol[1], symbol[4]))
        return tuple(Symbol(n, at, size) for n, at, size, kind, _ in found if kind == wanted)

    def _open(self):
        return self.elf.open("rb") if self.content is None else io.BytesIO(self.content)

    def _read(self, part):
        try:
            with self._open() as file:
                return list(part(ELFFile(file)))
        except OSError as problem:
            raise BadInput(f"cannot read {self.elf}: {problem.strerror}") from None
        except ELFError as problem:
            raise BadInput(f"{self.elf} is not an ELF file ({problem}): build it again") from None


def _sections(elf: ELFFile):
    for section in elf.iter_sections():
        flags, size = section["sh_flags"], section["sh_size"]
        if flags & ALLOCATED and size:
            in_ram = bool(flags & WRITABLE)
            in_flash = section["sh_type"] != "SHT_NOBITS"
            yield Section(section.name, section["sh_addr"], size, in_flash, in_ram)


def _symbols(elf: ELFFile):
    table = elf.get_section_by_name(".symtab")
    for symbol in table.iter_symbols() if table else ():
        kind = symbol["st_info"]["type"]
        # "$t" and the like mark where code and data begin; they name nothing. An undefined
        # weak name is in the table, and has no address.
        is_mark = symbol.name.startswith("$") or kind == "STT_FILE"
        if symbol.name and not is_mark and symbol["st_shndx"] != "SHN_UNDEF":
            address = symbol["st_value"] & (~1 if kind == FUNCTION else ~0)
            is_strong = symbol["st_info"]["bind"] != "STB_WEAK"
            yield symbol.name, address, symbol["st_size"], kind, is_strong


def _segments(elf: ELFFile):
    for segment in elf.iter_segments():
        if segment["p_type"] == "PT_LOAD" and segment["p_filesz"]:
            yield segment["p_paddr"], segment.data()
