"""What every device of a board shares: words at offsets from its address, and its machine."""

from typing import Protocol

PAGE = 0x1000


class MachineInterface(Protocol):
    """What a device may ask of the machine that it is built into."""

    def read_memory(self, address: int, count: int) -> bytes: ...
    def write_memory(self, address: int, content: bytes) -> None: ...
    def cycles(self) -> int: ...
    def look_at_interrupts(self) -> None: ...


class ForbiddenWrite(Exception):
    """A write that the device does not allow; the message is the reason."""


class Registers:
    """Words that keep what is written to them; some bits always read 1, some follow others."""

    def __init__(self, at: int, size: int = 0x400, always=None, follows=None):
        """Take an address, a size, always {offset: bits}, follows {offset: [[bits, shift], ...]}.

        A bit that follows is read at the written bit's place, shifted left: a ready bit that is
        set as soon as its device is switched on.
        """
        self.at, self.size = at, size
        self.words: dict[int, int] = {}
        self.always, self.follows = always or {}, follows or {}

    def connect(self, machine: MachineInterface) -> None:
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
