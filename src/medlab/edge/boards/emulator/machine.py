"""A board in Python: unicorn runs the instructions, devices.py answers at the other addresses.

Counts instructions exactly: every block of instructions is decoded once, and counted each time it
runs. A conditional instruction counts whether or not its condition holds, as it does in qemu.
What is *not* covered: code in RAM that rewrites itself at the same length, interrupts other than
SysTick, PendSV and those of a line (exceptions.py), an interrupt between two instructions of one
block (it waits for the block's end), the memory protection unit, caches, wait states and everything
else that takes time.
"""

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import unicorn
from unicorn import arm_const as arm

from medlab.edge.boards.devices.flash_controllers import FlashController
from medlab.edge.boards.devices.interrupts import SVCALL, Source, SystemControl
from medlab.edge.boards.devices.registers import PAGE, Refused, Registers
from medlab.edge.boards.emulator.exceptions import Exceptions
from medlab.edge.boards.firmware import Firmware, Symbol
from medlab.errors import BadInput

CORES = {  # unicorn's model, and the CPUID that the core gives as its name
    "cortex-m4": (arm.UC_CPU_ARM_CORTEX_M4, 0x410FC241),
    "cortex-m7": (arm.UC_CPU_ARM_CORTEX_M7, 0x411FC272),
}
TRANSLATED = 32 << 20  # bytes for translated code; unicorn's own gigabyte is more than jails give
NEVER = 0xFFFFFFFE  # an address that no program reaches
PAINT = b"\xa5"
ARENA = "arena"  # what a compiled model calls the memory of its tensors
WFI = b"\x30\xbf"
EXCEPTION_EXIT = 8  # what unicorn reports when the core branches to an EXC_RETURN value
SUPERVISOR_CALL, BREAKPOINT, SEMIHOSTING = 2, 7, b"\xab\xbe"
SYS_EXIT, SYS_EXIT_EXTENDED, APPLICATION_EXIT = 0x18, 0x20, 0x20026
UNDEFINED = "an undefined instruction"
ERRORS = {unicorn.UC_ERR_INSN_INVALID: UNDEFINED}
TRAPS = {
    1: UNDEFINED,
    SUPERVISOR_CALL: "a supervisor call (SVC) while it may not interrupt, or which nothing handles",
    3: "an instruction fetch that failed",
    4: "a memory access that failed",
    18: "a jump to Arm code: this core knows Thumb alone",
    BREAKPOINT: "a breakpoint",
    EXCEPTION_EXIT: "a return from an interrupt that nobody entered",
}


@dataclass(frozen=True)
class Fault:
    """Why the core stopped, and where."""

    what: str
    pc: int
    function: str

    def __str__(self) -> str:
        return f"{self.what}, at pc 0x{self.pc:08x} in {self.function}"


class Block:
    """Instructions that run one after the other, and how often they did."""

    __slots__ = ("address", "code", "count", "end", "fell", "hits", "offsets")

    def __init__(self, address: int, code: bytes):
        self.address, self.code, self.end = address, code, address + len(code)
        self.offsets = tuple(instruction_offsets(code))
        self.count = len(self.offsets)
        self.hits = 0
        self.fell = 0  # times that the next block was simply the next address: no branch was taken


class Call(NamedTuple):
    """A call of a watched function that has not returned."""

    function: str
    back: int  # the address to which it returns
    stack: int
    before: int  # instructions until then


def instruction_offsets(code: bytes) -> Iterable[int]:
    """Yield where the instructions of Thumb code begin.

    A halfword whose five highest bits are 11101, 11110 or 11111 begins one of 32 bits.
    Source: Armv7-M Architecture Reference Manual, A5.1.
    """
    at = 0
    while at < len(code):
        yield at
        at += 4 if code[at + 1] >> 3 in (0b11101, 0b11110, 0b11111) else 2


