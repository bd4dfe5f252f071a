"""The serial port: what a firmware prints, byte by byte with its time."""

from medlab.edge.boards.devices.registers import Registers


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
