"""What stands at a board's addresses besides memory: serial port, sensor, timer, flash controller.

A device answers reads and writes of its registers, in words at offsets from its address. Time
passes in instructions alone: a byte is sent, a sample converted and a flash sector erased at once.
Not covered: interrupts of devices other than SysTick and the alarm line, DMA other than the
converter's and one stream's, errors on the serial line.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

PAGE = 0x1000
FIRST_INTERRUPT = 16  # exception number of a chip's interrupt 0
WORD = 0xFFFFFFFF


class Memory(Protocol):
    """What a device may ask of the machine that it is built into."""

    def read_memory(self, address: int, count: int) -> bytes: ...
    def write_memory(self, address: int, content: bytes) -> None: ...
    def cycles(self) -> int: ...
    def look_at_interrupts(self) -> None: ...


class Refused(Exception):
    """A write that the device does not allow; the message says why."""


class Registers:
    """Words that keep what is written to them; some bits always read 1, some follow others."""

    def __init__(self, at: int, size: int = 0x400, always=None, follows=None):
        """Take an address, a size, always {offset: bits}, follows {offset: [[bits, shift], ...]}.

        A bit that follows is read where the written bit stands, shifted left: a ready bit that is
        set as soon as its device is switched on.
        """
        self.at, self.size = at, size
        self.words: dict[int, int] = {}
        self.always, self.follows = always or {}, follows or {}

    def connect(self, machine: Memory) -> None:
        """Remember the machine that the device is in."""
        self.machine = machine

    def read(self, offset: int) -> int:
        """Return the word at an offset."""
        word = self.words.get(offset, 0) | self.always.get(offset, 0)
        for bits, shift in self.follows.get(offset, ()):
            word |= (word & bits) << shift
        return word

    def write(self, offset: int, value: int) -> None:
        """Take the word for an offset."""
        self.words[offset] = value


class Serial(Registers):
    """A serial port that is always ready to send; `sent` holds what was, `sent_at` the cycles.

    The cycle is that at the end of the block of instructions that sent the byte.
    """

    def __init__(self, at: int, status: int, data: int, ready: int, size: int = 0x400):
        super().__init__(at, size, always={status: ready})
        self.data, self.sent = data, bytearray()
        self.sent_at: list[int] = []

    def write(self, offset: int, value: int) -> None:
        if offset == self.data:
            self.sent.append(value & 0xFF)
            self.sent_at.append(self.machine.cycles())
        super().write(offset, value)


class Feed:
    """The samples that a sensor will give; after the last one it has stopped."""

    def __init__(self, samples: Iterable[int] = (), lead_off: Iterable[range] = ()):
        """Take whole numbers from -32768 to 65535; 16 bits of each reach the firmware.

        lead_off: numbers of samples, from 0, at which an electrode of the sensor is off.
        """
        self.samples, self.lead_off = list(samples), list(lead_off)
        self.used = 0

    def is_lead_off(self) -> bool:
        """Tell whether an electrode is off as of the last sample that was given."""
        return any(self.used - 1 in samples for samples in self.lead_off)

    def next(self) -> int | None:
        """Return the next sample as 16 bits without a sign, None when there is none left."""
        if self.used == len(self.samples):
            return None
        self.used += 1
        return int(self.samples[self.used - 1]) & 0xFFFF


class Converter(Registers):
    """An analogue-to-digital converter: a start bit, a bit that says done, a register to read."""

    def __init__(
        self,
        at: int,
        status: int,
        data: int,
        done: int,
        control: int,
        start: int,
        size: int = 0x400,
        always=None,
    ):
        super().__init__(at, size, always)
        self.status, self.data, self.done = status, data, done
        self.control, self.start = control, start
        self.feed = Feed()

    def read(self, offset: int) -> int:
        if offset == self.data:
            self.words[self.status] = 0
        return super().read(offset)

    def write(self, offset: int, value: int) -> None:
        super().write(offset, value)
        if offset == self.control and value & self.start:
            self.words[offset] = value & ~self.start
            self._convert()

    def _convert(self) -> None:
        sample = self.feed.next()
        if sample is not None:
            self.words[self.data] = sample
            self.words[self.status] = self.done


class ConverterIntoMemory(Registers):
    """The nRF52840's SAADC: told to sample, it writes to the address in RESULT.PTR."""

    START, SAMPLE, STARTED, END, PTR = 0x000, 0x004, 0x100, 0x104, 0x62C

    def __init__(self, at: int):
        super().__init__(at, PAGE)
        self.feed = Feed()

    def write(self, offset: int, value: int) -> None:
        super().write(offset, value)
        if offset == self.START and value:
            self.words[self.STARTED] = 1
        if offset == self.SAMPLE and value:
            self._convert()

    def _convert(self) -> None:
        sample = self.feed.next()
        if sample is not None:
            self.machine.write_memory(self.words.get(self.PTR, 0), sample.to_bytes(2, "little"))
            self.words[self.END] = 1


