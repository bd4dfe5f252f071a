"""The core's own page: SysTick, and which interrupts are enabled and pending."""

from medlab.edge.boards.devices.interrupts import (
    FIRST_INTERRUPT,
    PENDSV,
    SVCALL,
    SYSTICK,
    InterruptSource,
)
from medlab.edge.boards.devices.registers import PAGE, Registers


class SystemControl(Registers):
    """The core's own page: its name, SysTick, and which interrupts are enabled and pending.

    Source: Armv7-M Architecture Reference Manual, B3.2 to B3.4. SysTick counts the machine's
    cycles, one for each instruction; a reading is as of the end of its block of instructions.
    """

    AT, CPUID, ICSR, VTOR, SHPR2, SHPR3 = 0xE000E000, 0xD00, 0xD04, 0xD08, 0xD1C, 0xD20
    CSR, RVR, CVR = 0x10, 0x14, 0x18
    ENABLE, TICKINT, COUNTFLAG = 1, 2, 1 << 16
    SETS = ((1 << 28, PENDSV), (1 << 26, SYSTICK))  # bits of ICSR
    CLEARS = ((1 << 27, PENDSV), (1 << 25, SYSTICK))
    ISER, ICER, ISPR, ICPR, IPR = 0x100, 0x180, 0x200, 0x280, 0x400  # of the interrupt controller
    MOST = 240  # interrupts that it can have

    def __init__(self, cpuid: int):
        super().__init__(self.AT, PAGE)
        self.cpuid = cpuid
        self.started = 0  # the machine's cycles when the counter was last set to its reload value
        self.wraps_read = 0  # wraps that a reading of COUNTFLAG has reported
        self.wraps_pended = 0  # wraps that have made the interrupt pending
        self.pending: set[int] = set()
        self.enabled = {SVCALL, PENDSV, SYSTICK}
        self.sources: list[InterruptSource] = []

    def read(self, offset: int) -> int:
        if self._is_controller(offset):
            return self._read_controller(offset)
        if offset == self.CPUID:
            return self.cpuid
        if offset == self.CVR:
            return self._left()
        if offset == self.CSR:
            return self._status()
        if offset == self.ICSR:
            self.tick()
            return sum(bit for bit, number in self.SETS if number in self.pending)
        return super().read(offset)

    def write(self, offset: int, value: int) -> None:
        self.tick()
        was_on = self._on()
        if self._is_controller(offset):
            self._write_controller(offset, value)
        else:
            super().write(offset, value)
        if offset == self.CVR or (offset == self.CSR and self._on() and not was_on):
            self.started = self.machine.cycles()
            self.wraps_read = self.wraps_pended = 0
        if offset == self.ICSR:
            self.pending |= {number for bit, number in self.SETS if value & bit}
            self.pending -= {number for bit, number in self.CLEARS if value & bit}
        self.machine.look_at_interrupts()

    def tick(self) -> None:
        """Make pending what has asked since the last look: SysTick's wrap, a source's event."""
        for source in self.sources:
            if source.rise(self.machine.cycles()):
                self.pending.add(source.number)
        if self._on() and self._wraps() > self.wraps_pended:
            self.wraps_pended = self._wraps()
            if self.words.get(self.CSR, 0) & self.TICKINT:
                self.pending.add(SYSTICK)

    def priorities(self) -> dict[int, int]:
        """Return the priority of each enabled pending interrupt; 0 is the highest."""
        return {number: self.priority(number) for number in self.pending & self.enabled}

    def left(self, number: int) -> None:
        """Make a handler's interrupt pending again if its source still asks."""
        self.pending.update(
            source.number for source in self.sources if source.number == number and source.asks()
        )

    def priority(self, number: int) -> int:
        """Return an interrupt's priority, as set in SHPR2, SHPR3 or IPR."""
        if number >= FIRST_INTERRUPT:
            at = number - FIRST_INTERRUPT
            return self.words.get(self.IPR + (at & ~3), 0) >> 8 * (at & 3) & 0xFF
        places = {SVCALL: (self.SHPR2, 24), PENDSV: (self.SHPR3, 16)}
        offset, shift = places.get(number, (self.SHPR3, 24))
        return self.words.get(offset, 0) >> shift & 0xFF

    def next_event(self) -> int | None:
        """Return the cycle of the next wrap of SysTick or event of a source; None if none comes."""
        rises = [source.next_rise() for source in self.sources]
        return min((at for at in (self._next_wrap(), *rises) if at is not None), default=None)

    def _next_wrap(self) -> int | None:
        if not self._on() or not self.words.get(self.CSR, 0) & self.TICKINT:
            return None
        return self.started + (self._wraps() + 1) * self._period()

    def _is_controller(self, offset: int) -> bool:
        return self.ISER <= offset < self.IPR

    def _numbers(self, offset: int) -> range:
        """Return the exception numbers of the 32 interrupts that a word holds."""
        first = FIRST_INTERRUPT + 8 * (offset & 0x7F)
        return range(first, min(first + 32, FIRST_INTERRUPT + self.MOST))

    def _read_controller(self, offset: int) -> int:
        self.tick()
        which = {self.ISER: self.enabled, self.ICER: self.enabled}
        which |= {self.ISPR: self.pending, self.ICPR: self.pending}
        found = which.get(offset & ~0x7F, set())
        return sum(1 << i for i, number in enumerate(self._numbers(offset)) if number in found)

    def _write_controller(self, offset: int, value: int) -> None:
        named = {n for i, n in enumerate(self._numbers(offset)) if value >> i & 1}
        kind = offset & ~0x7F
        if kind == self.ISER:
            self.enabled |= named
        elif kind == self.ICER:
            self.enabled -= named
        elif kind == self.ISPR:
            self.pending |= named
        elif kind == self.ICPR:
            self.pending -= named

    def _on(self) -> bool:
        return bool(self.words.get(self.CSR, 0) & self.ENABLE) and self._period() > 1

    def _period(self) -> int:
        return (self.words.get(self.RVR, 0) & 0xFFFFFF) + 1

    def _wraps(self) -> int:
        return (self.machine.cycles() - self.started) // self._period()

    def _left(self) -> int:
        if not self._on():
            return 0
        return (-(self.machine.cycles() - self.started)) % self._period()

    def _status(self) -> int:
        word = self.words.get(self.CSR, 0) & 0b111
        if self._on() and self._wraps() > self.wraps_read:
            self.wraps_read = self._wraps()
            word |= self.COUNTFLAG
        return word