@dataclass
class Outcome:
    """How a run ended: one of status, fault or out_of_budget says so."""

    status: int | None = None
    fault: Fault | None = None
    out_of_budget: bool = False
    instructions: int = 0
    slept: int = 0  # cycles in WFI
    stack_bytes: int = 0
    arena_bytes: int | None = None  # of the arena, up to the last that was written; None: not asked
    reads: set[int] | None = None  # which bytes of a followed object were read; None: not asked
    blocks: list[Block] = field(default_factory=list)
    calls: dict[str, list[int]] = field(default_factory=dict)


class Machine:
    """Memory, devices and a core with a program in it. Runs once."""

    def __init__(self, core: str, flash: range, ram: range, devices: list[Registers]):
        """Take the core's name, address ranges of flash and RAM, and the devices between them."""
        model, cpuid = CORES[core]
        self.uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        self.uc.ctl_set_cpu_model(model)
        self.uc.ctl_set_tcg_buffer_size(TRANSLATED)
        self.system = SystemControl(cpuid)
        self.devices = [self.system, *devices]
        self.system.sources = [device for device in devices if isinstance(device, Source)]
        self.flash, self.ram = flash, ram
        self.flash_controller = next((d for d in devices if isinstance(d, FlashController)), None)
        self.outcome = Outcome()
        self._blocks: dict[tuple[int, int], Block] = {}
        self._old_blocks: list[Block] = []
        self.last_block: Block | None = None
        self._watched: dict[int, str] = {}
        self._arena: Symbol | None = None
        self._open_calls: list[Call] = []
        self._return_to = None  # of the innermost open call
        self._traced: int | None = None
        self._trace_from = NEVER
        self._leaving = False  # a handler has returned
        self.exceptions = Exceptions(self.uc)
        self._set_up()

    # --- what devices may ask ---

    def read_memory(self, address: int, count: int) -> bytes:
        """Return bytes of flash or RAM."""
        return bytes(self.uc.mem_read(address, count))

    def write_memory(self, address: int, content: bytes) -> None:
        """Change bytes of flash or RAM; raise Refused where there is neither."""
        last = address + len(content) - 1
        if not any(address in part and last in part for part in (self.flash, self.ram)):
            raise Refused(f"a device would write to 0x{address:08x}, where there is no memory")
        self.uc.mem_write(address, content)
        self._forget_blocks(address, last)

    def cycles(self) -> int:
        """Return the time since reset: instructions run, and cycles slept."""
        return self.outcome.instructions + self.outcome.slept

    # --- building ---

    def _set_up(self) -> None:
        protection = unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC
        self.uc.mem_map(self.flash.start, len(self.flash), protection)
        self.uc.mem_map(self.ram.start, len(self.ram))
        self.uc.mem_write(self.flash.start, b"\xff" * len(self.flash))
        for device in self.devices:
            device.connect(self)
        if self.flash_controller:
            self.flash_controller.cover(self.flash.start)
        for page in sorted({page for d in self.devices for page in _pages(d)}):
            self.uc.mmio_map(page, PAGE, self._read_device, page, self._write_device, page)
        self.uc.hook_add(unicorn.UC_HOOK_BLOCK, self._on_block)
        self.uc.hook_add(unicorn.UC_HOOK_INTR, self._on_trap)
        self.uc.hook_add(unicorn.UC_HOOK_MEM_UNMAPPED, self._on_unmapped)
        self.uc.hook_add(unicorn.UC_HOOK_MEM_WRITE_PROT, self._on_flash_write)

    def load(self, firmware: Firmware, watch: Iterable[str] = ()) -> None:
        """Put a program into flash, paint the stack, and note which functions' calls to count."""
        self.firmware = firmware
        for address, content in firmware.segments:
            self.uc.mem_write(address, content)
        self._watched = {firmware.symbols[name]: name for name in watch}
        self.outcome.calls = {name: [] for name in watch}
        self._stack = range(*(firmware.symbols[f"__stack_{end}"] for end in ("limit", "top")))
        self.uc.mem_write(self._stack.start, PAINT * len(self._stack))

    def follow_arena(self) -> None:
        """Note how much of the arena main writes, if the program has one; runs take twice as long.

        Start-up does not count: it zeroes all of it.
        """
        known = self.firmware.objects
        self._arena = next((o for o in known if o.name == ARENA and o.address in self.ram), None)

    def follow_reads(self, name: str) -> None:
        """Note which bytes of a variable are read, counted from its first one.

        Raises BadInput if the program has none of this name, or several.
        """
        found = [o for o in self.firmware.objects if o.name == name and o.size]
        if len(found) != 1:
            raise BadInput(f"{self.firmware.elf.name} has {len(found)} variables {name}: needs one")
        start, last = found[0].address, found[0].address + found[0].size - 1
        self.outcome.reads = set()
        kind = unicorn.UC_HOOK_MEM_READ
        # A word may begin in front of the variable.
        self.uc.hook_add(kind, self._on_read, range(start, last + 1), start - 3, last)

    def _hook_arena(self) -> None:
        if self.outcome.arena_bytes is not None:
            return
        self.outcome.arena_bytes = 0
        last = self._arena.address + self._arena.size - 1
        kind = unicorn.UC_HOOK_MEM_WRITE
        self.uc.hook_add(kind, self._on_arena_write, None, self._arena.address, last)

    def trace_from(self, instructions: int) -> None:
        """After so many instructions follow the rest singly, so that a fault knows its own."""
        self._trace_from = instructions

    def release(self) -> None:
        """Give the core's memory back; what devices and the outcome know stays.

        Core and machine know each other, so that without this they wait for a collection.
        """
        self.uc = self.exceptions = None

    # --- running ---

    def run(self, budget: int) -> Outcome:
        """Run from reset until the program ends, faults, or has used its budget of instructions."""
        self._budget, self._deadline = budget, 0
        stack, pc = struct.unpack("<II", self.read_memory(self.flash.start, 8))
        self.uc.reg_write(arm.UC_ARM_REG_SP, stack)
        while not self._has_ended():
            pc = self._next_stretch(pc & ~1)
        painted = self.read_memory(self._stack.start, len(self._stack))
        self.outcome.stack_bytes = len(painted.lstrip(PAINT))
        self.outcome.blocks = [*self._old_blocks, *self._blocks.values()]
        return self.outcome

    def _has_ended(self) -> bool:
        out = self.outcome
        return out.status is not None or out.fault is not None or out.out_of_budget

    def _next_stretch(self, pc: int) -> int:
        """Run until the core sleeps, enters a handler or leaves one; return where it goes on."""
        try:
            self.uc.emu_start(pc | 1, NEVER)
            pc = self.uc.reg_read(arm.UC_ARM_REG_PC)
            return pc if self._has_ended() else self._go_on(pc)
        except unicorn.UcError as problem:
            self._stop(ERRORS.get(problem.errno, str(problem)))
            return pc

    def _go_on(self, pc: int) -> int:
        if self.outcome.instructions >= self._trace_from:
            self._trace_from = NEVER
            self.uc.hook_add(unicorn.UC_HOOK_CODE, self._on_instruction)
            self.uc.ctl_flush_tb()  # blocks translated before know nothing of the new hook
            return pc
        if self._leaving:
            self._leaving = False
            self.look_at_interrupts()
            number, back = self.exceptions.leave(pc)
            self.system.left(number)
            return back
        if number := self._due():
            self.system.pending.discard(number)
            vectors = self.system.words.get(self.system.VTOR, self.flash.start)
            return self.exceptions.enter(number, self.system.priority(number), pc, vectors)
        if self.read_memory(pc - 2, 2) == WFI:
            self._sleep()
        return pc

    def _sleep(self) -> None:
        while not self.system.priorities():
            wake = self.system.next_event()
            if wake is None:
                self._stop("sleeps for ever: WFI, and no interrupt is set to wake the core")
                return
            self.outcome.slept += max(0, wake - self.cycles())
            self.system.tick()
        self.look_at_interrupts()

    def look_at_interrupts(self) -> None:
        """See before the next block whether an interrupt is due."""
        self._deadline = 0

    def _due(self) -> int | None:
        self.system.tick()
        return self.exceptions.due(self.system.priorities())

    def _must_stop(self) -> bool:
        """Look, at a deadline, for what it was set: the budget, or an interrupt."""
        done = self.outcome.instructions
        if done >= self._budget:
            self.outcome.out_of_budget = True
        if self.outcome.out_of_budget or done >= self._trace_from or self._due():
            self.uc.emu_stop()
            return True
        event = self.system.next_event()
        wake = self._budget if event is None else event - self.outcome.slept
        # What is pending but masked may be let in by any block.
        held = self.system.priorities()
        self._deadline = 0 if held else min(self._budget, self._trace_from, wake)
        return False

    def _stop(self, what: str) -> None:
        if self._has_ended():
            return
        pc = self._traced or self.uc.reg_read(arm.UC_ARM_REG_PC)
        self.outcome.fault = Fault(what, pc, self.firmware.function_at(pc))
        self.uc.emu_stop()

    # --- what unicorn calls ---

    def _on_block(self, _uc, address: int, size: int, _data) -> None:
        outcome = self.outcome
        if outcome.instructions >= self._deadline and self._must_stop():
            return  # unicorn stops before this block
        block = self._blocks.get((address, size)) or self._new_block(address, size)
        last = self.last_block
        if last is not None and last.end == address:
            last.fell += 1
        self.last_block = block
        block.hits += 1
        if address in self._watched or address == self._return_to:
            self._note_call(address)
        outcome.instructions += block.count

    def _new_block(self, address: int, size: int) -> Block:
        block = self._blocks[address, size] = Block(address, self.read_memory(address, size))
        if self._arena and address == self.firmware.symbols.get("main"):
            self._hook_arena()
        return block

    def _forget_blocks(self, first: int, last: int) -> None:
        # What was decoded from rewritten code is no longer true; its counts stay.
        for key, block in list(self._blocks.items()):
            if block.address <= last and first < block.end:
                self._old_blocks.append(self._blocks.pop(key))

    def _note_call(self, address: int) -> None:
        now = self.outcome.instructions
        if address == self._return_to:
            call = self._open_calls.pop()
            self.outcome.calls[call.function].append(now - call.before)
        if address in self._watched and not self._is_loop(address):
            back, stack = self._return_and_stack()
            self._open_calls.append(Call(self._watched[address], back, stack, now))
        self._return_to = self._open_calls[-1].back if self._open_calls else None

    def _is_loop(self, address: int) -> bool:
        # A jump back to a function's first instruction: nothing was called in between.
        last = self._open_calls[-1] if self._open_calls else None
        here = (self._watched[address], *self._return_and_stack())
        return last is not None and (last.function, last.back, last.stack) == here

    def _return_and_stack(self) -> tuple[int, int]:
        lr, sp = (self.uc.reg_read(r) for r in (arm.UC_ARM_REG_LR, arm.UC_ARM_REG_SP))
        return lr & ~1, sp

    def _on_instruction(self, _uc, address: int, _size: int, _data) -> None:
        self._traced = address

    def _on_trap(self, _uc, number: int, _data) -> None:
        pc = self.uc.reg_read(arm.UC_ARM_REG_PC)
        if number == EXCEPTION_EXIT and self.exceptions.active:
            self._leaving = True
            self.uc.emu_stop()
        elif number == SUPERVISOR_CALL and self._may_call():
            self.uc.emu_stop()
        elif number == BREAKPOINT and self.read_memory(pc, 2) == SEMIHOSTING:
            self._on_semihosting()
        else:
            self._stop(TRAPS.get(number, f"exception {number}"))

    def _may_call(self) -> bool:
        """Make a supervisor call pending if its handler can be entered at once, as it must be."""
        vectors = self.system.words.get(self.system.VTOR, self.flash.start)
        vector = struct.unpack("<I", self.read_memory(vectors + 4 * SVCALL, 4))[0]
        if self.firmware.function_at(vector & ~1) == "Default_Handler":
            return False
        self.system.pending.add(SVCALL)
        return self._due() == SVCALL

    def _on_semihosting(self) -> None:
        operation, argument = (self.uc.reg_read(r) for r in (arm.UC_ARM_REG_R0, arm.UC_ARM_REG_R1))
        if operation == SYS_EXIT_EXTENDED:
            reason, status = struct.unpack("<Ii", self.read_memory(argument, 8))
        elif operation == SYS_EXIT:
            reason, status = argument, 0
        else:
            self._stop(f"semihosting operation 0x{operation:02x}, which is not emulated")
            return
        self.outcome.status = status if reason == APPLICATION_EXIT else 1
        self.uc.emu_stop()

    def _on_unmapped(self, _uc, access: int, address: int, size: int, _value: int, _data) -> bool:
        kind = _kind(access)
        self._stop(f"{kind} of {size} bytes at 0x{address:08x}, where there is nothing")
        return False

    def _on_arena_write(self, _uc, _access, address: int, size: int, _value: int, _data) -> None:
        used = address + size - self._arena.address
        if used > self.outcome.arena_bytes:
            self.outcome.arena_bytes = min(used, self._arena.size)

    def _on_read(self, _uc, _access, address: int, size: int, _value: int, room: range) -> None:
        seen = range(max(address, room.start), min(address + size, room.stop))
        self.outcome.reads.update(at - room.start for at in seen)

    def _on_flash_write(self, _uc, _access, address: int, size: int, value: int, _data) -> bool:
        content = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
        try:
            if self.flash_controller is None:
                raise Refused("this board's flash cannot be written")
            self.flash_controller.program(address, content)
        except Refused as problem:
            self._stop(f"write of {size} bytes to flash at 0x{address:08x}: {problem}")
            return False
        return True  # unicorn then drops the write itself: the controller has done it

    def _read_device(self, _uc, offset: int, size: int, page: int) -> int:
        address = page + offset
        device = self._device_at(address)
        if device is None:
            self._stop(f"read of {size} bytes at 0x{address:08x}, where there is nothing")
            return 0
        at = address - device.at
        return device.read(at & ~3) >> 8 * (at & 3) & (1 << 8 * size) - 1

    def _write_device(self, _uc, offset: int, size: int, value: int, page: int) -> None:
        address = page + offset
        device = self._device_at(address)
        if device is None:
            self._stop(f"write of {size} bytes at 0x{address:08x}, where there is nothing")
            return
        at = address - device.at
        shift, mask = 8 * (at & 3), (1 << 8 * size) - 1
        kept = device.words.get(at & ~3, 0) & ~(mask << shift) if size < 4 else 0
        try:
            device.write(at & ~3, kept | (value & mask) << shift)
        except Refused as problem:
            self._stop(f"write to 0x{address:08x}: {problem}")

    def _device_at(self, address: int) -> Registers | None:
        return next((d for d in self.devices if d.at <= address < d.at + d.size), None)