class Line(Registers):
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


class Pins(Registers):
    """Pins, of which some read 1 while the sensor's front end says that an electrode is off."""

    def __init__(self, at: int, size: int, input: int, lead_off: int):
        """Take an address, a size, the offset of an input register, and the bits of these pins."""
        super().__init__(at, size)
        self.input, self.lead_off = input, lead_off
        self.feed = Feed()

    def read(self, offset: int) -> int:
        off = self.lead_off if offset == self.input and self.feed.is_lead_off() else 0
        return super().read(offset) | off


class Stream(Line):
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
        Registers.__init__(self, at)
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
            Registers.write(self, offset, value)
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
    SVCALL, PENDSV, SYSTICK = 11, 14, 15
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
        self.enabled = {self.SVCALL, self.PENDSV, self.SYSTICK}
        self.lines: list[Line] = []

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
        """Make pending what has asked since the last look: SysTick's wrap, a line's edge."""
        for line in self.lines:
            if line.rise(self.machine.cycles()):
                self.pending.add(line.number)
        if self._on() and self._wraps() > self.wraps_pended:
            self.wraps_pended = self._wraps()
            if self.words.get(self.CSR, 0) & self.TICKINT:
                self.pending.add(self.SYSTICK)

    def priorities(self) -> dict[int, int]:
        """Return the priority of each enabled pending interrupt; 0 is the highest."""
        return {number: self.priority(number) for number in self.pending & self.enabled}

    def left(self, number: int) -> None:
        """Make a handler's interrupt pending again if its line still asks."""
        self.pending.update(
            line.number for line in self.lines if line.number == number and line.asks()
        )

    def priority(self, number: int) -> int:
        """Return an interrupt's priority, as set in SHPR2, SHPR3 or IPR."""
        if number >= FIRST_INTERRUPT:
            at = number - FIRST_INTERRUPT
            return self.words.get(self.IPR + (at & ~3), 0) >> 8 * (at & 3) & 0xFF
        places = {self.SVCALL: (self.SHPR2, 24), self.PENDSV: (self.SHPR3, 16)}
        offset, shift = places.get(number, (self.SHPR3, 24))
        return self.words.get(offset, 0) >> shift & 0xFF

    def next_event(self) -> int | None:
        """Return the cycle of the next wrap of SysTick or edge of a line; None if none comes."""
        rises = [line.next_rise() for line in self.lines]
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


@dataclass
class Sector:
    """A part of flash that is erased as a whole."""

    at: int
    size: int


