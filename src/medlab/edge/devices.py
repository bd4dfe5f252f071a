"""What stands at a board's addresses besides memory: serial port, sensor, timer, flash controller.

A device answers reads and writes of its registers, in words at offsets from its address. Time
passes in instructions alone: a byte is sent, a sample converted and a flash sector erased at once.
Not covered: interrupts of devices other than SysTick and the alarm line, DMA other than the
converter's and one stream's, errors on the serial line.
"""

from medlab.edge.flash_controllers import FlashF4, FlashH7, FlashNrf
from medlab.edge.interrupts import Line, Stream
from medlab.edge.registers import Registers
from medlab.edge.sensor import Converter, ConverterIntoMemory, Pins


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
