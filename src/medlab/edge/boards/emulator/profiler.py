"""Exact counts of a run: instructions, blocks, calls of watched functions, and the stack's depth.

Every block of instructions is decoded once, and counted each time it runs. A conditional
instruction counts whether or not its condition holds, as it does in qemu. Not covered: code in RAM
that rewrites itself at the same length.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

import unicorn
from unicorn import arm_const as arm

from medlab.edge.boards.emulator.blocks import Block
from medlab.edge.boards.firmware import Firmware

PAINT = b"\xa5"


class Call(NamedTuple):
    """A call of a watched function that has not returned."""

    function: str
    back: int  # the address to which it returns
    stack: int
    before: int  # instructions until then


class Profiler:
    """Counts what runs.

    at_deadline is called before the first block that begins with `deadline` instructions done; it
    returns whether the core stops in front of that block. when_first_run maps an address to what is
    called when the block there runs for the first time.
    """

    at_deadline: Callable[[], bool]

    def __init__(self, uc: unicorn.Uc):
        """Take unicorn's engine."""
        self.uc = uc
        self.instructions, self.deadline = 0, 0
        self.last_block: Block | None = None
        self.when_first_run: dict[int, Callable[[], None]] = {}
        self.calls: dict[str, list[int]] = {}
        self._blocks: dict[tuple[int, int], Block] = {}
        self._old_blocks: list[Block] = []
        self._partial_blocks: list[Block] = []
        self._watched: dict[int, str] = {}
        self._open_calls: list[Call] = []
        self._return_to = None  # of the innermost open call
        self._stack = range(0)
        uc.hook_add(unicorn.UC_HOOK_BLOCK, self._on_block)

    def watch(self, firmware: Firmware, functions: Iterable[str]) -> None:
        """Count the calls of these functions one by one."""
        self._watched = {firmware.symbols[name]: name for name in functions}
        self.calls = {name: [] for name in functions}

    def paint_stack(self, firmware: Firmware) -> None:
        """Fill the stack with a pattern, so that stack_bytes can find what was written."""
        self._stack = range(*(firmware.symbols[f"__stack_{end}"] for end in ("limit", "top")))
        self.uc.mem_write(self._stack.start, PAINT * len(self._stack))

    def stack_bytes(self) -> int:
        """Return the most bytes that the stack has held."""
        return len(bytes(self.uc.mem_read(self._stack.start, len(self._stack))).lstrip(PAINT))

    def blocks(self) -> list[Block]:
        """Return every block that ran."""
        return [*self._old_blocks, *self._blocks.values(), *self._partial_blocks]

    def by_function(self, firmware: Firmware) -> dict[str, int]:
        """Return the instructions run in each function itself, the most first."""
        counts = Counter()
        for block in self.blocks():
            for offset in block.offsets:
                counts[firmware.function_at(block.address + offset)] += block.hits
        return dict(counts.most_common())

    def forget_blocks(self, first: int, last: int) -> None:
        """Decode again what lies between two addresses, since it was rewritten; counts stay."""
        for key, block in list(self._blocks.items()):
            if block.address <= last and first < block.end:
                self._old_blocks.append(self._blocks.pop(key))

    def take_back_unreached(self, pc: int) -> None:
        """Count of the last block only what was reached, up to the instruction at pc."""
        block = self.last_block
        if block is None or not block.address <= pc < block.end:
            return
        reached = Block(block.address, block.code[: pc - block.address + 2], hits=1, fell=1)
        block.hits -= 1
        self.instructions -= block.count - reached.count
        self._partial_blocks.append(reached)

    def _on_block(self, _uc, address: int, size: int, _data) -> None:
        if self.instructions >= self.deadline and self.at_deadline():
            return  # unicorn stops before this block
        block = self._blocks.get((address, size)) or self._new_block(address, size)
        last = self.last_block
        if last is not None and last.end == address:
            last.fell += 1
        self.last_block = block
        block.hits += 1
        if address in self._watched or address == self._return_to:
            self._note_call(address)
        self.instructions += block.count

    def _new_block(self, address: int, size: int) -> Block:
        block = self._blocks[address, size] = Block(address, bytes(self.uc.mem_read(address, size)))
        if address in self.when_first_run:
            self.when_first_run.pop(address)()
        return block

    def _note_call(self, address: int) -> None:
        if address == self._return_to:
            call = self._open_calls.pop()
            self.calls[call.function].append(self.instructions - call.before)
        if address in self._watched and not self._is_loop(address):
            back, stack = self._return_and_stack()
            call = Call(self._watched[address], back, stack, self.instructions)
            self._open_calls.append(call)
        self._return_to = self._open_calls[-1].back if self._open_calls else None

    def _is_loop(self, address: int) -> bool:
        # A jump back to a function's first instruction: nothing was called in between.
        last = self._open_calls[-1] if self._open_calls else None
        here = (self._watched[address], *self._return_and_stack())
        return last is not None and (last.function, last.back, last.stack) == here

    def _return_and_stack(self) -> tuple[int, int]:
        lr, sp = (self.uc.reg_read(r) for r in (arm.UC_ARM_REG_LR, arm.UC_ARM_REG_SP))
        return lr & ~1, sp
