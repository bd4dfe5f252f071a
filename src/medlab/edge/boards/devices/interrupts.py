"""Devices that interrupt the core: a line's edge and a DMA stream."""

from medlab.edge.boards.devices.registers import ForbiddenWrite, Registers
from medlab.edge.boards.devices.sensor import Feed

FIRST_INTERRUPT = 16  # exception number of a chip's interrupt 0
SVCALL, PENDSV, SYSTICK = 11, 14, 15


class InterruptSource(Registers):
    """A device that asks for an interrupt as time passes; number is the exception's."""

    number: int

    def rise(self, now: int) -> bool:
        """Let happen what is due up to now; return whether the device newly asks."""
        raise NotImplementedError

    def asks(self) -> bool:
        """Return whether the device asks for its interrupt now."""
        raise NotImplementedError

    def next_rise(self) -> int | None:
        """Return the cycle of the next event; None if none comes."""
        raise NotImplementedError


class Line(InterruptSource):
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
        """Return whether the line asks for its interrupt now."""
        return bool(self.words.get(self.pending, 0) & self.words.get(self.mask, 0) & self.bit)

    def next_rise(self) -> int | None:
        """Return the cycle of the next edge; None after the last one."""
        return self.rises[self.risen] if self.risen < len(self.rises) else None


class Stream(InterruptSource):
    """A DMA stream that puts samples into a ring in memory, one every so many cycles.

    It is ST's stream 0 in circular mode; in the chip a timer paces the converter, here the board's
    file does. Bits of LISR report that half of the ring, or all of it, is full. Nothing checks
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
        asked_before = self.asks()
        while self.next_at is not None and self.next_at <= now:
            self._move()
        return self.asks() and not asked_before

    def asks(self) -> bool:
        """Return whether the stream asks for its interrupt now."""
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
        except ForbiddenWrite:
            self._fail()
            return
        self.moved += 1
        within = self.moved % self.length
        self.words[self.NDTR] = self.length - within
        self._set_flag({self.length // 2: self.HALF, 0: self.FULL}.get(within, 0))
        self.next_at += self.every

    def _fail(self) -> None:
        self._set_flag(self.ERROR)
        self.words[self.CR] &= ~self.ENABLE
        self.next_at = None

    def _set_flag(self, flag: int) -> None:
        self.words[self.LISR] = self.words.get(self.LISR, 0) | flag
