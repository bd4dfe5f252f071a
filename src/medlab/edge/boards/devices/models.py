"""The devices by the names that board.yaml gives their models."""

from medlab.edge.boards.devices.flash_controllers import FlashF4, FlashH7, FlashNrf
from medlab.edge.boards.devices.interrupts import Line, Stream
from medlab.edge.boards.devices.registers import Registers
from medlab.edge.boards.devices.sensor import Converter, ConverterIntoMemory, Pins
from medlab.edge.boards.devices.serial import Serial

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
