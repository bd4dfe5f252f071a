"""A board's flash controller: what may be written to flash, and when."""

from dataclasses import dataclass

from medlab.edge.boards.devices.registers import PAGE, ForbiddenWrite, MachineInterface, Registers


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
        """Place the sectors from the address on at which this controller's flash begins."""
        self.sectors = []
        for size in self.sizes:
            self.sectors.append(Sector(start, size))
            start += size

    def program(self, address: int, content: bytes) -> None:
        """Write into flash; raise ForbiddenWrite for what the chip would ignore."""
        self.check(address, len(content))
        old = self.machine.read_memory(address, len(content))
        kept = bytes(a & b for a, b in zip(old, content, strict=True))
        self.machine.write_memory(address, kept)

    def check(self, address: int, count: int) -> None:
        """Raise ForbiddenWrite unless a write of so many bytes is allowed now."""
        raise NotImplementedError

    def erase(self, sector: Sector) -> None:
        """Set a sector's bytes to 0xFF."""
        self.erases += 1
        self.machine.write_memory(sector.at, b"\xff" * sector.size)


class KeyLockedFlash(FlashController):
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
        """Return whether the control register takes nothing."""
        return bool(self.words[self.control] & self.lock)

    def obey(self, value: int) -> None:
        """Act on what was written to the open control register."""
        raise NotImplementedError

    def _take_key(self, value: int) -> None:
        self.given = [*self.given, value][-2:]
        if tuple(self.given) == self.KEYS:
            self.words[self.control] &= ~self.lock

    def _take_control(self, value: int) -> None:
        if self.is_locked():
            raise ForbiddenWrite("the flash controller is locked: write its two keys first")
        self.words[self.control] = value
        if value & self.lock:
            self.given = []
        else:
            self.obey(value)


class FlashF4(KeyLockedFlash):
    """STM32F405: words at a time. Source: RM0090, 3."""

    KEY, STATUS, CONTROL = 0x04, 0x0C, 0x10
    PG, SER, STRT, LOCK = 1, 2, 1 << 16, 1 << 31

    def __init__(self, at: int, sectors: list[list[int]]):
        super().__init__(at, sectors, self.CONTROL, self.KEY, self.LOCK)

    def check(self, address: int, count: int) -> None:
        control = self.words[self.CONTROL]
        if self.is_locked() or not control & self.PG:
            raise ForbiddenWrite("the flash is locked, or not set to be written (PG)")
        if count != 1 << (control >> 8 & 3):
            raise ForbiddenWrite(
                f"{count} bytes at a time, but the controller's PSIZE is different"
            )

    def obey(self, value: int) -> None:
        if value & self.SER and value & self.STRT:
            self.words[self.CONTROL] = value & ~self.STRT
            number = value >> 3 & 0xF
            if number >= len(self.sectors):
                raise ForbiddenWrite(f"there is no flash sector {number}")
            self.erase(self.sectors[number])

    def write(self, offset: int, value: int) -> None:
        # Bits of the status register are cleared by writing ones; no error is ever set here.
        if offset != self.STATUS:
            super().write(offset, value)


class BankH7(KeyLockedFlash):
    """One bank of an STM32H743: 32 bytes at a time, once after each erase. Source: RM0433, 4."""

    UNIT = 32
    PG, SER, START, LOCK = 2, 4, 1 << 7, 1

    def __init__(self, at: int, sectors: list[list[int]]):
        super().__init__(at, sectors, control=0x0C, key=0x04, lock=self.LOCK)
        self.waiting: list[tuple[int, bytes]] = []

    def check(self, address: int, count: int) -> None:
        if self.is_locked() or not self.words[self.control] & self.PG:
            raise ForbiddenWrite("the flash is locked, or not set to be written (PG)")

    def program(self, address: int, content: bytes) -> None:
        """Collect the words of a unit; write them when it is full."""
        self.check(address, len(content))
        if address != self._expected(address):
            raise ForbiddenWrite(
                f"the flash takes {self.UNIT} bytes in a row, from a multiple of it on"
            )
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
            raise ForbiddenWrite(
                "written twice without an erase: the error-correcting code would not fit"
            )
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

    def connect(self, machine: MachineInterface) -> None:
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
            raise ForbiddenWrite("the flash is not set to be written (NVMC CONFIG)")
        if count != 4:
            raise ForbiddenWrite(f"{count} bytes at a time, but the flash takes words of 4")

    def write(self, offset: int, value: int) -> None:
        super().write(offset, value)
        if offset == self.ERASEPAGE:
            self._erase_page(value)

    def _erase_page(self, address: int) -> None:
        if self.words.get(self.CONFIG) != self.ERASE:
            raise ForbiddenWrite("the flash is not set to be erased (NVMC CONFIG)")
        found = [sector for sector in self.sectors if sector.at == address]
        if not found:
            raise ForbiddenWrite(f"no flash page begins at 0x{address:08x}")
        self.erase(found[0])
