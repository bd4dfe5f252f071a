"""What a run records on request: arena writes, reads of a variable, single instructions."""

import unicorn

from medlab.edge.boards.emulator.profiler import Profiler
from medlab.edge.boards.firmware import Firmware, Symbol
from medlab.errors import BadInput

ARENA = "arena"  # what a compiled model calls the memory of its tensors


class Tracer:
    """Follows accesses and instructions; what is not followed costs nothing.

    arena_bytes: of the arena, up to the last byte that was written; None if not followed.
    reads: which bytes of the followed variable were read, from 0; None if none is followed.
    pc: the instruction that runs, once instructions are followed singly; None before.
    """

    def __init__(self, uc: unicorn.Uc, profiler: Profiler):
        """Take unicorn's engine, and the profiler, which knows when main begins."""
        self.uc, self.profiler = uc, profiler
        self.arena_bytes: int | None = None
        self.reads: set[int] | None = None
        self.pc: int | None = None

    def follow_arena(self, firmware: Firmware, ram: range) -> None:
        """Record how much of the arena main writes, if there is one; the run takes twice as long.

        Start-up does not count: it zeroes all of it.
        """
        found = [o for o in firmware.objects if o.name == ARENA and o.address in ram]
        if found and "main" in firmware.symbols:
            begin = firmware.symbols["main"]
            self.profiler.when_first_run[begin] = lambda: self._hook_arena(found[0])

    def follow_reads(self, firmware: Firmware, name: str) -> None:
        """Record which bytes of a variable are read, counted from its first one.

        Raises BadInput if the program has none of this name, or several.
        """
        found = [o for o in firmware.objects if o.name == name and o.size]
        if len(found) != 1:
            raise BadInput(
                f"{firmware.elf.name} has {len(found)} variables {name}: there must be one"
            )
        start, last = found[0].address, found[0].address + found[0].size - 1
        self.reads = set()
        kind = unicorn.UC_HOOK_MEM_READ
        # A word may begin in front of the variable.
        self.uc.hook_add(kind, self._on_read, range(start, last + 1), start - 3, last)

    def follow_instructions(self) -> None:
        """Record from here on which instruction runs: in a block unicorn keeps no exact pc."""
        self.uc.hook_add(unicorn.UC_HOOK_CODE, self._on_instruction)
        self.uc.ctl_flush_tb()  # blocks translated before know nothing of the new hook

    def _hook_arena(self, arena: Symbol) -> None:
        self.arena_bytes = 0
        last = arena.address + arena.size - 1
        kind = unicorn.UC_HOOK_MEM_WRITE
        self.uc.hook_add(kind, self._on_arena_write, arena, arena.address, last)

    def _on_arena_write(self, _uc, _access, address: int, size: int, _value, arena: Symbol) -> None:
        used = address + size - arena.address
        if used > self.arena_bytes:
            self.arena_bytes = min(used, arena.size)

    def _on_read(self, _uc, _access, address: int, size: int, _value: int, room: range) -> None:
        read = range(max(address, room.start), min(address + size, room.stop))
        self.reads.update(at - room.start for at in read)

    def _on_instruction(self, _uc, address: int, _size: int, _data) -> None:
        self.pc = address
