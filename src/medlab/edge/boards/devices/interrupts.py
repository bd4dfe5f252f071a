"""What interrupts the core: a line's edge, a DMA stream, SysTick, and the page that orders them."""

from medlab.edge.boards.devices.registers import PAGE, Refused, Registers
from medlab.edge.boards.devices.sensor import Feed

FIRST_INTERRUPT = 16  # exception number of a chip's interrupt 0
SVCALL, PENDSV, SYSTICK = 11, 14, 15


class Source(Registers):
    """A device that asks for an interrupt as time passes; number is the exception's."""

    number: int

    def rise(self, now: int) -> bool:
        """Let happen what is due up to now; return whether the device newly asks."""
        raise NotImplementedError

    def asks(self) -> bool:
        """Tell whether the device asks for its interrupt now."""
        raise NotImplementedError

    def next_rise(self) -> int | None:
        """Return the cycle of the next event; None if none comes."""
        raise NotImplementedError


class Line(Source):
    """A pin whose rising edges ask for an interrupt, through a controller such as ST's EXTI.

    Its bit in the register pending is set by an edge that the register rising selects, and cleared
    by writing a one; while it is set and the register mask lets it through, it asks. An edge that
    comes while the bit is still set leaves no trace of its own. Source: RM0090, 12.
    """

    def __init__(self, at: int, bit: int, interrupt: int, mask: int, rising: int, pending: int):
        """Take an address, the pin's bit, the interrupt's number, offsets of three registers."""
        super().__init__(at)
        self.bit, self.number = 1 << bit, FIRST_INTERRUPT + interrupt
        self.mask, self.rising, self.pending = mask, rising, pending
        self.rises: list[int] = []  # the cycles at which the pin will rise, in order
        self.risen = 0

    def write(self, offset: int, value: int) -> None:
        self.rise(self.machine.cycles())
        if offset == self.pending:
            value = self.words.get(offset, 0) & ~value
        super().write(offset, value)

    def rise(self, now: int) -> bool:
        """Let the edges up to now happen; return whether one of them newly asks."""
        before = self.risen
        while self.risen < len(self.rises) and self.rises[self.risen] <= now:
            self.risen += 1
        if self.risen == before or not self.words.get(self.rising, 0) & self.bit:
            return False
        self.words[self.pending] = self.words.get(self.pending, 0) | self.bit
        return self.asks()

    def asks(self) -> bool:
        """Tell whether the line asks for its interrupt now."""
        return bool(self.words.get(self.pending, 0) & self.words.get(self.mask, 0) & self.bit)

    def next_rise(self) -> int | None:
        """Return the cycle of the next edge; None after the last one."""
        return self.rises[self.risen] if self.risen < len(self.rises) else None


class Stream(Source):
    """A DMA stream that puts samples into a ring in memory, one every so many cycles.

    It is ST's stream 0 in circular mode; in the chip a timer paces the converter, here the board's
    file does. Bits of LISR tell that half of the ring, or all of it, has been filled. Nobody asks
    whether the program has read what is overwritten. Source: RM0090, 10.
    """

    LISR, LIFCR, CR, NDTR, M0AR = 0x00, 0x08, 0x10, 0x14, 0x1C
    ENABLE, ERROR, HALF, FULL = 1, 1 << 3, 1 << 4, 1 << 5
    LETS_THROUGH = ((HALF, 1 << 3), (FULL, 1 << 4))  # flags, and bits of CR that let them ask

    def __init__(self, at: int, interrupt: int, every: int):
        """Take an address, the interrupt's number, and the cycles from one sample to the next."""
        super().__init__(at)
        self.number, self.every = FIRST_INTERRUPT + interrupt, every
        self.feed = Feed()
        self.length, self.moved = 0, 0  # of the ring, and samples put into it since the start
        self.next_at: int | None = None

    def write(self, offset: int, value: int) -> None:
        now = self.machine.cycles()
        self.rise(now)
        was_on = self._on()
        if offset == self.LIFCR:
            self.words[self.LISR] = self.words.get(self.LISR, 0) & ~value
        else:
            super().write(offset, value)
        if self._on() != was_on:
            self.length, self.moved = self.words.get(self.NDTR, 0), 0
            self.next_at = now + self.every if self._on() and self.length else None
            self.machine.look_at_interrupts()

    def read(self, offset: int) -> int:
        self.rise(self.machine.cycles())
        return super().read(offset)

    def rise(self, now: int) -> bool:
        """Move the samples that are due; return whether the stream newly asks."""
        asked = self.asks()
        while self.next_at is not None and self.next_at <= now:
            self._move()
        return self.asks() and not asked

    def asks(self) -> bool:
        """Tell whether the stream asks for its interrupt now."""
        flags, control = self.words.get(self.LISR, 0), self.words.get(self.CR, 0)
        return any(flags & flag and control & bit for flag, bit in self.LETS_THROUGH)

    def next_rise(self) -> int | None:
        """Return the cycle of the next sample; None if the stream is off or at its end."""
        return self.next_at

    def _on(self) -> bool:
        return bool(self.words.get(self.CR, 0) & self.ENABLE)

    def _move(self) -> None:
        sample = self.feed.next()
        if sample is None:
            self.next_at = None
            return
        place = self.words.get(self.M0AR, 0) + 2 * (self.moved % self.length)
        try:
            self.machine.write_memory(place, sample.to_bytes(2, "little"))
        except Refused:
            self._fail()
            return
        self.moved += 1
        within = self.moved % self.length
        self.words[self.NDTR] = self.length - within
        self._tell({self.length // 2: self.HALF, 0: self.FULL}.get(within, 0))
        self.next_at += self.every

    def _fail(self) -> None:
        self._tell(self.ERROR)
        self.words[self.CR] &= ~self.ENABLE
        self.next_at = None

    def _tell(self, flag: int) -> None:
        self.words[self.LISR] = self.words.get(self.LISR, 0) | flag


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
        self.wraps_read = 0  # wraps that a reading of COUNTFLAG has told
        self.wraps_pended = 0  # wraps that have made the interrupt pending
        self.pending: set[int] = set()
        self.enabled = {SVCALL, PENDSV, SYSTICK}
        self.sources: list[Source] = []

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
        """Return the exception numbers of the 32 interrupts that a word stands for."""
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