def _pages(device: Registers) -> range:
    return range(device.at & -PAGE, device.at + device.size, PAGE)


def _kind(access: int) -> str:
    fetches = (unicorn.UC_MEM_FETCH_UNMAPPED, unicorn.UC_MEM_FETCH_PROT)
    if access in fetches:
        return "fetch of an instruction"
    return "write" if access == unicorn.UC_MEM_WRITE_UNMAPPED else "read"


def run(make: Callable[[], Machine], budget: int) -> tuple[Machine, Outcome]:
    """Run a machine; after a fault, run another like it to learn the very instruction.

    Between instructions of a block unicorn does not keep the program counter. A run is repeatable,
    so that the second one may follow the faulty block step by step.
    """
    machine = make()
    outcome = machine.run(budget)
    if outcome.fault is None or machine.last_block is None:
        return machine, outcome
    before = outcome.instructions - machine.last_block.count
    machine.release()
    machine = make()
    machine.trace_from(before)
    outcome = machine.run(budget)
    _take_back_unreached(outcome, machine.last_block)
    return machine, outcome


def _take_back_unreached(outcome: Outcome, block: Block) -> None:
    """Count of the block that faulted only what was reached: the fault's own instruction is."""
    pc = outcome.fault.pc if outcome.fault else None
    if pc is None or not block.address <= pc < block.end:
        return
    reached = Block(block.address, block.code[: pc - block.address + 2])
    block.hits, reached.hits, reached.fell = block.hits - 1, 1, 1
    outcome.instructions -= block.count - reached.count
    outcome.blocks.append(reached)