class FlashController(Registers):
    """What all flash controllers share: NOR rules, sectors, a lock.

    Erasing a sector sets its bytes to 0xFF; writing can only turn ones into zeros. What a chip
    would silently ignore (a write while locked, one of the wrong size) is refused here.
    """

    def __init__(self, at: int, sectors: list[list[int]], size: int = 0x400):
        super().__init__(at, size)
        self.sizes = [size for count, size in sectors for _ in range(count)]
        self.erases = 0

    def cover(self, start: int) -> None:
        """Say where the flash memory begins that this controller looks after."""
        self.sectors = []
        for size in self.sizes:
            self.sectors.append(Sector(start, size))
            start += size

    def program(self, address: int, content: bytes) -> None:
        """Write into flash as the firmware asked; raise Refused for what the chip would ignore."""
        self.check(address, len(content))
        old = self.machine.read_memory(address, len(content))
        kept = bytes(a & b for a, b in zip(old, content, strict=True))
        self.machine.write_memory(address, kept)

    def check(self, address: int, count: int) -> None:
        """Raise Refused unless a write of so many bytes is allowed now."""
        raise NotImplementedError

    def erase(self, sector: Sector) -> None:
        """Set a sector's bytes to 0xFF."""
        self.erases += 1
        self.machine.write_memory(sector.at, b"\xff" * sector.size)


class LockedByKeys(FlashController):
    """ST's lock: two keys in a row open a control register, its lock bit closes it."""

    KEYS = (0x45670123, 0xCDEF89AB)

    def __init__(self, at: int, sectors: list[list[int]], control: int, key: int, lock: int):
        super().__init__(at, sectors)
        self.control, self.key, self.lock = control, key, lock
        self.words[control] = lock
        self.given: list[int] = []

    def write(self, offset: int, value: int) -> None:
        if offset == self.key:
            self._take_key(value)
        elif offset == self.control:
            self._take_control(value)
        else:
            super().write(offset, value)

    def is_locked(self) -> bool:
        """Tell whether the control register takes nothing."""
        return bool(self.words[self.control] & self.lock)

    def obey(self, value: int) -> None:
        """Do what the open control register was told to."""
        raise NotImplementedError

    def _take_key(self, value: int) -> None:
        self.given = [*self.given, value][-2:]
        if tuple(self.given) == self.KEYS:
            self.words[self.control] &= ~self.lock

    def _take_control(self, value: int) -> None:
        if self.is_locked():
            raise Refused("the flash controller is locked: write its two keys first")
        self.words[self.control] = value
        if value & self.lock:
            self.given = []
        else:
            self.obey(value)


class FlashF4(LockedByKeys):
    """STM32F405: words at a time. Source: RM0090, 3."""

    KEY, STATUS, CONTROL = 0x04, 0x0C, 0x10
    PG, SER, STRT, LOCK = 1, 2, 1 << 16, 1 << 31

    def __init__(self, at: int, sectors: list[list[int]]):
        super().__init__(at, sectors, self.CONTROL, self.KEY, self.LOCK)

    def check(self, address: int, count: int) -> None:
        control = self.words[self.CONTROL]
        if self.is_locked() or not control & self.PG:
            raise Refused("the flash is locked, or not set to be written (PG)")
        if count != 1 << (control >> 8 & 3):
            raise Refused(f"{count} bytes at a time, but the controller's PSIZE says otherwise")

    def obey(self, value: int) -> None:
        if value & self.SER and value & self.STRT:
            self.words[self.CONTROL] = value & ~self.STRT
            number = value >> 3 & 0xF
            if number >= len(self.sectors):
                raise Refused(f"there is no flash sector {number}")
            self.erase(self.sectors[number])

    def write(self, offset: int, value: int) -> None:
        # Bits of the status register are cleared by writing ones; no error is ever set here.
        if offset != self.STATUS:
            super().write(offset, value)


