"""The processor: unicorn's engine from reset to the program's end, with sleep and interrupts.

Not covered: interrupts other than SysTick, PendSV, SVC and those of a line or a stream
(exceptions.py), and an interrupt between two instructions of one block: it waits for its end.
"""

import struct

import unicorn
from unicorn import arm_const as arm

from medlab.edge.boards.devices.interrupts import SVCALL
from medlab.edge.boards.devices.system_control import SystemControl
from medlab.edge.boards.emulator import faults
from medlab.edge.boards.emulator.bus import Bus
from medlab.edge.boards.emulator.exceptions import Exceptions
from medlab.edge.boards.emulator.faults import Fault
from medlab.edge.boards.emulator.profiler import Profiler
from medlab.edge.boards.emulator.tracer import Tracer
from medlab.edge.boards.firmware import Firmware

MODELS = {  # unicorn's model, and the CPUID that the core gives as its name
    "cortex-m4": (arm.UC_CPU_ARM_CORTEX_M4, 0x410FC241),
    "cortex-m7": (arm.UC_CPU_ARM_CORTEX_M7, 0x411FC272),
}
TRANSLATED = 32 << 20  # bytes for translated code; unicorn's own gigabyte exceeds a sandbox's limit
NEVER = 0xFFFFFFFE  # an address that no program reaches, a count that no run reaches
WFI, SEMIHOSTING = b"\x30\xbf", b"\xab\xbe"
SYS_EXIT, SYS_EXIT_EXTENDED, APPLICATION_EXIT = 0x18, 0x20, 0x20026


def new_engine(core: str) -> unicorn.Uc:
    """Return unicorn's engine for a core by its name."""
    uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
    uc.ctl_set_cpu_model(MODELS[core][0])
    uc.ctl_set_tcg_buffer_size(TRANSLATED)
    return uc


class Core:
    """Runs a program once; then one of exit_status, fault and out_of_budget is set.

    trace_from: after so many instructions the rest is followed singly, so that a fault knows its
    own. slept: cycles in WFI.
    """

    firmware: Firmware

    def __init__(
        self, uc: unicorn.Uc, bus: Bus, profiler: Profiler, tracer: Tracer, system: SystemControl
    ):
        """Take the engine and the parts around it."""
        self.uc, self.bus, self.profiler, self.tracer = uc, bus, profiler, tracer
        self.system, self.exceptions = system, Exceptions(uc)
        self.exit_status: int | None = None
        self.fault: Fault | None = None
        self.out_of_budget = False
        self.slept, self.trace_from = 0, NEVER
        self._budget = 0
        self._leaving = False  # a handler has returned
        profiler.at_deadline = self._stops_here
        bus.on_fault = self.stop
        uc.hook_add(unicorn.UC_HOOK_INTR, self._on_trap)

    def run(self, budget: int) -> None:
        """Run from reset until the program ends, faults, or has used its budget of instructions."""
        self._budget = budget
        stack, pc = struct.unpack("<II", self.bus.read(self.bus.flash.start, 8))
        self.uc.reg_write(arm.UC_ARM_REG_SP, stack)
        while not self._has_ended():
            pc = self._run_stretch(pc & ~1)

    def cycles(self) -> int:
        """Return the time since reset: instructions run, and cycles slept."""
        return self.profiler.instructions + self.slept

    def look_at_interrupts(self) -> None:
        """See before the next block whether an interrupt is due."""
        self.profiler.deadline = 0

    def stop(self, what: str) -> None:
        """End the run with a fault, unless it has ended already."""
        if self._has_ended():
            return
        pc = self.tracer.pc or self.uc.reg_read(arm.UC_ARM_REG_PC)
        self.fault = Fault(what, pc, self.firmware.function_at(pc))
        self.uc.emu_stop()

    def _has_ended(self) -> bool:
        return self.exit_status is not None or self.fault is not None or self.out_of_budget

    def _run_stretch(self, pc: int) -> int:
        """Run until the core sleeps, enters a handler or leaves one; return where it goes on."""
        try:
            self.uc.emu_start(pc | 1, NEVER)
            pc = self.uc.reg_read(arm.UC_ARM_REG_PC)
            return pc if self._has_ended() else self._go_on(pc)
        except unicorn.UcError as problem:
            undefined = problem.errno == unicorn.UC_ERR_INSN_INVALID
            self.stop(faults.UNDEFINED if undefined else str(problem))
            return pc

    def _go_on(self, pc: int) -> int:
        if self.profiler.instructions >= self.trace_from:
            self.trace_from = NEVER
            self.tracer.follow_instructions()
            return pc
        if self._leaving:
            self._leaving = False
            self.look_at_interrupts()
            number, back = self.exceptions.leave(pc)
            self.system.left(number)
            return back
        if number := self._due():
            self.system.pending.discard(number)
            priority = self.system.priority(number)
            return self.exceptions.enter(number, priority, pc, self._vectors())
        if self.bus.read(pc - 2, 2) == WFI:
            self._sleep()
        return pc

    def _sleep(self) -> None:
        while not self.system.priorities():
            wake = self.system.next_event()
            if wake is None:
                self.stop("sleeps forever: WFI, and no interrupt is set to wake the core")
                return
            self.slept += max(0, wake - self.cycles())
            self.system.tick()
        self.look_at_interrupts()

    def _due(self) -> int | None:
        self.system.tick()
        return self.exceptions.due(self.system.priorities())

    def _vectors(self) -> int:
        return self.system.words.get(self.system.VTOR, self.bus.flash.start)

    def _stops_here(self) -> bool:
        """Look, at a deadline, for what it was set: the budget, or an interrupt."""
        done = self.profiler.instructions
        if done >= self._budget:
            self.out_of_budget = True
        if self.out_of_budget or done >= self.trace_from or self._due():
            self.uc.emu_stop()
            return True
        event = self.system.next_event()
        wake = self._budget if event is None else event - self.slept
        # What is pending but masked may be let in by any block.
        held = self.system.priorities()
        self.profiler.deadline = 0 if held else min(self._budget, self.trace_from, wake)
        return False

    def _on_trap(self, _uc, number: int, _data) -> None:
        pc = self.uc.reg_read(arm.UC_ARM_REG_PC)
        if number == faults.EXCEPTION_EXIT and self.exceptions.active:
            self._leaving = True
            self.uc.emu_stop()
        elif number == faults.SUPERVISOR_CALL and self._may_call():
            self.uc.emu_stop()
        elif number == faults.BREAKPOINT and self.bus.read(pc, 2) == SEMIHOSTING:
            self._on_semihosting()
        else:
            self.stop(faults.TRAPS.get(number, f"exception {number}"))

    def _may_call(self) -> bool:
        """Make a supervisor call pending if its handler can be entered at once, as it must be."""
        vector = struct.unpack("<I", self.bus.read(self._vectors() + 4 * SVCALL, 4))[0]
        if self.firmware.function_at(vector & ~1) == "Default_Handler":
            return False
        self.system.pending.add(SVCALL)
        return self._due() == SVCALL

    def _on_semihosting(self) -> None:
        operation, argument = (self.uc.reg_read(r) for r in (arm.UC_ARM_REG_R0, arm.UC_ARM_REG_R1))
        if operation == SYS_EXIT_EXTENDED:
            reason, status = struct.unpack("<Ii", self.bus.read(argument, 8))
        elif operation == SYS_EXIT:
            reason, status = argument, 0
        else:
            self.stop(f"semihosting operation 0x{operation:02x}, which is not emulated")
            return
        self.exit_status = status if reason == APPLICATION_EXIT else 1
        self.uc.emu_stop()
