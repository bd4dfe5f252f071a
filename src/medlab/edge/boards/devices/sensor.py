"""What a board has of a sensor: its samples, converters that bring them, pins of its front end."""

from collections.abc import Iterable

from medlab.edge.boards.devices.registers import PAGE, Registers


class Feed:
    """The samples that a sensor will give; after the last one it has stopped."""

    def __init__(self, samples: Iterable[int] = (), lead_off: Iterable[range] = ()):
        """Take whole numbers from -32768 to 65535; 16 bits of each reach the firmware.

        lead_off: numbers of samples, from 0, at which an electrode of the sensor is off.
        """
        self.samples, self.lead_off = list(samples), list(lead_off)
        self.used = 0

    def is_lead_off(self) -> bool:
        """Return whether an electrode is off as of the last sample that was given."""
        return any(self.used - 1 in samples for samples in self.lead_off)

    def next(self) -> int | None:
        """Return the next sample as 16 bits without a sign, None when there is none left."""
        if self.used == len(self.samples):
            return None
        self.used += 1
        return int(self.samples[self.used - 1]) & 0xFFFF


class Converter(Registers):
    """An analogue-to-digital converter: a start bit, a bit for done, a register to read."""

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
    """The nRF52840's SAADC: it writes each sample to the address in RESULT.PTR."""

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


class Pins(Registers):
    """Pins, of which some read 1 while an electrode of the sensor's front end is off."""

    def __init__(self, at: int, size: int, input: int, lead_off: int):
        """Take an address, a size, the offset of an input register, and the bits of these pins."""
        super().__init__(at, size)
        self.input, self.lead_off = input, lead_off
        self.feed = Feed()

    def read(self, offset: int) -> int:
        off = self.lead_off if offset == self.input and self.feed.is_lead_off() else 0
        return super().read(offset) | off