class BankH7(LockedByKeys):
    """One bank of an STM32H743: 32 bytes at a time, once after each erase. Source: RM0433, 4."""

    UNIT = 32
    PG, SER, START, LOCK = 2, 4, 1 << 7, 1

    def __init__(self, at: int, sectors: list[list[int]]):
        super().__init__(at, sectors, control=0x0C, key=0x04, lock=self.LOCK)
        self.waiting: list[tuple[int, bytes]] = []

    def check(self, address: int, count: int) -> None:
        if self.is_locked() or not self.words[self.control] & self.PG:
            raise Refused("the flash is locked, or not set to be written (PG)")

    def program(self, address: int, content: bytes) -> None:
        """Collect the words of a unit; write them when it is full."""
        self.check(address, len(content))
        if address != self._expected(address):
            raise Refused(f"the flash takes {self.UNIT} bytes in a row, from a multiple of it on")
        self.waiting.append((address, content))
        start, count = self.waiting[0][0], sum(len(part) for _, part in self.waiting)
        if count == self.UNIT:
            self._write_unit(start)

    def _expected(self, address: int) -> int:
        if self.waiting:
            last, content = self.waiting[-1]
            return last + len(content)
        return address & -self.UNIT

    def _write_unit(self, start: int) -> None:
        content, self.waiting = b"".join(part for _, part in self.waiting), []
        if set(self.machine.read_memory(start, self.UNIT)) != {0xFF}:
            raise Refused("written twice without an erase: the error-correcting code would not fit")
        self.machine.write_memory(start, content)

    def obey(self, value: int) -> None:
        if value & self.SER and value & self.START:
            self.words[self.control] = value & ~self.START
            self.erase(self.sectors[value >> 8 & 7])


class FlashH7(FlashController):
    """The two banks of an STM32H743, each with registers of its own."""

    BANK_REGISTERS = 0x100

    def __init__(self, at: int, sectors: list[list[int]]):
        super().__init__(at, sectors)
        half = [[len(self.sizes) // 2, self.sizes[0]]]
        self.banks = [BankH7(at, half), BankH7(at + self.BANK_REGISTERS, half)]

    def connect(self, machine: Memory) -> None:
        super().connect(machine)
        for bank in self.banks:
            bank.connect(machine)

    def cover(self, start: int) -> None:
        super().cover(start)
        for bank in self.banks:
            bank.cover(start)
            start += sum(bank.sizes)

    def read(self, offset: int) -> int:
        number, within = self._bank_of(offset)
        return super().read(offset) if number is None else self.banks[number].read(within)

    def write(self, offset: int, value: int) -> None:
        number, within = self._bank_of(offset)
        if number is None:
            super().write(offset, value)
        elif within not in (0x10, 0x14):  # status, and the register that clears it
            self.banks[number].write(within, value)

    def program(self, address: int, content: bytes) -> None:
        self.banks[int(address >= self.banks[1].sectors[0].at)].program(address, content)

    def _bank_of(self, offset: int) -> tuple[int | None, int]:
        # Offset 0 (wait states) belongs to the whole flash.
        number, within = divmod(offset, self.BANK_REGISTERS)
        return (None, offset) if offset == 0 or number > 1 else (number, within)


class FlashNrf(FlashController):
    """nRF52840's NVMC: a mode register in place of a lock. Source: product specification, NVMC."""

    READY, CONFIG, ERASEPAGE = 0x400, 0x504, 0x508
    WRITE, ERASE = 1, 2

    def __init__(self, at: int, sectors: list[list[int]]):
        super().__init__(at, sectors, PAGE)
        self.always = {self.READY: 1}

    def check(self, address: int, count: int) -> None:
        if self.words.get(self.CONFIG) != self.WRITE:
            raise Refused("the flash is not set to be written (NVMC CONFIG)")
        if count != 4:
            raise Refused(f"{count} bytes at a time, but the flash takes words of 4")

    def write(self, offset: int, value: int) -> None:
        super().write(offset, value)
        if offset == self.ERASEPAGE:
            self._erase_page(value)

    def _erase_page(self, address: int) -> None:
        if self.words.get(self.CONFIG) != self.ERASE:
            raise Refused("the flash is not set to be erased (NVMC CONFIG)")
        found = [sector for sector in self.sectors if sector.at == address]
        if not found:
            raise Refused(f"no flash page begins at 0x{address:08x}")
        self.erase(found[0])


MODELS = {
    "registers": Registers,
    "serial": Serial,
    "converter": Converter,
    "converter-into-memory": ConverterIntoMemory,
    "line": Line,
    "stream": Stream,
    "pins": Pins,
    "flash-f4": FlashF4,
    "flash-h7": FlashH7,
    "flash-nrf": FlashNrf,
}
